import { CfnParameter, Fn, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import { Capacity, GpuInstanceGroup, InferencePlatform, type GpuInstanceGroupProps } from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { addGroup, synthesizeCapacity, synthesizeGroup } from './support/machines';
import { describeWithAndWithoutFlags, newCluster, newStack, theOnly } from './support/stacks';

const RESERVATION = 'cr-0123456789abcdef0';
const GROUP_OF_RESERVATIONS = 'arn:aws:resource-groups:us-east-1:123456789012:group/gpus';

describeWithAndWithoutFlags('capacity', (newStack) => {
  test('spot first keeps a base on demand, and a share of what is above it', () => {
    const options = { onDemandBase: 2, onDemandPercentage: 25 };
    const template = synthesizeCapacity(newStack(), Capacity.spotFirst(['g6.xlarge', 'g5.xlarge'], options));
    const { MixedInstancesPolicy, CapacityRebalance } = theOnly(
      template,
      'AWS::AutoScaling::AutoScalingGroup',
    ).Properties;
    expect(MixedInstancesPolicy.InstancesDistribution).toEqual({
      OnDemandAllocationStrategy: 'prioritized',
      OnDemandBaseCapacity: 2,
      OnDemandPercentageAboveBaseCapacity: 25,
      SpotAllocationStrategy: 'price-capacity-optimized',
    });
    expect(CapacityRebalance).toBe(true);
  });

  test('a reservation is taken first, or alone, and the launch template leaves the choice to the group', () => {
    for (const [only, preference] of [
      [false, 'capacity-reservations-first'],
      [true, 'capacity-reservations-only'],
    ] as const) {
      const stack = newStack();
      const vpcSubnets = { availabilityZones: [stack.availabilityZones[0]!] };
      const template = synthesizeGroup(stack, {
        capacity: Capacity.reservation(['g6.xlarge'], RESERVATION, { only }),
        vpcSubnets,
      });
      expect(
        theOnly(template, 'AWS::AutoScaling::AutoScalingGroup').Properties.CapacityReservationSpecification,
      ).toEqual({
        CapacityReservationPreference: preference,
        CapacityReservationTarget: { CapacityReservationIds: [RESERVATION] },
      });
      const { LaunchTemplateData } = theOnly(template, 'AWS::EC2::LaunchTemplate').Properties;
      expect(LaunchTemplateData.CapacityReservationSpecification).toBeUndefined();
    }
  });

  test('a group of reservations may hold several types', () => {
    const capacity = Capacity.reservation(['g6.xlarge', 'g5.xlarge'], GROUP_OF_RESERVATIONS, { only: true });
    const { CapacityReservationSpecification, MixedInstancesPolicy } = theOnly(
      synthesizeCapacity(newStack(), capacity),
      'AWS::AutoScaling::AutoScalingGroup',
    ).Properties;
    expect(CapacityReservationSpecification.CapacityReservationTarget).toEqual({
      CapacityReservationResourceGroupArns: [GROUP_OF_RESERVATIONS],
    });
    expect(MixedInstancesPolicy.LaunchTemplate.Overrides).toHaveLength(2);
  });

  test('a capacity block is a market of its own: one type, no mixture, from no machine', () => {
    const template = synthesizeCapacity(
      newStack(),
      Capacity.capacityBlock('p5.48xlarge', { reservationId: RESERVATION }),
    );
    expect(theOnly(template, 'AWS::EC2::LaunchTemplate').Properties.LaunchTemplateData).toMatchObject({
      InstanceType: 'p5.48xlarge',
      InstanceMarketOptions: { MarketType: 'capacity-block' },
      CapacityReservationSpecification: { CapacityReservationTarget: { CapacityReservationId: RESERVATION } },
    });
    const { Properties } = theOnly(template, 'AWS::AutoScaling::AutoScalingGroup');
    expect(Properties).toMatchObject({ MinSize: '0', LaunchTemplate: expect.anything() });
    expect(Properties.MixedInstancesPolicy).toBeUndefined();
  });

  test('a reservation of the same app is known at deployment', () => {
    const stack = newStack();
    const reservation = new ec2.CfnCapacityReservation(stack, 'Reserved', {
      instanceCount: 2,
      instancePlatform: 'Linux/UNIX',
      instanceType: 'g6.xlarge',
      availabilityZone: Fn.select(0, Fn.getAzs()),
    });
    const template = synthesizeCapacity(stack, Capacity.reservation(['g6.xlarge'], reservation.attrId));
    const { CapacityReservationSpecification } = theOnly(template, 'AWS::AutoScaling::AutoScalingGroup').Properties;
    expect(CapacityReservationSpecification.CapacityReservationTarget).toEqual({
      CapacityReservationIds: [{ 'Fn::GetAtt': ['Reserved', 'Id'] }],
    });
  });

  test('Fargate in part on spot asks the cluster for the two providers, and is created after they are there', () => {
    const stack = newStack();
    const cluster = newCluster(stack);
    const capacity = Capacity.fargate({ spotPercentage: 70, base: 2 });
    expect(capacity).toMatchObject({ kind: 'fargate', instanceTypes: [], spot: true });
    const service = fargateService(stack, cluster, capacity.strategy);
    service.node.addDependency(capacity.joinCluster!(cluster)!);
    const template = Template.fromStack(stack);
    const association = theOnly(template, 'AWS::ECS::ClusterCapacityProviderAssociations');
    expect(association.Properties.CapacityProviders).toEqual(['FARGATE', 'FARGATE_SPOT']);
    const { Properties, DependsOn } = theOnly(template, 'AWS::ECS::Service');
    expect(Properties.CapacityProviderStrategy).toEqual([
      { CapacityProvider: 'FARGATE', Weight: 30, Base: 2 },
      { CapacityProvider: 'FARGATE_SPOT', Weight: 70 },
    ]);
    expect(DependsOn).toContain(association.id);
  });
});

test('Fargate without wishes is the launch type, and names no provider of weight zero', () => {
  expect(Capacity.fargate()).toEqual({ kind: 'fargate', instanceTypes: [], spot: false, strategy: [] });
  expect(Capacity.fargate({ spotPercentage: 100 }).strategy).toEqual([
    { capacityProvider: 'FARGATE_SPOT', weight: 100 },
  ]);
  expect(Capacity.fargate({ spotPercentage: 0 }).strategy).toEqual([{ capacityProvider: 'FARGATE', weight: 100 }]);
  expect(Capacity.fargate({ spotPercentage: 100, base: 1 }).strategy).toHaveLength(2);
});

test('a cluster of another app keeps its providers: they are the other app’s to choose', () => {
  const stack = newStack();
  const cluster = ecs.Cluster.fromClusterAttributes(stack, 'Theirs', {
    clusterName: 'theirs',
    vpc: ec2.Vpc.fromVpcAttributes(stack, 'Vpc', { vpcId: 'vpc-1', availabilityZones: ['us-east-1a'] }),
  });
  expect(Capacity.fargate({ spotPercentage: 50 }).joinCluster!(cluster)).toBeUndefined();
});

test('a platform gives its cluster, its subnets and what it is for, and is not named beside a cluster', () => {
  const stack = newStack();
  const platform = new InferencePlatform(stack, 'Main', { plaintextInsideVpc: true, preset: 'development' });
  const group = addGroup(stack, { platform });
  expect(group.cluster).toBe(platform.cluster);
  const { Properties } = theOnly(Template.fromStack(stack), 'AWS::AutoScaling::AutoScalingGroup');
  expect(Properties.NewInstancesProtectedFromScaleIn).not.toBe(true);
  const subnets = platform.vpc.selectSubnets(platform.vpcSubnets).subnetIds;
  expect(Properties.VPCZoneIdentifier).toEqual(stack.resolve(subnets));
  const both = newStack();
  expect(() => addGroup(both, { cluster: newCluster(both), platform })).toThrow(
    'CLUSTER_OR_PLATFORM cluster: got a cluster and a platform; leave one of them out',
  );
});

describe('a reservation is of one zone', () => {
  const block = Capacity.capacityBlock('p5.48xlarge', { reservationId: RESERVATION });
  const stackIn = (env: { account: string; region: string } | undefined): Stack =>
    new Stack(undefined, 'Stack', env === undefined ? {} : { env });

  test('subnets of several known zones are refused', () => {
    const stack = stackIn({ account: '123456789012', region: 'us-east-1' });
    const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-1',
      availabilityZones: ['us-east-1a', 'us-east-1b'],
      privateSubnetIds: ['subnet-1', 'subnet-2'],
    });
    const cluster = new ecs.Cluster(stack, 'Cluster', { vpc });
    expect(() => addGroup(stack, { cluster, capacity: block })).toThrow(
      'CAPACITY_CHOICE vpcSubnets: a reservation is of one zone, got us-east-1a, us-east-1b; name the subnets of its zone in vpcSubnets',
    );
    const vpcSubnets = { subnets: [vpc.privateSubnets[0]!] };
    expect(() => new GpuInstanceGroup(stack, 'OneZone', { cluster, capacity: block, vpcSubnets })).not.toThrow();
  });

  test('of zones that only deployment knows a warning is given, and none where machines may run elsewhere', () => {
    const warned = (capacity: Capacity): number => {
      const stack = newStack();
      addGroup(stack, { capacity });
      return Annotations.fromStack(stack).findWarning('/Stack/L4', Match.stringLikeRegexp('slipway:reservation-zone'))
        .length;
    };
    expect(warned(block)).toBe(1);
    expect(warned(Capacity.reservation(['g6.xlarge'], RESERVATION, { only: true }))).toBe(1);
    expect(warned(Capacity.reservation(['g6.xlarge'], RESERVATION))).toBe(0);
    expect(warned(Capacity.reservation(['g6.xlarge'], GROUP_OF_RESERVATIONS, { only: true }))).toBe(0);
  });
});

describe('the quota that a group needs is said with its number', () => {
  test.each([
    [Capacity.onDemand(['g6.xlarge']), "10 machines take up to 40 vCPUs of 'Running On-Demand G and VT instances'"],
    [
      Capacity.spotFirst(['g6.xlarge', 'g6.2xlarge'], { onDemandBase: 1 }),
      "80 vCPUs of 'All G and VT Spot Instance Requests' and 80 vCPUs of 'Running On-Demand G and VT instances'",
    ],
    [Capacity.spotFirst(['p4d.24xlarge']), "960 vCPUs of 'All P4, P3 and P2 Spot Instance Requests'"],
    [Capacity.spotFirst(['p5.48xlarge']), "1920 vCPUs of 'All P5 Spot Instance Requests'"],
    [
      Capacity.onDemand(['g6.xlarge', 'p5.4xlarge']),
      "40 vCPUs of 'Running On-Demand G and VT instances' and 160 vCPUs of 'Running On-Demand P instances'",
    ],
  ])('%#', (capacity, said) => {
    const stack = newStack();
    addGroup(stack, { capacity, maxSize: 10 });
    const notes = Annotations.fromStack(stack).findInfo('/Stack/L4', Match.stringLikeRegexp('slipway:quota'));
    expect(notes.map(({ entry }) => entry.data)).toEqual([expect.stringContaining(said)]);
  });

  test('a capacity block was bought with its quota', () => {
    const stack = newStack();
    addGroup(stack, { capacity: Capacity.capacityBlock('p5.48xlarge', { reservationId: RESERVATION }) });
    expect(Annotations.fromStack(stack).findInfo('*', Match.stringLikeRegexp('slipway:quota'))).toEqual([]);
  });
});

describe('refuses', () => {
  test.each<[string, () => unknown, string]>([
    ['no type', () => Capacity.onDemand([]), 'NO_INSTANCE_FITS instanceTypes: must name at least one type, got none'],
    ['an unknown type', () => Capacity.spotFirst(['g6.huge']), "UNKNOWN_INSTANCE_TYPE instanceTypes[0]: got 'g6.huge'"],
    [
      'a type of another cloud',
      () => Capacity.onDemand(['g2-standard-4']),
      "UNKNOWN_INSTANCE_TYPE instanceTypes[0]: got 'g2-standard-4', a type of Google Cloud, known of AWS: families g6, g6e",
    ],
    [
      'a share on demand that leaves no spot',
      () => Capacity.spotFirst(['g6.xlarge'], { onDemandPercentage: 100 }),
      'NUMBER_INVALID onDemandPercentage: must be a number from 0 to 99, got 100',
    ],
    [
      'half a machine on demand',
      () => Capacity.spotFirst(['g6.xlarge'], { onDemandBase: 0.5 }),
      'NUMBER_INVALID onDemandBase: must be a whole number from 0 to 10000, got 0.5',
    ],
    [
      'a reservation that is none',
      () => Capacity.reservation(['g6.xlarge'], 'mine'),
      "CAPACITY_CHOICE reservation: must be the id of a reservation, cr-…, or the ARN of a resource group of them, got 'mine'",
    ],
    [
      'two types in one reservation alone',
      () => Capacity.reservation(['g6.xlarge', 'g5.xlarge'], RESERVATION, { only: true }),
      'CAPACITY_CHOICE instanceTypes: a reservation is of one type, got g6.xlarge, g5.xlarge',
    ],
    [
      'a group of reservations as a capacity block',
      () => Capacity.capacityBlock('p5.48xlarge', { reservationId: GROUP_OF_RESERVATIONS }),
      'CAPACITY_BLOCK_TYPE reservationId: a capacity block is one reservation, cr-…, got the ARN',
    ],
    [
      'more than a hundred percent of spot on Fargate',
      () => Capacity.fargate({ spotPercentage: 101 }),
      'NUMBER_INVALID spotPercentage: must be a number from 0 to 100, got 101',
    ],
  ])('%s', (_, describe, message) => {
    expect(describe).toThrow(message);
  });

  test.each<[string, Partial<GpuInstanceGroupProps>, string]>([
    [
      'capacity and instance types',
      { capacity: Capacity.onDemand(['g6.xlarge']), instanceTypes: ['g6.xlarge'] },
      'CAPACITY_CHOICE capacity: got capacity and instanceTypes; name the types in one of them',
    ],
    [
      'neither capacity nor instance types',
      { instanceTypes: undefined },
      'CAPACITY_CHOICE capacity: got neither capacity nor instanceTypes',
    ],
    [
      'neither a cluster nor a platform',
      { cluster: undefined },
      'CLUSTER_OR_PLATFORM cluster: machines join a cluster: got neither cluster nor platform',
    ],
    [
      'machines of a capacity block that are always there',
      { capacity: Capacity.capacityBlock('p5.48xlarge', { reservationId: RESERVATION }), minSize: 1 },
      'CAPACITY_BLOCK_TYPE minSize: outside the time of a capacity block no machine can be had: must be 0, got 1',
    ],
  ])('%s', (_, props, message) => {
    expect(() => addGroup(newStack(), props)).toThrow(message);
  });

  test('a cluster that is imported, however it comes', () => {
    const stack = newStack();
    const cluster = ecs.Cluster.fromClusterAttributes(stack, 'Theirs', {
      clusterName: new CfnParameter(stack, 'Name').valueAsString,
      vpc: ec2.Vpc.fromVpcAttributes(stack, 'Vpc', { vpcId: 'vpc-1', availabilityZones: ['us-east-1a'] }),
    });
    expect(() => addGroup(stack, { cluster: cluster as ecs.Cluster })).toThrow(
      "CLUSTER_MISMATCH cluster: 'Stack/Theirs' is imported and takes no machines here; make the group where the cluster is made",
    );
  });
});

function fargateService(
  stack: Stack,
  cluster: ecs.Cluster,
  strategy: readonly ecs.CapacityProviderStrategy[],
): ecs.FargateService {
  const taskDefinition = new ecs.FargateTaskDefinition(stack, 'Task');
  taskDefinition.addContainer('main', { image: ecs.ContainerImage.fromRegistry('busybox') });
  return new ecs.FargateService(stack, 'Service', {
    cluster,
    taskDefinition,
    capacityProviderStrategies: [...strategy],
    minHealthyPercent: 100,
  });
}
