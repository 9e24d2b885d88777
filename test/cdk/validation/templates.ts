import type { CloudFormationResource, CloudFormationTemplate, RuleId } from 'slipway/cdk/validation';

type Resources = Record<string, CloudFormationResource>;
type Properties = Record<string, unknown>;

export interface RuleCase {
  /** The one mistake is at the resource of this logical id. */
  readonly at: string;
  readonly fails: CloudFormationTemplate;
  /** The same without the mistake, and near misses. */
  readonly passes: readonly CloudFormationTemplate[];
}

const IMAGE = `registry.example/server@sha256:${'0123456789abcdef'.repeat(4)}`;
const GPU_PARAMETER = '/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id';
const ECS_CONFIG = [
  'ECS_CLUSTER=${Cluster}',
  'ECS_AWSVPC_BLOCK_IMDS=true',
  'ECS_ENABLE_SPOT_INSTANCE_DRAINING=true',
  'ECS_WARM_POOLS_CHECK=true',
];
/** What only deployment knows. */
const UNKNOWN = { 'Fn::ImportValue': 'SomethingElse' };
const NO_VALUE = { Ref: 'AWS::NoValue' };

function template(resources: Resources, imageParameter = GPU_PARAMETER): CloudFormationTemplate {
  const Image = { Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: imageParameter };
  return { Parameters: { Image }, Resources: resources };
}

function container(properties: Properties = {}): Properties {
  return { Name: 'server', Image: IMAGE, ...properties };
}

const GPU = { ResourceRequirements: [{ Type: 'GPU', Value: '1' }] };

function task(properties: Properties = {}, kind: unknown = 'EC2'): CloudFormationResource {
  return {
    Type: 'AWS::ECS::TaskDefinition',
    Properties: { RequiresCompatibilities: [kind], ContainerDefinitions: [container(properties)] },
  };
}

const BREAKER = { DeploymentCircuitBreaker: { Enable: true, Rollback: true } };

function service(properties: Properties = {}, dependsOn: readonly string[] = ['Association']): CloudFormationResource {
  return {
    Type: 'AWS::ECS::Service',
    DependsOn: dependsOn,
    Properties: {
      TaskDefinition: { Ref: 'Task' },
      CapacityProviderStrategy: [{ CapacityProvider: { Ref: 'Provider' }, Weight: 1 }],
      LoadBalancers: [{ ContainerName: 'server', ContainerPort: 8080, TargetGroupArn: { Ref: 'Targets' } }],
      HealthCheckGracePeriodSeconds: 600,
      DeploymentConfiguration: BREAKER,
      ...properties,
    },
  };
}

function launchTemplate(data: Properties = {}, config: readonly string[] = ECS_CONFIG): CloudFormationResource {
  const script = config.map((line) => `echo ${line} >> /etc/ecs/ecs.config`).join('\n');
  return {
    Type: 'AWS::EC2::LaunchTemplate',
    Properties: {
      LaunchTemplateData: {
        InstanceType: 'g6.xlarge',
        ImageId: { Ref: 'Image' },
        MetadataOptions: { HttpTokens: 'required' },
        UserData: { 'Fn::Base64': { 'Fn::Sub': `#!/bin/bash\n${script}` } },
        ...data,
      },
    },
  };
}

function group(properties: Properties = {}): CloudFormationResource {
  return {
    Type: 'AWS::AutoScaling::AutoScalingGroup',
    Properties: { LaunchTemplate: { LaunchTemplateId: { Ref: 'Launch' } }, ...properties },
  };
}

function mixed(types: readonly string[], distribution: Properties = {}): Properties {
  return {
    LaunchTemplate: NO_VALUE,
    MixedInstancesPolicy: {
      InstancesDistribution: distribution,
      LaunchTemplate: {
        LaunchTemplateSpecification: { LaunchTemplateId: { Ref: 'Launch' } },
        Overrides: types.map((InstanceType) => ({ InstanceType })),
      },
    },
  };
}

const SPOT = mixed(['g6.xlarge', 'g5.xlarge'], { OnDemandPercentageAboveBaseCapacity: 0 });
const ON_DEMAND = mixed(['g6.xlarge', 'g5.xlarge'], { OnDemandPercentageAboveBaseCapacity: 100 });

function provider(properties: Properties = { ManagedDraining: 'ENABLED' }): CloudFormationResource {
  return {
    Type: 'AWS::ECS::CapacityProvider',
    Properties: { AutoScalingGroupProvider: { AutoScalingGroupArn: { Ref: 'Group' }, ...properties } },
  };
}

function warmPool(properties: Properties = {}): CloudFormationResource {
  return { Type: 'AWS::AutoScaling::WarmPool', Properties: { AutoScalingGroupName: { Ref: 'Group' }, ...properties } };
}

const ASSOCIATION: CloudFormationResource = {
  Type: 'AWS::ECS::ClusterCapacityProviderAssociations',
  Properties: { Cluster: { Ref: 'Cluster' }, CapacityProviders: [{ Ref: 'Provider' }] },
};
const CLUSTER: CloudFormationResource = { Type: 'AWS::ECS::Cluster' };

/** A GPU service on machines of its own, in which no rule finds anything. */
const GPU_SERVICE: Resources = {
  Cluster: CLUSTER,
  Launch: launchTemplate(),
  Group: group(),
  Provider: provider(),
  Association: ASSOCIATION,
  Task: task(GPU),
  Service: service(),
};

function gpuService(changed: Resources): CloudFormationTemplate {
  return template({ ...GPU_SERVICE, ...changed });
}

function one(resource: CloudFormationResource, imageParameter?: string): CloudFormationTemplate {
  return template({ It: resource }, imageParameter);
}

function targetGroup(attributes: Properties, properties: Properties = {}): CloudFormationResource {
  const TargetGroupAttributes = Object.entries(attributes).map(([Key, Value]) => ({ Key, Value }));
  return { Type: 'AWS::ElasticLoadBalancingV2::TargetGroup', Properties: { TargetGroupAttributes, ...properties } };
}

function scaled(metric: string, configuration: Properties): CloudFormationTemplate {
  return gpuService({
    Service: service({ DeploymentConfiguration: { ...BREAKER, ...configuration }, LoadBalancers: [SHIFTED] }),
    Target: scalableTarget('Service'),
    Policy: {
      Type: 'AWS::ApplicationAutoScaling::ScalingPolicy',
      Properties: {
        ScalingTargetId: { Ref: 'Target' },
        TargetTrackingScalingPolicyConfiguration: {
          PredefinedMetricSpecification: { PredefinedMetricType: metric },
        },
      },
    },
  });
}

const SHIFTED = {
  TargetGroupArn: { Ref: 'Blue' },
  AdvancedConfiguration: { AlternateTargetGroupArn: { Ref: 'Green' } },
};

function scalableTarget(of: string): CloudFormationResource {
  const name = { 'Fn::GetAtt': [of, 'Name'] };
  return {
    Type: 'AWS::ApplicationAutoScaling::ScalableTarget',
    Properties: { ResourceId: { 'Fn::Join': ['', ['service/', { Ref: 'Cluster' }, '/', name]] } },
  };
}

function grpcBehind(protocol: unknown): CloudFormationTemplate {
  return template({
    Grpc: targetGroup({}, { ProtocolVersion: 'GRPC' }),
    Listener: {
      Type: 'AWS::ElasticLoadBalancingV2::Listener',
      Properties: { Protocol: protocol, DefaultActions: [{ Type: 'fixed-response' }] },
    },
    Rule: {
      Type: 'AWS::ElasticLoadBalancingV2::ListenerRule',
      Properties: {
        ListenerArn: { Ref: 'Listener' },
        Actions: [{ Type: 'forward', TargetGroupArn: { Ref: 'Grpc' } }],
      },
    },
  });
}

function grant(statement: Properties, role = 'TaskRole'): CloudFormationTemplate {
  return template({
    Models: { Type: 'AWS::S3::Bucket' },
    TaskRole: { Type: 'AWS::IAM::Role' },
    OtherRole: { Type: 'AWS::IAM::Role' },
    Task: {
      Type: 'AWS::ECS::TaskDefinition',
      Properties: { TaskRoleArn: { 'Fn::GetAtt': ['TaskRole', 'Arn'] }, ContainerDefinitions: [container()] },
    },
    Policy: {
      Type: 'AWS::IAM::Policy',
      Properties: { Roles: [{ Ref: role }], PolicyDocument: { Statement: [{ Effect: 'Allow', ...statement }] } },
    },
  });
}

const BUCKET_AND_KEYS = [
  { 'Fn::GetAtt': ['Models', 'Arn'] },
  { 'Fn::Join': ['', [{ 'Fn::GetAtt': ['Models', 'Arn'] }, '/*']] },
];

function nodegroup(properties: Properties): CloudFormationResource {
  return { Type: 'AWS::EKS::Nodegroup', Properties: properties };
}

function computeEnvironment(resources: Properties): CloudFormationResource {
  return { Type: 'AWS::Batch::ComputeEnvironment', Properties: { ComputeResources: resources } };
}

function endpointConfig(variant: Properties): CloudFormationResource {
  return { Type: 'AWS::SageMaker::EndpointConfig', Properties: { ProductionVariants: [variant] } };
}

const awslogs = (options: Properties): Properties => ({
  ...GPU,
  LogConfiguration: { LogDriver: 'awslogs', Options: options },
});
const publicIp = (assign: unknown): Properties => ({
  NetworkConfiguration: { AwsvpcConfiguration: { AssignPublicIp: assign } },
});
const without = (line: string): readonly string[] => ECS_CONFIG.filter((each) => !each.startsWith(line));

/** For every rule a template with the mistake, and templates without it. */
export const CASES: Readonly<Record<RuleId, RuleCase>> = {
  GPU_ON_FARGATE: {
    at: 'It',
    fails: one(task(GPU, 'FARGATE')),
    passes: [
      one(task({}, 'FARGATE')),
      one(task(GPU, 'EC2')),
      one(task(GPU, 'MANAGED_INSTANCES')),
      one(task({ ResourceRequirements: UNKNOWN }, 'FARGATE')),
      one(task({ ResourceRequirements: { 'Fn::If': ['HasGpu', NO_VALUE, NO_VALUE] } }, 'FARGATE')),
    ],
  },
  STOP_TIMEOUT_ON_FARGATE: {
    at: 'It',
    fails: one(task({ StopTimeout: 121 }, 'FARGATE')),
    passes: [
      one(task({ StopTimeout: 120 }, 'FARGATE')),
      one(task({ StopTimeout: 600 }, 'EC2')),
      one(task({ StopTimeout: UNKNOWN }, 'FARGATE')),
    ],
  },
  START_PERIOD_TOO_LONG: {
    at: 'It',
    fails: one(task({ HealthCheck: { StartPeriod: { 'Fn::If': ['IsLarge', '900', 300] } } })),
    passes: [one(task({ HealthCheck: { StartPeriod: 300 } })), one(task({ HealthCheck: { StartPeriod: UNKNOWN } }))],
  },
  BLOCKING_LOGS: {
    at: 'It',
    fails: one(task(awslogs({ 'awslogs-group': 'models' }))),
    passes: [
      one(task(awslogs({ mode: 'non-blocking' }))),
      one(task(awslogs({ mode: UNKNOWN }))),
      one(task({ LogConfiguration: { LogDriver: 'awslogs' } })),
      one(task({ ...GPU, LogConfiguration: { LogDriver: 'awsfirelens' } })),
    ],
  },
  UNPINNED_IMAGE: {
    at: 'It',
    fails: one(task({ Image: 'registry.example/server:latest' })),
    passes: [
      one(task({ Image: IMAGE })),
      one(task({ Image: { 'Fn::Sub': '${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/assets:abc' } })),
    ],
  },
  BUCKET_WIDE_MODEL_GRANT: {
    at: 'Policy',
    fails: grant({ Action: ['s3:GetObject*', 's3:GetBucket*', 's3:List*'], Resource: BUCKET_AND_KEYS }),
    passes: [
      grant({ Action: ['s3:GetObject', 's3:GetObjectVersion'], Resource: BUCKET_AND_KEYS[1] }),
      grant({ Action: 's3:List*', Resource: UNKNOWN }),
      grant({
        Action: 's3:ListBucket',
        Resource: BUCKET_AND_KEYS,
        Condition: { StringLike: { 's3:prefix': 'digits/*' } },
      }),
      grant({ Action: 's3:*', Resource: BUCKET_AND_KEYS }, 'OtherRole'),
    ],
  },
  PUBLIC_TASK: {
    at: 'Service',
    fails: gpuService({ Service: service(publicIp('ENABLED')) }),
    passes: [
      gpuService({ Service: service(publicIp('DISABLED')) }),
      gpuService({ Service: service(publicIp(UNKNOWN)) }),
      gpuService({ Service: service(publicIp('ENABLED')), Task: task() }),
    ],
  },
  UNKNOWN_GPU_TYPE: {
    at: 'Launch',
    fails: gpuService({ Launch: launchTemplate({ InstanceType: 'g99.xlarge' }), Task: task() }),
    passes: [
      gpuService({ Launch: launchTemplate({ InstanceType: 'p6-b200.48xlarge' }) }),
      gpuService({ Launch: launchTemplate({ InstanceType: UNKNOWN }) }),
      one(computeEnvironment({ InstanceTypes: ['g6', 'c7i'], Ec2Configuration: [{ ImageType: 'ECS_AL2023_NVIDIA' }] })),
      one({ Type: 'AWS::EC2::Instance', Properties: { InstanceType: 't3.micro' } }),
    ],
  },
  AMAZON_LINUX_2_IMAGE: {
    at: 'It',
    fails: one(launchTemplate(), '/aws/service/ecs/optimized-ami/amazon-linux-2/gpu/recommended/image_id'),
    passes: [
      one(launchTemplate()),
      one(launchTemplate({ ImageId: UNKNOWN })),
      one(nodegroup({ AmiType: 'AL2023_x86_64_STANDARD' })),
      one(computeEnvironment({ Ec2Configuration: [{ ImageType: 'ECS_AL2023' }] })),
    ],
  },
  LAUNCH_CONFIGURATION: {
    at: 'It',
    fails: one({ Type: 'AWS::AutoScaling::LaunchConfiguration', Properties: { InstanceType: 'g5.xlarge' } }),
    passes: [
      one({ Type: 'AWS::AutoScaling::LaunchConfiguration', Properties: { InstanceType: 'm5.large' } }),
      one({ Type: 'AWS::AutoScaling::LaunchConfiguration', Properties: { InstanceType: UNKNOWN } }),
    ],
  },
  GPU_TYPE_WITHOUT_GPU_IMAGE: {
    at: 'It',
    fails: one(launchTemplate(), '/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id'),
    passes: [
      one(launchTemplate()),
      one(launchTemplate(), '/aws/service/bottlerocket/aws-ecs-2-nvidia/x86_64/latest/image_id'),
      one(launchTemplate(), '/team/image'),
      one(launchTemplate({ ImageId: 'ami-0123456789abcdef0' })),
      one(
        launchTemplate({ InstanceType: 'm7i.large' }),
        '/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id',
      ),
    ],
  },
  IMDS_V1: {
    at: 'Launch',
    fails: gpuService({ Launch: launchTemplate({ MetadataOptions: { HttpTokens: 'optional' } }) }),
    passes: [
      gpuService({ Launch: launchTemplate({ MetadataOptions: { HttpTokens: UNKNOWN } }) }),
      one({ Type: 'AWS::EC2::LaunchTemplate', Properties: { LaunchTemplateData: { InstanceType: 't3.micro' } } }),
    ],
  },
  TASKS_REACH_IMDS: {
    at: 'Launch',
    fails: gpuService({ Launch: launchTemplate({}, without('ECS_AWSVPC_BLOCK_IMDS')) }),
    passes: [
      gpuService({}),
      gpuService({ Launch: launchTemplate({ UserData: UNKNOWN }) }),
      one(launchTemplate({}, ['echo no cluster'])),
    ],
  },
  SPOT_WITHOUT_DRAINING: {
    at: 'Group',
    fails: gpuService({ Group: group(SPOT), Launch: launchTemplate({}, without('ECS_ENABLE_SPOT')) }),
    passes: [
      gpuService({ Group: group(SPOT) }),
      gpuService({ Group: group(ON_DEMAND), Launch: launchTemplate({}, without('ECS_ENABLE_SPOT')) }),
    ],
  },
  WARM_POOL_WITH_SPOT: {
    at: 'Pool',
    fails: gpuService({ Group: group(SPOT), Pool: warmPool() }),
    passes: [gpuService({ Group: group(ON_DEMAND), Pool: warmPool() }), gpuService({ Pool: warmPool() })],
  },
  WARM_POOL_REUSE: {
    at: 'Pool',
    fails: gpuService({ Pool: warmPool({ InstanceReusePolicy: { ReuseOnScaleIn: true } }) }),
    passes: [
      gpuService({ Pool: warmPool({ InstanceReusePolicy: { ReuseOnScaleIn: false } }) }),
      template({
        Launch: launchTemplate(),
        Group: group(),
        Pool: warmPool({ InstanceReusePolicy: { ReuseOnScaleIn: true } }),
      }),
    ],
  },
  WARM_POOL_UNCHECKED: {
    at: 'Pool',
    fails: gpuService({ Pool: warmPool(), Launch: launchTemplate({}, without('ECS_WARM_POOLS')) }),
    passes: [gpuService({ Pool: warmPool() }), gpuService({ Launch: launchTemplate({}, without('ECS_WARM_POOLS')) })],
  },
  MANAGED_DRAINING_OFF: {
    at: 'Provider',
    fails: gpuService({ Provider: provider({ ManagedDraining: 'DISABLED' }) }),
    passes: [
      gpuService({ Provider: provider({ ManagedDraining: UNKNOWN }) }),
      one({ Type: 'AWS::ECS::CapacityProvider', Properties: { ManagedInstancesProvider: {} } }),
    ],
  },
  DESIRED_CAPACITY_SET: {
    at: 'Group',
    fails: gpuService({ Group: group({ DesiredCapacity: '2' }) }),
    passes: [
      gpuService({ Group: group({ DesiredCapacity: NO_VALUE }) }),
      template({ Launch: launchTemplate(), Group: group({ DesiredCapacity: '2' }) }),
    ],
  },
  GPU_COUNT_EXCEEDS_TYPE: {
    at: 'Service',
    fails: gpuService({ Task: task({ ResourceRequirements: [{ Type: 'GPU', Value: '4' }] }) }),
    passes: [
      gpuService({
        Task: task({ ResourceRequirements: [{ Type: 'GPU', Value: '4' }] }),
        Group: group(mixed(['g6.xlarge', 'g6.12xlarge'])),
      }),
      gpuService({
        Task: task({ ResourceRequirements: [{ Type: 'GPU', Value: '4' }] }),
        Launch: launchTemplate({ InstanceType: UNKNOWN }),
      }),
      gpuService({
        Task: task({ ResourceRequirements: [{ Type: 'GPU', Value: '2' }] }),
        Launch: launchTemplate({ InstanceType: 'g3.8xlarge' }),
      }),
    ],
  },
  SERVICE_BEFORE_ASSOCIATION: {
    at: 'Service',
    fails: gpuService({ Service: service({}, []) }),
    passes: [
      gpuService({}),
      gpuService({
        Service: service({}, ['Between']),
        Between: { Type: 'AWS::CloudFormation::WaitConditionHandle', DependsOn: 'Association' },
      }),
      gpuService({ Service: service({ CapacityProviderStrategy: [{ CapacityProvider: 'platform' }] }, []) }),
    ],
  },
  FIXED_DESIRED_COUNT: {
    at: 'Service',
    fails: gpuService({ Service: service({ DesiredCount: 2 }), Target: scalableTarget('Service') }),
    passes: [
      gpuService({ Service: service({ DesiredCount: 2 }) }),
      gpuService({ Target: scalableTarget('Service') }),
      gpuService({ Service: service({ DesiredCount: 2 }), Target: scalableTarget('Other') }),
    ],
  },
  SHORT_GRACE_PERIOD: {
    at: 'Service',
    fails: gpuService({ Service: service({ HealthCheckGracePeriodSeconds: 60 }) }),
    passes: [
      gpuService({ Service: service({ HealthCheckGracePeriodSeconds: UNKNOWN }) }),
      gpuService({ Service: service({ HealthCheckGracePeriodSeconds: 60, LoadBalancers: [] }) }),
      gpuService({ Service: service({ HealthCheckGracePeriodSeconds: 60 }), Task: task() }),
    ],
  },
  NO_CIRCUIT_BREAKER: {
    at: 'Service',
    fails: gpuService({
      Service: service({ DeploymentConfiguration: { DeploymentCircuitBreaker: { Enable: true, Rollback: false } } }),
    }),
    passes: [
      gpuService({ Service: service({ DeploymentConfiguration: UNKNOWN }) }),
      gpuService({
        Service: service({ DeploymentConfiguration: NO_VALUE, DeploymentController: { Type: 'CODE_DEPLOY' } }),
      }),
      gpuService({ Service: service({ DeploymentConfiguration: NO_VALUE }), Task: task() }),
    ],
  },
  CANARY_WITHOUT_ALTERNATE: {
    at: 'Service',
    fails: gpuService({ Service: service({ DeploymentConfiguration: { ...BREAKER, Strategy: 'CANARY' } }) }),
    passes: [
      gpuService({
        Service: service({
          DeploymentConfiguration: { ...BREAKER, Strategy: 'BLUE_GREEN' },
          LoadBalancers: [SHIFTED],
        }),
      }),
      gpuService({ Service: service({ DeploymentConfiguration: { ...BREAKER, Strategy: 'ROLLING' } }) }),
    ],
  },
  REQUEST_SCALING_WITH_SHIFT: {
    at: 'Policy',
    fails: scaled('ALBRequestCountPerTarget', { Strategy: 'LINEAR' }),
    passes: [scaled('ALBRequestCountPerTarget', {}), scaled('ECSServiceAverageCPUUtilization', { Strategy: 'LINEAR' })],
  },
  SLOW_START_WITH_LEAST_OUTSTANDING: {
    at: 'It',
    fails: one(
      targetGroup({
        'slow_start.duration_seconds': '60',
        'load_balancing.algorithm.type': 'least_outstanding_requests',
      }),
    ),
    passes: [
      one(targetGroup({ 'slow_start.duration_seconds': '60' })),
      one(targetGroup({ 'load_balancing.algorithm.type': 'least_outstanding_requests' })),
      one(targetGroup({ 'slow_start.duration_seconds': '60', 'load_balancing.algorithm.type': UNKNOWN })),
    ],
  },
  GRPC_ON_PLAINTEXT: {
    at: 'Grpc',
    fails: grpcBehind('HTTP'),
    passes: [grpcBehind('HTTPS'), grpcBehind(UNKNOWN)],
  },
  EKS_GPU_AMI_TYPE: {
    at: 'It',
    fails: one(nodegroup({ InstanceTypes: ['g6e.xlarge'] })),
    passes: [
      one(nodegroup({ InstanceTypes: ['g6e.xlarge'], AmiType: 'AL2023_x86_64_NVIDIA' })),
      one(nodegroup({ InstanceTypes: ['g6e.xlarge'], AmiType: 'CUSTOM' })),
      one(nodegroup({ InstanceTypes: ['m7i.large'] })),
    ],
  },
  BATCH_GPU_IMAGE: {
    at: 'It',
    fails: one(computeEnvironment({ InstanceTypes: ['g5'] })),
    passes: [
      one(computeEnvironment({ InstanceTypes: ['g5'], Ec2Configuration: [{ ImageType: 'ECS_AL2023_NVIDIA' }] })),
      one(computeEnvironment({ InstanceTypes: ['optimal'] })),
    ],
  },
  SAGEMAKER_STARTUP_TIMEOUT: {
    at: 'It',
    fails: one(endpointConfig({ ModelName: 'digits', InstanceType: 'ml.g6.xlarge' })),
    passes: [
      one(
        endpointConfig({
          ModelName: 'digits',
          InstanceType: 'ml.g6.xlarge',
          ContainerStartupHealthCheckTimeoutInSeconds: 600,
        }),
      ),
      one(endpointConfig({ InstanceType: 'ml.g6.xlarge' })),
      one(endpointConfig({ ModelName: 'digits', InstanceType: 'ml.c7i.large' })),
    ],
  },
};
