import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { MANIFEST_SCHEMA, readEnvironment, serializeManifest, type InferenceServicePlan } from 'slipway';
import { GpuInstanceGroup, InferenceService, Model, ModelBucket, type InferenceServiceProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { embeddedMetrics } from '../../runtime/server/cloudwatch-publisher';
import { addGroup } from './support/machines';
import {
  describeWithAndWithoutFlags,
  DIGITS,
  environmentOf,
  folderWith,
  imageByDigest,
  newCluster,
  newFargateService,
  newGpuService,
  newStack,
  pinnedMachineImage,
  resourcesOf,
  theOnly,
} from './support/stacks';

// What is the stack's alone, whatever it and others are called.
const OF_THE_STACK = { 'Fn::Select': [2, { 'Fn::Split': ['/', { Ref: 'AWS::StackId' }] }] };

interface Deployed {
  readonly template: Template;
  readonly plan: InferenceServicePlan;
  readonly service: InferenceService;
}

describeWithAndWithoutFlags('InferenceService', (newStack) => {
  function onFargate(props: Partial<InferenceServiceProps> = {}): Deployed {
    const stack = newStack();
    const service = newFargateService(stack, { plaintextInsideVpc: true, ...props });
    return { template: Template.fromStack(stack), plan: service.plan, service };
  }

  function onGpu(props: Partial<InferenceServiceProps> = {}): Deployed {
    const stack = newStack();
    const service = newGpuService(stack, props);
    return { template: Template.fromStack(stack), plan: service.plan, service };
  }

  function containerOf({ template }: Deployed): any {
    return theOnly(template, 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions[0];
  }

  for (const [place, deploy] of [
    ['on Fargate', onFargate],
    ['on GPU machines', onGpu],
  ] as const) {
    test(`${place} the root file system is read-only, and only /tmp and the model cache can be written`, () => {
      const deployed = deploy();
      const container = containerOf(deployed);
      expect(container.ReadonlyRootFilesystem).toBe(true);
      const { Volumes } = theOnly(deployed.template, 'AWS::ECS::TaskDefinition').Properties;
      const cacheName = { 'Fn::Join': ['-', ['slipway-models-digits', OF_THE_STACK]] };
      const scratch = { ContainerPath: '/tmp', SourceVolume: 'scratch', ReadOnly: false };
      const cache = { ContainerPath: '/var/cache/slipway', SourceVolume: cacheName, ReadOnly: false };
      expect(container.MountPoints).toEqual(deploy === onGpu ? [cache, scratch] : [scratch]);
      const shared = { Scope: 'shared', Autoprovision: true, Driver: 'local' };
      expect(Volumes).toEqual(
        deploy === onGpu
          ? [
              { Name: cacheName, DockerVolumeConfiguration: shared },
              { Name: 'scratch', DockerVolumeConfiguration: { Scope: 'task', Driver: 'local' } },
            ]
          : [{ Name: 'scratch' }],
      );
      expect(environmentOf(deployed.template)['SLIPWAY_CACHE_DIRECTORY']).toBe(
        deploy === onGpu ? '/var/cache/slipway' : undefined,
      );
    });

    test(`${place} the server is no root user, has no capability and no shell from outside`, () => {
      const deployed = deploy();
      const container = containerOf(deployed);
      expect(container.User).toBe('10001:10001');
      expect(container.Privileged).toBe(false);
      expect(container.LinuxParameters.Capabilities).toEqual({ Drop: ['ALL'] });
      expect(theOnly(deployed.template, 'AWS::ECS::Service').Properties.EnableExecuteCommand).toBe(false);
    });

    test(`${place} replicas are in private subnets without public address, and take requests from the load balancer alone`, () => {
      const { template } = deploy();
      const network = theOnly(template, 'AWS::ECS::Service').Properties.NetworkConfiguration.AwsvpcConfiguration;
      expect(network.AssignPublicIp).toBe('DISABLED');
      expect(JSON.stringify(network.Subnets)).not.toContain('Public');
      const [group] = network.SecurityGroups.map((each: any) => each['Fn::GetAtt'][0]);
      const ingress = resourcesOf(template, 'AWS::EC2::SecurityGroupIngress');
      expect(ingress).toHaveLength(1);
      expect(ingress[0]!.Properties).toMatchObject({
        GroupId: { 'Fn::GetAtt': [group, 'GroupId'] },
        FromPort: 8080,
        ToPort: 8080,
        SourceSecurityGroupId: { 'Fn::GetAtt': [expect.stringContaining('LoadBalancerSecurityGroup'), 'GroupId'] },
      });
      const own = resourcesOf(template, 'AWS::EC2::SecurityGroup').find(({ id }) => id === group)!;
      expect(own.Properties.SecurityGroupIngress).toBeUndefined();
      expect(own.Properties.SecurityGroupEgress).toMatchObject([{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443 }]);
    });

    test(`${place} nobody may call the load balancer, and it is not on the internet`, () => {
      const { template } = deploy();
      const balancer = theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
      expect(balancer.Scheme).toBe('internal');
      expect(JSON.stringify(balancer.Subnets)).not.toContain('Public');
      for (const { Properties } of resourcesOf(template, 'AWS::EC2::SecurityGroup')) {
        expect(Properties.SecurityGroupIngress).toBeUndefined();
      }
    });

    test(`${place} the task role may read the model's own files and nothing else`, () => {
      const { template } = deploy();
      const [task] = resourcesOf(template, 'AWS::IAM::Role').filter(({ id }) => id.startsWith('DigitsTaskRole'));
      expect(task!.Properties.ManagedPolicyArns).toBeUndefined();
      expect(task!.Properties.Policies).toBeUndefined();
      const policies = resourcesOf(template, 'AWS::IAM::Policy').filter(({ Properties }) =>
        Properties.Roles.some((role: { Ref: string }) => role.Ref === task!.id),
      );
      expect(policies).toHaveLength(1);
      const [statement, ...others] = policies[0]!.Properties.PolicyDocument.Statement;
      expect(others).toEqual([]);
      expect(statement.Action).toEqual(['s3:GetObject', 's3:GetObjectVersion']);
      expect(JSON.stringify(statement.Resource)).toMatch(/\/[0-9a-f]{64}\.onnx"/);
      expect(JSON.stringify(statement.Resource)).not.toContain('*');
    });

    test(`${place} only ECS may take the task role, and only for tasks of this account`, () => {
      const { template } = deploy();
      const [task] = resourcesOf(template, 'AWS::IAM::Role').filter(({ id }) => id.startsWith('DigitsTaskRole'));
      const account = { Ref: 'AWS::AccountId' };
      expect(task!.Properties.AssumeRolePolicyDocument.Statement).toEqual([
        {
          Action: 'sts:AssumeRole',
          Effect: 'Allow',
          Principal: { Service: 'ecs-tasks.amazonaws.com' },
          Condition: {
            StringEquals: { 'aws:SourceAccount': account },
            ArnLike: {
              'aws:SourceArn': {
                'Fn::Join': [
                  '',
                  ['arn:', { Ref: 'AWS::Partition' }, ':ecs:', { Ref: 'AWS::Region' }, ':', account, ':*'],
                ],
              },
            },
          },
        },
      ]);
    });

    test(`${place} replicas start once they can pull the image, read the model and reach the network`, () => {
      const { template } = deploy();
      const { DependsOn } = theOnly(template, 'AWS::ECS::Service');
      const policies = resourcesOf(template, 'AWS::IAM::Policy').map(({ id }) => id);
      const pull = policies.filter((id) => id.includes('ExecutionRoleDefaultPolicy'));
      const read = policies.filter((id) => id.includes('ReadModels'));
      const routes = resourcesOf(template, 'AWS::EC2::Route')
        .map(({ id }) => id)
        .filter((id) => id.includes('PrivateSubnet'));
      expect([pull.length, read.length, routes.length]).toEqual([1, 1, 2]);
      expect(DependsOn).toEqual(expect.arrayContaining([...pull, ...read, ...routes]));
    });

    test(`${place} the server is told what the plan says, and no secret`, () => {
      const deployed = deploy();
      const container = containerOf(deployed);
      expect(container.Secrets).toBeUndefined();
      const environment = environmentOf(deployed.template);
      const settings = readEnvironment({
        ...(environment as Record<string, string>),
        SLIPWAY_MODELS: 'file:///late-bound',
        SLIPWAY_CLUSTER_NAME: 'late-bound',
      });
      const { lifecycle, resources } = deployed.plan;
      expect(settings).toMatchObject({
        contract: deploy === onGpu ? 2 : deployed.plan.contract,
        executionProvider: deployed.plan.executionProvider,
        intraOpThreads: resources.intraOpThreads,
        startupBudgetSeconds: lifecycle.startupBudgetSeconds,
        requestDeadlineSeconds: lifecycle.requestDeadlineSeconds,
        keepAliveSeconds: lifecycle.keepAliveSeconds,
        serviceName: 'digits',
        cloudwatchMetrics: true,
      });
      expect(environment['SLIPWAY_CLUSTER_NAME']).toEqual({ Ref: theOnly(deployed.template, 'AWS::ECS::Cluster').id });
      expect(environment['AWS_REGION']).toEqual({ Ref: 'AWS::Region' });
    });

    test(`${place} the container check asks whether the server lives, with the plan's patience`, () => {
      const deployed = deploy();
      const { lifecycle } = deployed.plan;
      expect(containerOf(deployed).HealthCheck).toEqual({
        Command: ['CMD', 'node', '/app/healthcheck.mjs'],
        Interval: lifecycle.livenessProbe.periodSeconds,
        Timeout: lifecycle.livenessProbe.timeoutSeconds,
        Retries: lifecycle.livenessProbe.failureThreshold,
        StartPeriod: lifecycle.containerCheckStartPeriodSeconds,
      });
      expect(containerOf(deployed).StopTimeout).toBe(lifecycle.stopTimeoutSeconds);
    });

    test(`${place} the load balancer sends requests to ready replicas, and to the least busy of them`, () => {
      const { template, plan } = deploy();
      const { loadBalancerCheck: check, deregistrationDelaySeconds } = plan.lifecycle;
      const target = theOnly(template, 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties;
      expect(target).toMatchObject({
        TargetType: 'ip',
        Port: 8080,
        Protocol: 'HTTP',
        HealthCheckPath: '/readyz',
        Matcher: { HttpCode: '200' },
        HealthCheckIntervalSeconds: check.intervalSeconds,
        HealthCheckTimeoutSeconds: check.timeoutSeconds,
        HealthyThresholdCount: check.healthyThreshold,
        UnhealthyThresholdCount: check.unhealthyThreshold,
      });
      expect(target.TargetGroupAttributes).toEqual(
        expect.arrayContaining([
          { Key: 'load_balancing.algorithm.type', Value: 'least_outstanding_requests' },
          { Key: 'deregistration_delay.timeout_seconds', Value: String(deregistrationDelaySeconds) },
        ]),
      );
      expect(JSON.stringify(target.TargetGroupAttributes)).not.toContain('slow_start');
    });

    test(`${place} the load balancer's idle timeout is the plan's, and bad headers are dropped`, () => {
      const { template, plan } = deploy();
      const balancer = theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
      expect(balancer.LoadBalancerAttributes).toEqual(
        expect.arrayContaining([
          { Key: 'idle_timeout.timeout_seconds', Value: String(plan.lifecycle.idleTimeoutSeconds) },
          { Key: 'routing.http.drop_invalid_header_fields.enabled', Value: 'true' },
        ]),
      );
    });

    test(`${place} a rollout keeps every replica, gives up after three failed starts and rolls back`, () => {
      const { template, plan } = deploy();
      const service = theOnly(template, 'AWS::ECS::Service').Properties;
      expect(service.DeploymentConfiguration).toMatchObject({
        MinimumHealthyPercent: 100,
        MaximumPercent: 200,
        DeploymentCircuitBreaker: {
          Enable: true,
          Rollback: true,
          ThresholdConfiguration: { Type: 'COUNT', Value: 3 },
        },
      });
      expect(service.AvailabilityZoneRebalancing).toBe('ENABLED');
      expect(service.HealthCheckGracePeriodSeconds).toBe(plan.lifecycle.loadBalancerCheck.gracePeriodSeconds);
    });

    test(`${place} without a spare replica a rollout stops one before it starts one, and zones are left alone`, () => {
      const { template } = deploy({ spareReplica: false });
      const service = theOnly(template, 'AWS::ECS::Service').Properties;
      expect(service.DeploymentConfiguration).toMatchObject({ MinimumHealthyPercent: 0, MaximumPercent: 100 });
      expect(service.AvailabilityZoneRebalancing).toBe('DISABLED');
    });

    test(`${place} the autoscaler owns the count and holds the saturation that replicas publish`, () => {
      const { template, plan } = deploy({ minReplicas: 3, maxReplicas: 7, targetSaturation: 0.6 });
      expect(theOnly(template, 'AWS::ECS::Service').Properties.DesiredCount).toBeUndefined();
      expect(theOnly(template, 'AWS::ApplicationAutoScaling::ScalableTarget').Properties).toMatchObject({
        MinCapacity: 3,
        MaxCapacity: 7,
        ScalableDimension: 'ecs:service:DesiredCount',
      });
      const policy = theOnly(template, 'AWS::ApplicationAutoScaling::ScalingPolicy').Properties;
      expect(policy.PolicyType).toBe('TargetTrackingScaling');
      expect(policy.TargetTrackingScalingPolicyConfiguration).toEqual({
        TargetValue: 0.6,
        ScaleInCooldown: plan.scaling.scaleInCooldownSeconds,
        ScaleOutCooldown: plan.scaling.scaleOutCooldownSeconds,
        CustomizedMetricSpecification: {
          Namespace: 'Slipway',
          MetricName: 'slipway_saturation',
          Dimensions: [
            { Name: 'cluster', Value: { Ref: theOnly(template, 'AWS::ECS::Cluster').id } },
            { Name: 'service', Value: 'digits' },
          ],
          Statistic: 'Average',
        },
      });
    });

    test(`${place} logs go to a group of its own that ends after a month, and never block the server`, () => {
      const deployed = deploy();
      const group = theOnly(deployed.template, 'AWS::Logs::LogGroup');
      expect(group.Properties.RetentionInDays).toBe(30);
      expect(containerOf(deployed).LogConfiguration).toMatchObject({
        LogDriver: 'awslogs',
        Options: {
          'awslogs-group': { Ref: group.id },
          'awslogs-stream-prefix': 'digits',
          mode: 'non-blocking',
          'max-buffer-size': '26214400b',
        },
      });
    });

    test(`${place} a container says which models it serves and by which contract`, () => {
      const deployed = deploy();
      expect(containerOf(deployed).DockerLabels).toEqual({
        'slipway.dev/models': deployed.plan.modelsRevision,
        // An image of contract 1 has no folder in which its user may keep models.
        'slipway.dev/contract': deploy === onGpu ? '2' : '1',
      });
    });
  }

  test('a machine keeps the models of services apart: the volume of each is named after it and its stack', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    const capacity = addGroup(stack, { cluster });
    const props = { cluster, capacity, image: imageByDigest(stack), plaintextInsideVpc: true } as const;
    for (const id of ['Digits', 'Letters']) {
      new InferenceService(stack, id, { ...props, models: [Model.fromAsset(DIGITS)] });
    }
    const tasks = resourcesOf(Template.fromStack(stack), 'AWS::ECS::TaskDefinition').map(({ Properties }) => ({
      shared: Properties.Volumes.filter(({ DockerVolumeConfiguration: each }: any) => each.Scope === 'shared'),
      host: Properties.Volumes.filter(({ Host }: any) => Host !== undefined),
      mounted: Properties.ContainerDefinitions[0].MountPoints,
    }));
    expect(tasks.map(({ shared, host }) => [shared.map(({ Name }: any) => Name), host])).toEqual([
      [[{ 'Fn::Join': ['-', ['slipway-models-digits', OF_THE_STACK]] }], []],
      [[{ 'Fn::Join': ['-', ['slipway-models-letters', OF_THE_STACK]] }], []],
    ]);
    for (const { shared, mounted } of tasks) expect(mounted[0].SourceVolume).toEqual(shared[0].Name);
  });

  test('on Fargate a replica has the size of the plan', () => {
    const { template, plan } = onFargate({ vcpu: 2, memoryMiB: 5120 });
    expect(theOnly(template, 'AWS::ECS::TaskDefinition').Properties).toMatchObject({
      RequiresCompatibilities: ['FARGATE'],
      NetworkMode: 'awsvpc',
      Cpu: '2048',
      Memory: '5120',
      RuntimePlatform: { CpuArchitecture: 'X86_64', OperatingSystemFamily: 'LINUX' },
    });
    expect(plan.resources.capacity).toBe('fargate');
    expect(theOnly(template, 'AWS::ECS::Service').Properties.LaunchType).toBe('FARGATE');
  });

  test('on GPU machines a replica has a GPU and its share of the smallest machine', () => {
    const deployed = onGpu();
    const { resources } = deployed.plan;
    expect(resources.executionProvider).toBe('cuda');
    expect(containerOf(deployed).ResourceRequirements).toEqual([{ Type: 'GPU', Value: '1' }]);
    expect(theOnly(deployed.template, 'AWS::ECS::TaskDefinition').Properties).toMatchObject({
      RequiresCompatibilities: ['EC2'],
      NetworkMode: 'awsvpc',
      Cpu: String(resources.vcpu * 1024),
      Memory: String(resources.memoryMiB),
    });
    expect(containerOf(deployed).Memory).toBe(resources.memoryMiB);
  });

  test('on GPU machines any share of a machine is whole CPU units', () => {
    const { template } = onGpu({ vcpu: 3.3 });
    expect(theOnly(template, 'AWS::ECS::TaskDefinition').Properties.Cpu).toBe('3379');
  });

  test('on GPU machines replicas go to the capacity provider, spread over zones', () => {
    const { template } = onGpu();
    const service = theOnly(template, 'AWS::ECS::Service').Properties;
    expect(service.LaunchType).toBeUndefined();
    expect(service.CapacityProviderStrategy).toEqual([
      { CapacityProvider: { Ref: theOnly(template, 'AWS::ECS::CapacityProvider').id }, Weight: 1 },
    ]);
    expect(service.PlacementStrategies[0]).toEqual({ Type: 'spread', Field: 'attribute:ecs.availability-zone' });
  });

  test('with a certificate the listener speaks TLS 1.2 and newer on port 443', () => {
    const stack = newStack();
    const certificate = acm.Certificate.fromCertificateArn(
      stack,
      'Certificate',
      'arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000',
    );
    const service = newFargateService(stack, { certificate });
    const listener = theOnly(Template.fromStack(stack), 'AWS::ElasticLoadBalancingV2::Listener').Properties;
    expect(listener).toMatchObject({
      Port: 443,
      Protocol: 'HTTPS',
      SslPolicy: 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06',
      Certificates: [{ CertificateArn: certificate.certificateArn }],
    });
    expect(service.url).toMatch(/^https:/);
  });

  test('a client that is let in reaches the listener and nothing else', () => {
    const stack = newStack();
    const service = newFargateService(stack);
    const client = new ec2.SecurityGroup(stack, 'Client', { vpc: service.cluster.vpc });
    service.connections.allowDefaultPortFrom(client);
    const template = Template.fromStack(stack);
    const fromClient = resourcesOf(template, 'AWS::EC2::SecurityGroupIngress').filter(({ Properties }) =>
      JSON.stringify(Properties.SourceSecurityGroupId).includes('Client'),
    );
    expect(fromClient).toHaveLength(1);
    expect(fromClient[0]!.Properties).toMatchObject({
      FromPort: 80,
      ToPort: 80,
      GroupId: { 'Fn::GetAtt': [expect.stringContaining('LoadBalancer'), 'GroupId'] },
    });
  });

  test('in production logs are kept when the service is deleted, in development nothing is', () => {
    const deletionOf = (preset: 'production' | 'development'): string | undefined =>
      theOnly(onFargate({ preset }).template, 'AWS::Logs::LogGroup').DeletionPolicy;
    expect(deletionOf('production')).toBe('Retain');
    expect(deletionOf('development')).toBe('Delete');
    const kept = Object.entries(onFargate({ preset: 'development' }).template.toJSON().Resources as object).filter(
      ([, resource]) => ['Retain', 'Snapshot'].includes(resource.DeletionPolicy),
    );
    expect(kept).toEqual([]);
  });
});

test('the name is the construct id in lower case with dashes, unless the author gives one', () => {
  const named = (serviceName?: string): string =>
    newFargateService(newStack(), { plaintextInsideVpc: true, serviceName }).plan.name;
  expect(named()).toBe('digits');
  expect(named('checkout-digits')).toBe('checkout-digits');
});

test('an id with other characters is a name all the same', () => {
  const stack = newStack();
  const service = new InferenceService(stack, 'My_Digits v2', {
    cluster: newCluster(stack),
    image: imageByDigest(stack),
    models: [Model.fromAsset(DIGITS)],
    plaintextInsideVpc: true,
  });
  expect(service.plan.name).toBe('my-digits-v2');
});

test('two services of one name in one cluster are refused: each would scale on the load of the other', () => {
  const synthesize = (choose: (cluster: ecs.Cluster) => ecs.ICluster) => () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    newFargateService(stack, { plaintextInsideVpc: true, cluster });
    new InferenceService(new Construct(stack, 'Team'), 'Digits', {
      cluster: choose(cluster),
      image: imageByDigest(stack, 'Theirs'),
      models: [Model.fromAsset(DIGITS)],
      plaintextInsideVpc: true,
    });
    Template.fromStack(stack);
  };
  expect(synthesize((cluster) => cluster)).toThrow(
    "NAME_TAKEN serviceName: 'digits' is the name of 'Stack/Digits' in the same cluster; give one of them another",
  );
  expect(synthesize(({ stack, vpc }) => new ecs.Cluster(stack, 'Elsewhere', { vpc }))).not.toThrow();
});

test('an imported cluster is the same in every stack of its account and region', () => {
  const synthesize =
    (...regions: readonly string[]) =>
    () => {
      const app = new App({ analyticsReporting: false });
      regions.forEach((region, i) => {
        const stack = new Stack(app, `Stack${i}`, { env: { account: '111122223333', region } });
        const vpc = new ec2.Vpc(stack, 'Vpc', { maxAzs: 2, restrictDefaultSecurityGroup: false });
        const cluster = ecs.Cluster.fromClusterAttributes(stack, 'Theirs', { clusterName: 'shared', vpc });
        newFargateService(stack, { plaintextInsideVpc: true, cluster });
      });
      app.synth();
    };
  expect(synthesize('eu-west-1', 'eu-west-1')).toThrow(
    "NAME_TAKEN serviceName: 'digits' is the name of 'Stack0/Digits'",
  );
  expect(synthesize('eu-west-1', 'eu-central-1')).not.toThrow();
});

test('a log group that makes no metrics of its lines is refused: the service would never scale', () => {
  const deploy = (logGroupClass: logs.LogGroupClass) => () => {
    const stack = newStack();
    newFargateService(stack, {
      plaintextInsideVpc: true,
      logGroup: new logs.LogGroup(stack, 'Theirs', { logGroupClass }),
    });
  };
  expect(deploy(logs.LogGroupClass.INFREQUENT_ACCESS)).toThrow(
    'LOG_GROUP_CLASS logGroup: must be of class STANDARD, for CloudWatch takes the scaling metric from it, got INFREQUENT_ACCESS',
  );
  expect(deploy(logs.LogGroupClass.STANDARD)).not.toThrow();
});

test('the policy and the alarm name the metric exactly as a replica publishes it', () => {
  const stack = newStack();
  newFargateService(stack);
  const template = Template.fromStack(stack);
  const { SLIPWAY_CLUSTER_NAME: cluster, SLIPWAY_SERVICE_NAME: service } = environmentOf(template);
  const period = { values: { slipway_saturation: 0.5 }, outcomes: {} };
  const line = embeddedMetrics({ cluster: 'cluster', service: String(service) }, period, Date.now()) as any;
  const [{ Namespace, Dimensions, Metrics }] = line._aws.CloudWatchMetrics;
  const { CustomizedMetricSpecification: tracked } = theOnly(template, 'AWS::ApplicationAutoScaling::ScalingPolicy')
    .Properties.TargetTrackingScalingPolicyConfiguration;
  const alarm = resourcesOf(template, 'AWS::CloudWatch::Alarm').find(({ id }) => id.includes('Saturation'))!.Properties;
  for (const reader of [tracked, alarm]) {
    expect(reader.Namespace).toBe(Namespace);
    expect(reader.MetricName).toBe(Metrics[0].Name);
    expect(reader.Unit).toBeUndefined();
    expect(reader.Dimensions.map(({ Name }: any) => Name)).toEqual(Dimensions[0]);
    expect(reader.Dimensions).toEqual([
      { Name: 'cluster', Value: cluster },
      { Name: 'service', Value: line.service },
    ]);
  }
});

test('a log group of the author is used and none is made', () => {
  const stack = newStack();
  newFargateService(stack, {
    plaintextInsideVpc: true,
    logGroup: logs.LogGroup.fromLogGroupName(stack, 'Theirs', '/team/inference'),
  });
  Template.fromStack(stack).resourceCountIs('AWS::Logs::LogGroup', 0);
});

test('large models get the storage they need on Fargate, and what Fargate does not have is refused', () => {
  const deploy = (gibibytes: number): Stack => {
    const stack = newStack();
    const models = ModelBucket.fromBucket(stack, 'Models', s3.Bucket.fromBucketName(stack, 'Bucket', 'team-models'));
    const { facts } = Model.fromAsset(DIGITS).spec;
    const folder = folderWith({
      'manifest.json': serializeManifest({
        schema: MANIFEST_SCHEMA,
        name: 'digits',
        version: 1,
        files: [{ path: 'model.onnx', bytes: gibibytes * 2 ** 30, sha256: '0'.repeat(64) }],
        facts: { ...facts!, fileBytes: gibibytes * 2 ** 30 },
      }),
    });
    newFargateService(stack, {
      plaintextInsideVpc: true,
      startupBudgetSeconds: 3600,
      models: [Model.fromBucket(models, 'digits', { manifest: join(folder, 'manifest.json') })],
    });
    return stack;
  };
  const { EphemeralStorage } = theOnly(Template.fromStack(deploy(12)), 'AWS::ECS::TaskDefinition').Properties;
  // The version that is running, the next one beside it, temporary files and the image.
  expect(EphemeralStorage.SizeInGiB).toBe(12 + 12 + 1 + 4);
  expect(() => deploy(120)).toThrow(
    'FARGATE_SIZE models: image and models need 245 GiB of storage, Fargate gives at most 200',
  );
});

test('a spec that contradicts itself is refused before anything is declared', () => {
  const refused = (props: Partial<InferenceServiceProps>): (() => unknown) => {
    return () => newFargateService(newStack(), { plaintextInsideVpc: true, ...props });
  };
  expect(refused({ minReplicas: 4, maxReplicas: 2 })).toThrow(
    'REPLICA_RANGE maxReplicas: must be at least minReplicas (4), got 2',
  );
  expect(refused({ executionProvider: 'cuda' })).toThrow('GPU_ON_FARGATE');
  expect(refused({ stopTimeoutSeconds: 10 })).toThrow('DRAIN_EXCEEDS_STOP_TIMEOUT');
  expect(refused({ requestDeadlineSeconds: 300 })).toThrow('STOP_TIMEOUT_TOO_LONG');
  expect(refused({ models: [] })).toThrow('MODELS_EMPTY');
  expect(refused({ plaintextInsideVpc: false })).toThrow(
    'LISTENER_PLAINTEXT certificate: the listener needs a certificate',
  );
});

test('a listener cannot be encrypted and plain at once', () => {
  const stack = newStack();
  const certificate = acm.Certificate.fromCertificateArn(
    stack,
    'C',
    'arn:aws:acm:us-east-1:123456789012:certificate/0',
  );
  expect(() => newFargateService(stack, { certificate, plaintextInsideVpc: true })).toThrow(
    'LISTENER_PLAINTEXT certificate: got a certificate and plaintextInsideVpc',
  );
});

test('machines that joined another cluster are refused', () => {
  const stack = newStack();
  const cluster = newCluster(stack);
  const other = new ecs.Cluster(stack, 'Other', { vpc: cluster.vpc });
  const capacity = new GpuInstanceGroup(stack, 'L4', {
    cluster: other,
    instanceTypes: ['g6.xlarge'],
    machineImage: pinnedMachineImage(),
  });
  const parent = new Stack(stack, 'Inner');
  expect(() => newFargateService(parent, { cluster, capacity, plaintextInsideVpc: true })).toThrow(
    "CLUSTER_MISMATCH cluster: got 'Stack/Cluster', but the machines of 'Stack/L4' join 'Stack/Other'",
  );
});

test('warns when the machines leave a rollout no room, with the numbers', () => {
  const warned = (maxSize: number, spareReplica: boolean): unknown[] => {
    const stack = newStack();
    const cluster = newCluster(stack);
    const capacity = new GpuInstanceGroup(stack, 'Four', {
      cluster,
      // Four GPUs each, so four replicas.
      instanceTypes: ['g6.12xlarge'],
      machineImage: pinnedMachineImage(),
      maxSize,
    });
    newFargateService(stack, { plaintextInsideVpc: true, cluster, capacity, maxReplicas: 8, spareReplica });
    return Annotations.fromStack(stack)
      .findWarning('/Stack/Digits', Match.stringLikeRegexp('no-room-for-rollout'))
      .map(({ entry }) => entry.data);
  };
  expect(warned(2, true)).toEqual([
    expect.stringContaining('at most 2 machines has 8 places, 8 replicas need 9 during a rollout'),
  ]);
  expect(warned(3, true)).toEqual([]);
  expect(warned(2, false)).toEqual([]);
});

test('a cluster that another team owns takes a Fargate service', () => {
  const stack = newStack();
  const vpc = new ec2.Vpc(stack, 'TheirVpc', { restrictDefaultSecurityGroup: false });
  const cluster = ecs.Cluster.fromClusterAttributes(stack, 'Theirs', { clusterName: 'shared', vpc });
  newFargateService(stack, { plaintextInsideVpc: true, cluster });
  const template = Template.fromStack(stack);
  expect(theOnly(template, 'AWS::ECS::Service').Properties.Cluster).toBe('shared');
  expect(environmentOf(template)['SLIPWAY_CLUSTER_NAME']).toBe('shared');
});

test('a CPU model may have machines to itself', () => {
  const stack = newStack();
  const service = newGpuService(stack, { executionProvider: 'cpu' });
  expect(service.plan.resources).toMatchObject({ capacity: 'instances', gpuCount: 0 });
  const [container] = theOnly(Template.fromStack(stack), 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions;
  expect(container.ResourceRequirements).toBeUndefined();
});
