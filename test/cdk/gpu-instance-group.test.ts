import { App, Duration, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import { Capacity, GpuInstanceGroup, GpuMachineImage, type GpuInstanceGroupProps } from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { addGroup } from './support/machines';
import {
  describeWithAndWithoutFlags,
  newCluster,
  newFargateService,
  newGpuService,
  newStack,
  pinnedMachineImage,
  theOnly,
} from './support/stacks';

describeWithAndWithoutFlags('GpuInstanceGroup', (newStack) => {
  function synthesize(props?: Partial<GpuInstanceGroupProps>): Template {
    const stack = newStack();
    addGroup(stack, props);
    return Template.fromStack(stack);
  }

  function ecsConfig(template: Template): string {
    return JSON.stringify(theOnly(template, 'AWS::EC2::LaunchTemplate').Properties.LaunchTemplateData.UserData);
  }

  test('asks for the second version of the metadata service, one hop away', () => {
    const { LaunchTemplateData } = theOnly(synthesize(), 'AWS::EC2::LaunchTemplate').Properties;
    expect(LaunchTemplateData.MetadataOptions).toMatchObject({ HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
  });

  test('boots from an encrypted gp3 volume of 100 GiB', () => {
    const { LaunchTemplateData } = theOnly(synthesize(), 'AWS::EC2::LaunchTemplate').Properties;
    expect(LaunchTemplateData.BlockDeviceMappings).toEqual([
      { DeviceName: '/dev/xvda', Ebs: { Encrypted: true, VolumeSize: 100, VolumeType: 'gp3' } },
    ]);
  });

  test('joins the cluster, enables GPUs and keeps replicas away from the role of the machine', () => {
    const config = ecsConfig(synthesize());
    expect(config).toContain('ECS_ENABLE_GPU_SUPPORT=true >> /etc/ecs/ecs.config');
    expect(config).toContain('ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config');
    expect(config.match(/ECS_CLUSTER=/g)).toHaveLength(1);
    expect(config).not.toContain('ECS_ENABLE_SPOT_INSTANCE_DRAINING');
  });

  test('drains replicas off a spot machine that is taken back', () => {
    const template = synthesize({ capacity: Capacity.spotFirst(['g6.xlarge'], { onDemandBase: 1 }) });
    expect(ecsConfig(template)).toContain('ECS_ENABLE_SPOT_INSTANCE_DRAINING=true');
    const { Properties } = theOnly(template, 'AWS::AutoScaling::AutoScalingGroup');
    expect(Properties.CapacityRebalance).toBe(true);
    expect(Properties.MixedInstancesPolicy.InstancesDistribution).toMatchObject({
      OnDemandBaseCapacity: 1,
      OnDemandPercentageAboveBaseCapacity: 0,
      SpotAllocationStrategy: 'price-capacity-optimized',
    });
  });

  test('starts from no machine, never from a launch configuration, and leaves the count to the capacity provider', () => {
    const template = synthesize();
    const { Properties } = theOnly(template, 'AWS::AutoScaling::AutoScalingGroup');
    expect(Properties).toMatchObject({ MinSize: '0', MaxSize: '4' });
    expect(Properties.DesiredCapacity).toBeUndefined();
    expect(Properties.LaunchTemplate).toBeDefined();
    template.resourceCountIs('AWS::AutoScaling::LaunchConfiguration', 0);
  });

  test('tries several instance types in their order of preference, none of them spot', () => {
    const template = synthesize({ instanceTypes: ['g6.xlarge', 'g5.xlarge'] });
    const { MixedInstancesPolicy } = theOnly(template, 'AWS::AutoScaling::AutoScalingGroup').Properties;
    expect(MixedInstancesPolicy.LaunchTemplate.Overrides).toEqual([
      { InstanceType: 'g6.xlarge' },
      { InstanceType: 'g5.xlarge' },
    ]);
    expect(MixedInstancesPolicy.InstancesDistribution).toMatchObject({
      OnDemandAllocationStrategy: 'prioritized',
      OnDemandPercentageAboveBaseCapacity: 100,
    });
  });

  test('replaces machines by instance refresh when the launch template changes, those in use included', () => {
    const { UpdatePolicy } = theOnly(synthesize(), 'AWS::AutoScaling::AutoScalingGroup');
    expect(UpdatePolicy.AutoScalingInstanceRefresh).toEqual({
      Strategy: 'Rolling',
      Preferences: {
        MinHealthyPercentage: 100,
        MaxHealthyPercentage: 200,
        SkipMatching: true,
        ScaleInProtectedInstances: 'Refresh',
      },
    });
  });

  test('drains before it terminates, protects machines in use in production, and never brings a Lambda function', () => {
    for (const [preset, protection] of [
      ['production', 'ENABLED'],
      ['development', 'DISABLED'],
    ] as const) {
      const template = synthesize({ preset });
      const { AutoScalingGroupProvider } = theOnly(template, 'AWS::ECS::CapacityProvider').Properties;
      expect(AutoScalingGroupProvider.ManagedDraining).toBe('ENABLED');
      expect(AutoScalingGroupProvider.ManagedTerminationProtection).toBe(protection);
      expect(AutoScalingGroupProvider.ManagedScaling.Status).toBe('ENABLED');
      template.resourceCountIs('AWS::Lambda::Function', 0);
    }
  });

  test('lets nothing in and HTTPS out', () => {
    const template = synthesize();
    const { Properties } = theOnly(template, 'AWS::EC2::SecurityGroup');
    expect(Properties.SecurityGroupIngress).toBeUndefined();
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
    expect(Properties.SecurityGroupEgress).toMatchObject([{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443 }]);
  });

  test('puts machines into private subnets', () => {
    const { VPCZoneIdentifier } = theOnly(synthesize(), 'AWS::AutoScaling::AutoScalingGroup').Properties;
    expect(JSON.stringify(VPCZoneIdentifier)).toContain('PrivateSubnet1');
    expect(JSON.stringify(VPCZoneIdentifier)).not.toContain('PublicSubnet');
  });

  test('boots the AL2023 GPU image that ECS recommends when none is named', () => {
    const template = synthesize({ machineImage: undefined, preset: 'development' });
    const parameters = template.findParameters('*', { Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>' });
    expect(Object.values(parameters)).toMatchObject([
      { Default: '/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id' },
    ]);
  });

  test('a service on the group is created after the association with the cluster and deleted before it', () => {
    const stack = newStack();
    newGpuService(stack);
    const template = Template.fromStack(stack);
    const association = theOnly(template, 'AWS::ECS::ClusterCapacityProviderAssociations');
    expect(theOnly(template, 'AWS::ECS::Service').DependsOn).toContain(association.id);
  });

  test('a service that somebody else puts on the group is ordered in the same way, whatever is declared first', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    const taskDefinition = new ecs.Ec2TaskDefinition(stack, 'Task');
    taskDefinition.addContainer('main', { image: ecs.ContainerImage.fromRegistry('busybox'), memoryLimitMiB: 64 });
    const service = new ecs.Ec2Service(stack, 'Theirs', {
      cluster,
      taskDefinition,
      minHealthyPercent: 100,
      circuitBreaker: { enable: true },
    });
    const group = new GpuInstanceGroup(stack, 'L4', {
      cluster,
      instanceTypes: ['g6.xlarge'],
      machineImage: pinnedMachineImage(),
    });
    service.node.addDependency(group);
    const template = Template.fromStack(stack);
    const association = theOnly(template, 'AWS::ECS::ClusterCapacityProviderAssociations');
    expect(theOnly(template, 'AWS::ECS::Service').DependsOn).toContain(association.id);
  });
});

test('the association is what names the provider, so waiting for one is waiting for all', () => {
  const stack = newStack();
  addGroup(stack);
  const template = Template.fromStack(stack);
  const provider = theOnly(template, 'AWS::ECS::CapacityProvider');
  const association = theOnly(template, 'AWS::ECS::ClusterCapacityProviderAssociations');
  expect(association.Properties.CapacityProviders).toEqual([{ Ref: provider.id }]);
  expect(provider.Properties.AutoScalingGroupProvider.AutoScalingGroupArn).toEqual({
    Ref: theOnly(template, 'AWS::AutoScaling::AutoScalingGroup').id,
  });
});

test('warns in production when the machine image may change by itself, and only then', () => {
  const warned = (props: Partial<GpuInstanceGroupProps>): number => {
    const stack = newStack();
    addGroup(stack, props);
    return Annotations.fromStack(stack).findWarning(
      '/Stack/L4',
      Match.stringLikeRegexp('slipway:unpinned-machine-image'),
    ).length;
  };
  expect(warned({ machineImage: undefined })).toBe(1);
  expect(warned({ machineImage: undefined, preset: 'development' })).toBe(0);
  const golden = ec2.MachineImage.genericLinux({ 'us-east-1': 'ami-0123456789abcdef0' });
  expect(warned({ machineImage: GpuMachineImage.fromImage(golden) })).toBe(0);
  // AWS moves this parameter, so naming it pins nothing.
  const recommended = '/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id';
  expect(warned({ machineImage: GpuMachineImage.amazonLinux2023({ pinnedParameter: recommended }) })).toBe(1);
});

test('the machines are declared in the stack of their cluster', () => {
  const app = new App({ analyticsReporting: false });
  const cluster = newCluster(new Stack(app, 'Platform'));
  const elsewhere = new Stack(app, 'Team');
  expect(() => new GpuInstanceGroup(elsewhere, 'L4', { cluster, instanceTypes: ['g6.xlarge'] })).toThrow(
    "CLUSTER_MISMATCH cluster: must be in the stack of its machines, 'Team', got 'Platform/Cluster'; put the group beside the cluster",
  );
});

test('refuses what cannot be: no type, an unknown type, a maximum below the minimum', () => {
  expect(() => addGroup(newStack(), { instanceTypes: [] })).toThrow('NO_INSTANCE_FITS instanceTypes');
  expect(() => addGroup(newStack(), { instanceTypes: ['g6.huge'] })).toThrow(
    "UNKNOWN_INSTANCE_TYPE instanceTypes[0]: got 'g6.huge', known: g6.xlarge",
  );
  expect(() => addGroup(newStack(), { minSize: 5, maxSize: 2 })).toThrow(
    'REPLICA_RANGE maxSize: must be at least minSize (5), got 2',
  );
});

describe('a warm pool', () => {
  test('keeps machines stopped, and never takes one back that served', () => {
    const stack = newStack();
    addGroup(stack, { warmPool: { minSize: 1, maxPrepared: 3 } });
    expect(theOnly(Template.fromStack(stack), 'AWS::AutoScaling::WarmPool').Properties).toMatchObject({
      MinSize: 1,
      MaxGroupPreparedCapacity: 3,
      PoolState: 'Stopped',
      InstanceReusePolicy: { ReuseOnScaleIn: false },
    });
  });

  test('is not there unless it is asked for', () => {
    const stack = newStack();
    addGroup(stack);
    Template.fromStack(stack).resourceCountIs('AWS::AutoScaling::WarmPool', 0);
  });

  test('cannot be had of machines that may not be stopped, and is no larger than the group', () => {
    const refused = (props: Partial<GpuInstanceGroupProps>) => () => addGroup(newStack(), { warmPool: {}, ...props });
    expect(refused({ capacity: Capacity.spotFirst(['g6.xlarge']) })).toThrow(
      'WARM_POOL_WITH_SPOT warmPool: spot machines cannot be stopped and kept; use Capacity.onDemand',
    );
    const block = Capacity.capacityBlock('p5.48xlarge', { reservationId: 'cr-0123456789abcdef0' });
    expect(refused({ capacity: block })).toThrow('WARM_POOL_WITH_SPOT warmPool: machines of a capacity block');
    expect(refused({ maxSize: 2, warmPool: { minSize: 3 } })).toThrow('NUMBER_INVALID warmPool.minSize');
    expect(refused({ warmPool: { minSize: 2, maxPrepared: 1 } })).toThrow('NUMBER_INVALID warmPool.maxPrepared');
  });
});

describe('what an author brings', () => {
  test('a role and a security group of their own are used, and none is made', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    const role = new iam.Role(stack, 'Mine', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
    const securityGroup = new ec2.SecurityGroup(stack, 'Closed', { vpc: cluster.vpc, allowAllOutbound: false });
    const group = addGroup(stack, { cluster, role, securityGroup });
    expect(group.role).toBe(role);
    const template = Template.fromStack(stack);
    expect(theOnly(template, 'AWS::IAM::Role').id).toMatch(/^Mine/);
    const { LaunchTemplateData } = theOnly(template, 'AWS::EC2::LaunchTemplate').Properties;
    expect(LaunchTemplateData.SecurityGroupIds).toEqual([
      { 'Fn::GetAtt': [theOnly(template, 'AWS::EC2::SecurityGroup').id, 'GroupId'] },
    ]);
  });

  test('a key of their own encrypts the volumes, and Auto Scaling of this account alone may use it for them', () => {
    const stack = newStack();
    const volumeKey = new kms.Key(stack, 'Key');
    addGroup(stack, { volumeKey });
    const template = Template.fromStack(stack);
    const key = theOnly(template, 'AWS::KMS::Key');
    const { LaunchTemplateData } = theOnly(template, 'AWS::EC2::LaunchTemplate').Properties;
    expect(LaunchTemplateData.BlockDeviceMappings[0].Ebs.KmsKeyId).toEqual({ 'Fn::GetAtt': [key.id, 'Arn'] });
    const forEverybody = key.Properties.KeyPolicy.Statement.filter(({ Principal }: any) => Principal.AWS === '*');
    expect(forEverybody).toHaveLength(2);
    for (const { Condition } of forEverybody) {
      expect(Condition.StringEquals).toEqual({ 'kms:CallerAccount': { Ref: 'AWS::AccountId' } });
      expect(JSON.stringify(Condition.ArnEquals['aws:PrincipalArn'])).toContain(
        ':role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling',
      );
    }
    const grants = forEverybody.filter(({ Action }: any) => Action === 'kms:CreateGrant');
    expect(grants).toMatchObject([{ Condition: { Bool: { 'kms:GrantIsForAWSResource': 'true' } } }]);
  });

  test('reserve, age and subnets are passed on', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    addGroup(stack, {
      cluster,
      targetCapacityPercent: 80,
      maxInstanceLifetime: Duration.days(14),
      vpcSubnets: { subnets: [cluster.vpc.privateSubnets[0]!] },
    });
    const template = Template.fromStack(stack);
    const { AutoScalingGroupProvider } = theOnly(template, 'AWS::ECS::CapacityProvider').Properties;
    expect(AutoScalingGroupProvider.ManagedScaling.TargetCapacity).toBe(80);
    const { Properties } = theOnly(template, 'AWS::AutoScaling::AutoScalingGroup');
    expect(Properties.MaxInstanceLifetime).toBe(14 * 86_400);
    expect(Properties.VPCZoneIdentifier).toHaveLength(1);
  });
});

describe('metrics', () => {
  test('counting machines switches the metric of the group on, and nobody else pays for one', () => {
    const stack = newStack();
    const group = addGroup(stack);
    const machines = group.metricMachines();
    expect(machines).toMatchObject({ namespace: 'AWS/AutoScaling', metricName: 'GroupInServiceInstances' });
    expect(Object.keys(machines.dimensions!)).toEqual(['AutoScalingGroupName']);
    const { MetricsCollection } = theOnly(Template.fromStack(stack), 'AWS::AutoScaling::AutoScalingGroup').Properties;
    expect(MetricsCollection).toEqual([{ Granularity: '1Minute', Metrics: ['GroupInServiceInstances'] }]);
    const silent = newStack();
    addGroup(silent);
    expect(
      theOnly(Template.fromStack(silent), 'AWS::AutoScaling::AutoScalingGroup').Properties.MetricsCollection,
    ).toBeUndefined();
  });

  test('what waits for a machine is seen in the reservation of the provider', () => {
    const metric = addGroup(newStack()).metricCapacityProviderReservation({ statistic: 'Maximum' });
    expect(metric).toMatchObject({
      namespace: 'AWS/ECS/ManagedScaling',
      metricName: 'CapacityProviderReservation',
      statistic: 'Maximum',
    });
    expect(Object.keys(metric.dimensions!)).toEqual(['ClusterName', 'CapacityProviderName']);
  });
});

test('a group of another app is a name and what replicas must fit', () => {
  const group = GpuInstanceGroup.fromCapacityProvider(newStack(), 'Theirs', {
    capacityProviderName: 'l4',
    instanceTypes: ['g6.xlarge'],
    maxSize: 8,
  });
  expect(group).toMatchObject({ kind: 'instances', instanceTypes: ['g6.xlarge'], maxMachines: 8, spot: false });
  expect(group.strategy).toEqual([{ capacityProvider: 'l4', weight: 1 }]);
  expect(group.cluster).toBeUndefined();
  expect(group.modelCache).toBe(false);
  expect(GpuInstanceGroup.isGpuInstanceGroup(group)).toBe(false);
  expect(() =>
    GpuInstanceGroup.fromCapacityProvider(newStack(), 'Theirs', { capacityProviderName: 'l4', instanceTypes: ['l4'] }),
  ).toThrow("UNKNOWN_INSTANCE_TYPE instanceTypes[0]: got 'l4'");
});

test('machines of another app are of another cluster than one that has none', () => {
  const land = (clusterOf: (stack: Stack) => ecs.ICluster): Stack => {
    const stack = newStack();
    const capacity = GpuInstanceGroup.fromCapacityProvider(stack, 'Theirs', {
      capacityProviderName: 'l4',
      instanceTypes: ['g6.xlarge'],
    });
    newFargateService(stack, { cluster: clusterOf(stack), capacity, plaintextInsideVpc: true });
    return stack;
  };
  expect(() => land(newCluster)).toThrow(
    "CLUSTER_MISMATCH capacity: the machines of 'Stack/Theirs' are another app's, and 'Stack/Cluster' has no machines; name the cluster that they joined with ecs.Cluster.fromClusterAttributes",
  );
  const joined = land((stack) =>
    ecs.Cluster.fromClusterAttributes(stack, 'Joined', { clusterName: 'gpu', vpc: newCluster(stack).vpc }),
  );
  expect(theOnly(Template.fromStack(joined), 'AWS::ECS::Service').Properties).toMatchObject({
    Cluster: 'gpu',
    CapacityProviderStrategy: [{ CapacityProvider: 'l4', Weight: 1 }],
  });
});

test('a group of another app may keep models, but for managed instances, which have no volumes of Docker', () => {
  const keeping = (managedInstances: boolean) =>
    GpuInstanceGroup.fromCapacityProvider(newStack(), 'Theirs', {
      capacityProviderName: 'l4',
      instanceTypes: ['g6.xlarge'],
      modelCache: true,
      managedInstances,
    });
  expect(keeping(false).modelCache).toBe(true);
  expect(() => keeping(true)).toThrow(
    'MODEL_CACHE_UNSUPPORTED modelCache: managed instances take no volumes of Docker',
  );
});

test('a group is recognized, whichever copy of the package made it', () => {
  expect(GpuInstanceGroup.isGpuInstanceGroup(addGroup(newStack()))).toBe(true);
  expect(GpuInstanceGroup.isGpuInstanceGroup({})).toBe(false);
  expect(GpuInstanceGroup.isGpuInstanceGroup(undefined)).toBe(false);
});

test('in development nothing is protected from being scaled in, so that a delete waits for nobody', () => {
  const stack = newStack();
  addGroup(stack, { preset: 'development', machineImage: undefined });
  const template = Template.fromStack(stack);
  expect(theOnly(template, 'AWS::AutoScaling::AutoScalingGroup').Properties.NewInstancesProtectedFromScaleIn).not.toBe(
    true,
  );
});
