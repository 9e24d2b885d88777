import { App, Duration, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import { Capacity, type GpuInstanceGroupProps } from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { addGroup, synthesizeCapacity, synthesizeGroup } from './support/machines';
import {
  describeWithAndWithoutFlags,
  newCluster,
  newStack,
  pinnedMachineImage,
  resourcesOf,
  theOnly,
} from './support/stacks';

const TYPES = ['g6.xlarge', 'g5.2xlarge'];

describeWithAndWithoutFlags('managed instances', (newStack) => {
  function launchTemplateOf(template: Template): any {
    return theOnly(template, 'AWS::ECS::CapacityProvider').Properties.ManagedInstancesProvider.InstanceLaunchTemplate;
  }

  test('ECS may start the named types and no others', () => {
    const { InstanceRequirements, CapacityOptionType } = launchTemplateOf(
      synthesizeCapacity(newStack(), Capacity.managedInstances(TYPES)),
    );
    expect(InstanceRequirements).toEqual({
      AllowedInstanceTypes: TYPES,
      VCpuCount: { Min: 4 },
      MemoryMiB: { Min: 16_384 },
    });
    expect(CapacityOptionType).toBe('ON_DEMAND');
  });

  test('spot is asked for in the provider, and a service is told', () => {
    const stack = newStack();
    const group = addGroup(stack, { capacity: Capacity.managedInstances(TYPES, { spot: true }) });
    expect(group).toMatchObject({ kind: 'managedInstances', spot: true, maxSize: undefined, maxMachines: undefined });
    expect(launchTemplateOf(Template.fromStack(stack)).CapacityOptionType).toBe('SPOT');
  });

  test('machines run in a group of reservations alone where one is named', () => {
    const reservationGroupArn = 'arn:aws:resource-groups:us-east-1:123456789012:group/gpus';
    const capacity = Capacity.managedInstances(TYPES, { reservationGroupArn });
    expect(launchTemplateOf(synthesizeCapacity(newStack(), capacity))).toMatchObject({
      CapacityOptionType: 'RESERVED',
      CapacityReservations: {
        ReservationGroupArn: reservationGroupArn,
        ReservationPreference: 'RESERVATIONS_ONLY',
      },
    });
    expect(() => Capacity.managedInstances(TYPES, { reservationGroupArn, spot: true })).toThrow(
      'CAPACITY_CHOICE reservationGroupArn: reserved machines are no spot ones; leave spot out',
    );
  });

  test('there is no Auto Scaling group, no launch template, no association and no function: ECS does it all', () => {
    const template = synthesizeCapacity(newStack(), Capacity.managedInstances(TYPES));
    for (const type of [
      'AWS::AutoScaling::AutoScalingGroup',
      'AWS::EC2::LaunchTemplate',
      'AWS::ECS::ClusterCapacityProviderAssociations',
      'AWS::Lambda::Function',
    ]) {
      template.resourceCountIs(type, 0);
    }
  });

  test('the provider belongs to the cluster, lives in its private subnets, and lets nothing in', () => {
    const template = synthesizeCapacity(newStack(), Capacity.managedInstances(TYPES));
    const cluster = theOnly(template, 'AWS::ECS::Cluster');
    expect(theOnly(template, 'AWS::ECS::CapacityProvider').Properties.ClusterName).toEqual({ Ref: cluster.id });
    const { Subnets, SecurityGroups } = launchTemplateOf(template).NetworkConfiguration;
    expect(JSON.stringify(Subnets)).toContain('PrivateSubnet1');
    expect(JSON.stringify(Subnets)).not.toContain('PublicSubnet');
    const securityGroup = theOnly(template, 'AWS::EC2::SecurityGroup');
    expect(SecurityGroups).toEqual([{ 'Fn::GetAtt': [securityGroup.id, 'GroupId'] }]);
    expect(securityGroup.Properties.SecurityGroupIngress).toBeUndefined();
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
  });

  test('images and scratch space lie on the disks of the machine, unless the author says no', () => {
    const at = (useLocalStorage?: boolean): unknown =>
      launchTemplateOf(
        synthesizeCapacity(
          newStack(),
          Capacity.managedInstances(TYPES, useLocalStorage === undefined ? {} : { useLocalStorage }),
        ),
      ).LocalStorageConfiguration;
    expect(at()).toEqual({ UseLocalStorage: true });
    expect(at(false)).toBeUndefined();
  });

  test('the role of the machines is named after the region too: the same stack may be deployed in several', () => {
    const template = synthesizeCapacity(newStack(), Capacity.managedInstances(TYPES));
    const role = resourcesOf(template, 'AWS::IAM::Role').find(({ id }) => id.includes('InstanceRole'))!;
    const [separator, parts] = role.Properties.RoleName['Fn::Join'];
    expect(separator).toBe('');
    expect(parts.at(-1)).toEqual({ Ref: 'AWS::Region' });
    // AWS's policy for the infrastructure role passes such names alone; a role's has 64 characters at most.
    expect(parts[0]).toMatch(/^ecsInstanceRole.{1,28}-$/);
    expect(`${parts[0]}ap-southeast-5`.length).toBeLessThanOrEqual(64);
    expect(theOnly(template, 'AWS::IAM::InstanceProfile').Properties.InstanceProfileName).toEqual(
      role.Properties.RoleName,
    );
  });

  test('roles of one’s own are taken, and none is made', () => {
    const stack = newStack();
    const infrastructureRole = new iam.Role(stack, 'Infrastructure', {
      assumedBy: new iam.ServicePrincipal('ecs.amazonaws.com'),
    });
    const instanceProfile = iam.InstanceProfile.fromInstanceProfileName(stack, 'Profile', 'ecsInstanceRole');
    const template = synthesizeCapacity(
      stack,
      Capacity.managedInstances(TYPES, { infrastructureRole, instanceProfile }),
    );
    expect(resourcesOf(template, 'AWS::IAM::Role').map(({ id }) => id)).toEqual([
      expect.stringMatching(/^Infrastructure/),
    ]);
    template.resourceCountIs('AWS::IAM::InstanceProfile', 0);
  });

  test('without local storage there is a volume as large as the author says, and with it none', () => {
    const storage = (useLocalStorage: boolean, props: Partial<GpuInstanceGroupProps> = {}): unknown => {
      const capacity = Capacity.managedInstances(TYPES, { useLocalStorage });
      return launchTemplateOf(synthesizeGroup(newStack(), { capacity, ...props })).StorageConfiguration;
    };
    expect(storage(true)).toBeUndefined();
    expect(storage(false)).toEqual({ StorageSizeGiB: 100 });
    expect(storage(false, { rootVolumeGiB: 300 })).toEqual({ StorageSizeGiB: 300 });
  });
});

test('a service places its replicas by the name of the provider, which orders all there is to order', () => {
  const stack = newStack();
  const group = addGroup(stack, { capacity: Capacity.managedInstances(TYPES) });
  expect(group.strategy).toEqual([{ capacityProvider: group.capacityProviderName, weight: 1 }]);
  expect(group.mustOutlive).toBeUndefined();
  expect(group.modelCache).toBe(false);
});

test('what ECS decides by itself needs no note of a quota and no pinned image', () => {
  const stack = newStack();
  addGroup(stack, { capacity: Capacity.managedInstances(TYPES) });
  expect(Annotations.fromStack(stack).findInfo('/Stack/L4', Match.anyValue())).toEqual([]);
  expect(Annotations.fromStack(stack).findWarning('/Stack/L4', Match.anyValue())).toEqual([]);
});

test('warns where ECS leaves it to the account whether volumes are encrypted, and only there', () => {
  const warned = (useLocalStorage: boolean): number => {
    const stack = newStack();
    addGroup(stack, { capacity: Capacity.managedInstances(TYPES, { useLocalStorage }) });
    const id = Match.stringLikeRegexp('slipway:unencrypted-volume');
    return Annotations.fromStack(stack).findWarning('/Stack/L4', id).length;
  };
  expect(warned(false)).toBe(1);
  expect(warned(true)).toBe(0);
});

describe('refuses what ECS decides by itself, and says where it is said instead', () => {
  const key = kms.Key.fromKeyArn(new Stack(new App(), 'Keys'), 'Key', 'arn:aws:kms:us-east-1:123456789012:key/1');
  test.each<[keyof GpuInstanceGroupProps, Partial<GpuInstanceGroupProps>, string]>([
    ['minSize', { minSize: 0 }, 'ECS keeps as many machines as replicas need'],
    ['maxSize', { maxSize: 4 }, 'a service has its maxReplicas'],
    ['machineImage', { machineImage: pinnedMachineImage() }, 'ECS chooses the image and its driver'],
    ['volumeKey', { volumeKey: key }, 'it encrypts volumes as the account does by default'],
    ['warmPool', { warmPool: {} }, 'ECS keeps no stopped machines'],
    [
      'role',
      { role: iam.Role.fromRoleName(new Stack(new App(), 'Roles'), 'Role', 'mine') },
      'name an instanceProfile in Capacity.managedInstances',
    ],
    ['userData', { userData: ['true'] }, 'ECS configures the machines'],
    ['targetCapacityPercent', { targetCapacityPercent: 80 }, 'ECS decides what stays in reserve'],
    ['maxInstanceLifetime', { maxInstanceLifetime: Duration.days(7) }, 'ECS replaces machines by itself'],
  ])('%s', (name, props, wayOut) => {
    const said = `CAPACITY_CHOICE ${name}: says nothing to managed instances: `;
    const refused = (): unknown => addGroup(newStack(), { capacity: Capacity.managedInstances(TYPES), ...props });
    expect(refused).toThrow(said);
    expect(refused).toThrow(wayOut);
  });

  test('rootVolumeGiB of machines on whose NVMe replicas live', () => {
    expect(() => addGroup(newStack(), { capacity: Capacity.managedInstances(TYPES), rootVolumeGiB: 200 })).toThrow(
      'CAPACITY_CHOICE rootVolumeGiB: replicas live on the NVMe of the machines, which has its size; leave it out, or say useLocalStorage: false',
    );
  });

  test('modelCache', () => {
    expect(() => addGroup(newStack(), { capacity: Capacity.managedInstances(TYPES), modelCache: true })).toThrow(
      'MODEL_CACHE_UNSUPPORTED modelCache: of managed instances ECS has the disks to itself; say useLocalStorage',
    );
  });

  test('metrics of the Auto Scaling group', () => {
    const group = addGroup(newStack(), { capacity: Capacity.managedInstances(TYPES) });
    expect(() => group.metricMachines()).toThrow('CAPACITY_CHOICE metricMachines: managed instances have no such');
    expect(() => group.metricCapacityProviderReservation()).toThrow(
      'CAPACITY_CHOICE metricCapacityProviderReservation',
    );
  });
});

test('a task for managed instances runs as a Fargate service does, and the provider takes it', () => {
  const stack = newStack();
  const cluster = newCluster(stack);
  const group = addGroup(stack, { cluster, capacity: Capacity.managedInstances(TYPES) });
  const taskDefinition = new ecs.TaskDefinition(stack, 'Task', {
    compatibility: ecs.Compatibility.MANAGED_INSTANCES,
    networkMode: ecs.NetworkMode.AWS_VPC,
    cpu: '1024',
    memoryMiB: '2048',
  });
  taskDefinition.addContainer('main', { image: ecs.ContainerImage.fromRegistry('busybox'), gpuCount: 1 });
  new ecs.FargateService(stack, 'Service', {
    cluster,
    taskDefinition,
    minHealthyPercent: 100,
    capacityProviderStrategies: [...group.strategy],
    securityGroups: [new ec2.SecurityGroup(stack, 'Tasks', { vpc: cluster.vpc })],
  });
  const template = Template.fromStack(stack);
  const provider = theOnly(template, 'AWS::ECS::CapacityProvider').id;
  const service = theOnly(template, 'AWS::ECS::Service');
  expect(service.Properties.CapacityProviderStrategy).toEqual([{ CapacityProvider: { Ref: provider }, Weight: 1 }]);
});
