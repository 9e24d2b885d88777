import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ArnFormat, Duration, RemovalPolicy, Size, type Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct } from 'constructs';
import { newPlainDashboard, PlainAlarms, published } from './plain-monitoring';
import { DIGEST, DIGITS } from './stacks';

/**
 * What `newFargateService` makes, as somebody would write it with aws-cdk-lib alone who knows every number already. The ids
 * are the same too, so both templates can be held to be equal.
 */
export function newPlainService(stack: Stack, cluster: ecs.Cluster): void {
  const scope = new Construct(stack, 'Digits');
  const { clusterName, vpc } = cluster;
  const vpcSubnets = { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS };

  const logGroup = new logs.LogGroup(scope, 'Logs', {
    retention: logs.RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.RETAIN,
  });
  const taskRole = new iam.Role(scope, 'TaskRole', {
    assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com').withConditions({
      StringEquals: { 'aws:SourceAccount': stack.account },
      ArnLike: {
        'aws:SourceArn': stack.formatArn({ service: 'ecs', resource: '*', arnFormat: ArnFormat.NO_RESOURCE_NAME }),
      },
    }),
  });
  const content = readFileSync(DIGITS);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const model = new Asset(scope, 'Model', { path: DIGITS, assetHash: sha256 });
  const readModels = new iam.Policy(scope, 'ReadModels7dc5858a6020', {
    roles: [taskRole],
    statements: [
      new iam.PolicyStatement({
        actions: ['s3:GetObject', 's3:GetObjectVersion'],
        resources: [model.bucket.arnForObjects(model.s3ObjectKey)],
      }),
    ],
  });

  const taskDefinition = new ecs.FargateTaskDefinition(scope, 'TaskDefinition', {
    cpu: 1024,
    memoryLimitMiB: 2048,
    taskRole,
    runtimePlatform: {
      operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
      cpuArchitecture: ecs.CpuArchitecture.X86_64,
    },
  });
  const linuxParameters = new ecs.LinuxParameters(scope, 'LinuxParameters');
  linuxParameters.dropCapabilities(ecs.Capability.ALL);
  const images = ecr.Repository.fromRepositoryName(scope, 'Images', 'slipway');
  const container = taskDefinition.addContainer('server', {
    image: ecs.ContainerImage.fromEcrRepository(images, DIGEST),
    user: '10001:10001',
    readonlyRootFilesystem: true,
    privileged: false,
    linuxParameters,
    stopTimeout: Duration.seconds(45),
    memoryLimitMiB: 2048,
    environment: {
      SLIPWAY_CONTRACT: '1',
      SLIPWAY_EXECUTION_PROVIDER: 'cpu',
      SLIPWAY_EXECUTORS: '1',
      SLIPWAY_INTRA_OP_THREADS: '1',
      SLIPWAY_QUEUE_DEPTH_ROWS: '128',
      SLIPWAY_REQUEST_DEADLINE_SECONDS: '30',
      SLIPWAY_DEREGISTRATION_LAG_SECONDS: '10',
      SLIPWAY_KEEP_ALIVE_SECONDS: '65',
      SLIPWAY_MAX_BODY_MIB: '64',
      SLIPWAY_BODY_MEMORY_MIB: '447',
      SLIPWAY_RUN_STUCK_SECONDS: '60',
      SLIPWAY_STARTUP_BUDGET_SECONDS: '60',
      SLIPWAY_TARGET_QUEUE_SECONDS: '0.1',
      SLIPWAY_SERVICE_NAME: 'digits',
      SLIPWAY_CLOUDWATCH_METRICS: 'true',
      SLIPWAY_MODELS: JSON.stringify([
        {
          name: 'digits',
          version: 1,
          maxBatchSize: 32,
          files: [{ path: 'model.onnx', uri: model.s3ObjectUrl, bytes: content.length, sha256 }],
        },
      ]),
      SLIPWAY_CLUSTER_NAME: clusterName,
      AWS_REGION: stack.region,
    },
    dockerLabels: { 'slipway.dev/models': `digits@1:sha256-${sha256}`, 'slipway.dev/contract': '1' },
    portMappings: [
      { name: 'http', containerPort: 8080 },
      { name: 'grpc', containerPort: 8081 },
      { name: 'metrics', containerPort: 8082 },
    ],
    healthCheck: {
      command: ['CMD', 'node', '/app/healthcheck.mjs'],
      interval: Duration.seconds(10),
      timeout: Duration.seconds(5),
      retries: 3,
      startPeriod: Duration.seconds(60),
    },
    logging: ecs.LogDrivers.awsLogs({
      logGroup,
      streamPrefix: 'digits',
      mode: ecs.AwsLogDriverMode.NON_BLOCKING,
      maxBufferSize: Size.mebibytes(25),
    }),
  });
  taskDefinition.addVolume({ name: 'scratch' });
  container.addMountPoints({ sourceVolume: 'scratch', containerPath: '/tmp', readOnly: false });

  const securityGroup = new ec2.SecurityGroup(scope, 'SecurityGroup', {
    vpc,
    description: 'Replicas of digits: requests come from the load balancer alone, HTTPS goes out',
    allowAllOutbound: false,
  });
  securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'models, image and logs');
  const loadBalancer = new elbv2.ApplicationLoadBalancer(scope, 'LoadBalancer', {
    vpc,
    vpcSubnets,
    idleTimeout: Duration.seconds(60),
    dropInvalidHeaderFields: true,
  });
  const targetGroup = new elbv2.ApplicationTargetGroup(scope, 'TargetGroup', {
    vpc,
    targetType: elbv2.TargetType.IP,
    protocol: elbv2.ApplicationProtocol.HTTP,
    port: 8080,
    loadBalancingAlgorithmType: elbv2.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
    deregistrationDelay: Duration.seconds(40),
    healthCheck: {
      path: '/readyz',
      healthyHttpCodes: '200',
      interval: Duration.seconds(10),
      timeout: Duration.seconds(5),
      healthyThresholdCount: 2,
      unhealthyThresholdCount: 3,
    },
  });
  loadBalancer.addListener('Listener', { port: 80, open: false, defaultTargetGroups: [targetGroup] });

  const alarms = new PlainAlarms(scope, clusterName, { loadBalancer, targetGroup });
  const service = new ecs.FargateService(scope, 'Service', {
    cluster,
    taskDefinition,
    securityGroups: [securityGroup],
    vpcSubnets,
    assignPublicIp: false,
    minHealthyPercent: 100,
    maxHealthyPercent: 200,
    healthCheckGracePeriod: Duration.seconds(80),
    circuitBreaker: { enable: true, rollback: true },
    deploymentAlarms: {
      alarmNames: [alarms.serverErrors.alarmName, alarms.latency.alarmName],
      behavior: ecs.AlarmBehavior.ROLLBACK_ON_ALARM,
    },
    enableExecuteCommand: false,
    enableECSManagedTags: true,
    propagateTags: ecs.PropagatedTagSource.SERVICE,
    availabilityZoneRebalancing: ecs.AvailabilityZoneRebalancing.ENABLED,
  });
  const cfnService = service.node.findChild('Service') as ecs.CfnService;
  cfnService.addPropertyOverride('DeploymentConfiguration.DeploymentCircuitBreaker.ThresholdConfiguration', {
    Type: 'COUNT',
    Value: 3,
  });
  cfnService.addMetadata('cfn-lint', { config: { ignore_checks: ['E3002'] } });
  cfnService.node.addDependency(
    readModels,
    taskDefinition.obtainExecutionRole(),
    vpc.selectSubnets(vpcSubnets).internetConnectivityEstablished,
  );
  targetGroup.addTarget(service);
  alarms.missingReplicas.node.addDependency(service);
  const scaling = service.autoScaleTaskCount({ minCapacity: 2, maxCapacity: 8 });
  scaling.scaleToTrackCustomMetric('Saturation', {
    metric: published(clusterName, 'slipway_saturation'),
    targetValue: 0.7,
    scaleOutCooldown: Duration.seconds(60),
    scaleInCooldown: Duration.seconds(300),
  });
  newPlainDashboard(scope, clusterName, alarms, service, { loadBalancer, targetGroup });
}
