import { Duration, RemovalPolicy, Size } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import type { Construct } from 'constructs';
import { DIGEST, DIGITS } from './stacks';

/** What an InferenceService on Fargate is made of, as somebody would write it with aws-cdk-lib alone. */
export function newPlainService(scope: Construct, cluster: ecs.Cluster): void {
  const model = new Asset(scope, 'PlainModel', { path: DIGITS });
  const logGroup = new logs.LogGroup(scope, 'PlainLogs', {
    retention: logs.RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const task = new ecs.FargateTaskDefinition(scope, 'PlainTask', { cpu: 1024, memoryLimitMiB: 2048 });
  new iam.Policy(scope, 'PlainReadModel', {
    roles: [task.taskRole],
    statements: [
      new iam.PolicyStatement({
        actions: ['s3:GetObject'],
        resources: [model.bucket.arnForObjects(model.s3ObjectKey)],
      }),
    ],
  });
  const images = ecr.Repository.fromRepositoryName(scope, 'PlainImages', 'slipway');
  task.addContainer('server', {
    image: ecs.ContainerImage.fromEcrRepository(images, DIGEST),
    environment: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`VARIABLE_${i}`, String(i)])),
    logging: ecs.LogDrivers.awsLogs({
      logGroup,
      streamPrefix: 'server',
      mode: ecs.AwsLogDriverMode.NON_BLOCKING,
      maxBufferSize: Size.mebibytes(25),
    }),
    portMappings: [{ containerPort: 8080 }],
    readonlyRootFilesystem: true,
    stopTimeout: Duration.seconds(60),
  });
  const service = new ecs.FargateService(scope, 'PlainService', {
    cluster,
    taskDefinition: task,
    circuitBreaker: { rollback: true },
    minHealthyPercent: 100,
    healthCheckGracePeriod: Duration.minutes(10),
  });
  const balancer = new elbv2.ApplicationLoadBalancer(scope, 'PlainLoadBalancer', { vpc: cluster.vpc });
  const listener = balancer.addListener('Listener', { port: 80, open: false });
  const targets = listener.addTargets('Targets', { port: 8080, targets: [service], healthCheck: { path: '/readyz' } });
  const scaling = service.autoScaleTaskCount({ minCapacity: 1, maxCapacity: 4 });
  scaling.scaleToTrackCustomMetric('Saturation', {
    metric: new cloudwatch.Metric({ namespace: 'Plain', metricName: 'saturation' }),
    targetValue: 0.7,
  });
  for (const [id, metric] of Object.entries({
    Errors: targets.metrics.httpCodeTarget(elbv2.HttpCodeTarget.TARGET_5XX_COUNT),
    Latency: targets.metrics.targetResponseTime(),
    Running: service.metricCpuUtilization(),
    Saturation: new cloudwatch.Metric({ namespace: 'Plain', metricName: 'saturation' }),
  })) {
    new cloudwatch.Alarm(scope, `Plain${id}`, { metric, threshold: 1, evaluationPeriods: 3 });
  }
  new cloudwatch.Dashboard(scope, 'PlainDashboard', {
    widgets: [
      [new cloudwatch.GraphWidget({ left: [targets.metrics.requestCount()] })],
      [new cloudwatch.GraphWidget({ left: [targets.metrics.targetResponseTime()] })],
    ],
  });
}
