import type { CfnResource } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import type { MachineCapacity, ManagedInstances } from './capacity';
import { assertZoneOfReservation, useReservation } from './capacity-reservation';
import type { MachineOs } from './machine-image';
import { createMachineSecurityGroup } from './machine-security-group';
import { userDataAfterJoining, userDataBeforeJoining } from './machine-user-data';
import type { Machines, MachinesPlan } from './machines-plan';
import { shareVolumeKey } from './volume-key';
import { addWarmPool } from './warm-pool';
import { wayOutOf } from './way-out';

/** Machines of an Auto Scaling group; `capacity` is how they are bought. */
export interface AutoScaledMachinesInput extends MachinesPlan {
  readonly capacity: Exclude<MachineCapacity, ManagedInstances>;
}

/** Launch template, Auto Scaling group and capacity provider, joined to the cluster. */
export function createAutoScaledMachines(scope: Construct, input: AutoScaledMachinesInput): Machines {
  const { cluster, preset, machineImage, settings } = input;
  const role = input.role ?? createRole(scope);
  const securityGroup = input.securityGroup ?? createMachineSecurityGroup(scope, cluster.vpc);
  const launchTemplate = createLaunchTemplate(scope, input, role, securityGroup);
  const autoScalingGroup = createAutoScalingGroup(scope, input, launchTemplate);
  useReservation(input.capacity, autoScalingGroup, launchTemplate);
  if (input.warmPool !== undefined) addWarmPool(autoScalingGroup, input.warmPool, input.maxSize);
  const capacityProvider = new ecs.AsgCapacityProvider(scope, 'CapacityProvider', {
    autoScalingGroup,
    machineImageType: MACHINE_IMAGE_TYPE[machineImage.os],
    // Replicas of a machine that goes away are drained first; without this CDK adds a Lambda function to do it.
    enableManagedDraining: true,
    // A protected machine is never scaled in while a replica runs on it, and a delete may wait for it.
    enableManagedTerminationProtection: preset === 'production',
    targetCapacityPercent: input.targetCapacityPercent,
    // A GPU machine takes minutes to boot; before that its absence of load says nothing.
    instanceWarmupPeriod: 300,
  });
  cluster.addAsgCapacityProvider(capacityProvider);
  autoScalingGroup.addUserData(...userDataAfterJoining(machineImage.os, settings));
  return { role, securityGroup, launchTemplate, autoScalingGroup, capacityProvider };
}

// The CDK knows no Amazon Linux 2023 here; what it does for its predecessor is right for it too.
const MACHINE_IMAGE_TYPE: Record<MachineOs, ecs.MachineImageType> = {
  'amazon-linux': ecs.MachineImageType.AMAZON_LINUX_2,
  bottlerocket: ecs.MachineImageType.BOTTLEROCKET,
};

function createRole(scope: Construct): iam.Role {
  const role = new iam.Role(scope, 'Role', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
  acknowledge(
    role,
    'IAM5[Resource::*]',
    'what the ECS agent needs to register a machine takes no narrower resource; CDK writes it',
  );
  acknowledge(role, 'IAM5[Action::ecs:Submit*]', 'the two calls by which the ECS agent reports task states');
  return role;
}

function createLaunchTemplate(
  scope: Construct,
  input: AutoScaledMachinesInput,
  role: iam.IRole,
  securityGroup: ec2.ISecurityGroup,
): ec2.LaunchTemplate {
  const { capacity, machineImage, settings, volumeKey } = input;
  if (volumeKey !== undefined) shareVolumeKey(scope, volumeKey);
  return new ec2.LaunchTemplate(scope, 'LaunchTemplate', {
    instanceType: new ec2.InstanceType(capacity.instanceTypes[0]!),
    machineImage: machineImage.image,
    userData: userDataBeforeJoining(machineImage.os, settings),
    role,
    securityGroup,
    requireImdsv2: true,
    httpPutResponseHopLimit: 1,
    blockDevices: blockDevices(machineImage.os, input.volumeGiB, volumeKey),
  });
}

// Bottlerocket keeps images and containers on a second volume, and its own few files on the first.
function blockDevices(os: MachineOs, sizeGiB: number, encryptionKey: kms.IKey | undefined): ec2.BlockDevice[] {
  const volume = (deviceName: string, size: number): ec2.BlockDevice => ({
    deviceName,
    volume: ec2.BlockDeviceVolume.ebs(size, {
      encrypted: true,
      volumeType: ec2.EbsDeviceVolumeType.GP3,
      ...(encryptionKey === undefined ? {} : { kmsKey: encryptionKey }),
    }),
  });
  return os === 'bottlerocket'
    ? [volume('/dev/xvda', 8), volume('/dev/xvdb', sizeGiB)]
    : [volume('/dev/xvda', sizeGiB)];
}

function createAutoScalingGroup(
  scope: Construct,
  input: AutoScaledMachinesInput,
  launchTemplate: ec2.LaunchTemplate,
): autoscaling.AutoScalingGroup {
  const { capacity, cluster, maxInstanceLifetime, vpcSubnets } = input;
  const subnets = cluster.vpc.selectSubnets(vpcSubnets);
  assertZoneOfReservation(scope, capacity, subnets);
  const group = new autoscaling.AutoScalingGroup(scope, 'AutoScalingGroup', {
    vpc: cluster.vpc,
    vpcSubnets,
    // No desired capacity: the capacity provider owns it, and a template that states it would reset it.
    minCapacity: input.minSize,
    maxCapacity: input.maxSize,
    ...(capacity.kind === 'spot' ? { capacityRebalance: true } : {}),
    ...(maxInstanceLifetime === undefined ? {} : { maxInstanceLifetime }),
    ...(capacity.kind === 'spot' || capacity.instanceTypes.length > 1
      ? { mixedInstancesPolicy: mixInstances(capacity, launchTemplate) }
      : { launchTemplate }),
    updatePolicy: autoscaling.UpdatePolicy.instanceRefresh({
      strategy: autoscaling.InstanceRefreshStrategy.ROLLING,
      minHealthyPercentage: 100,
      maxHealthyPercentage: 200,
      skipMatching: true,
      // Machines are protected while a replica runs on them; managed draining moves the replicas, so a new image may
      // still replace them. Waiting instead would let an update hang for as long as there is load.
      scaleInProtectedInstances: autoscaling.ScaleInProtectedInstances.REFRESH,
    }),
  });
  // A machine that cannot reach ECS does not join, and one that no longer can is drained by nobody: the way out is there
  // before the first machine and until after the last.
  group.node.addDependency(wayOutOf(scope, cluster.vpc, vpcSubnets));
  // cfn-lint up to 1.51 does not know UpdatePolicy.AutoScalingInstanceRefresh yet.
  (group.node.defaultChild as CfnResource).addMetadata('cfn-lint', { config: { ignore_checks: ['E3016'] } });
  acknowledge(group, 'AS3', 'the capacity provider scales the group; notifications would tell nobody anything');
  acknowledge(group, 'EC26', 'every volume is encrypted, in the launch template');
  return group;
}

function mixInstances(
  capacity: AutoScaledMachinesInput['capacity'],
  launchTemplate: ec2.LaunchTemplate,
): autoscaling.MixedInstancesPolicy {
  const distribution =
    capacity.kind === 'spot'
      ? {
          onDemandBaseCapacity: capacity.onDemandBase,
          onDemandPercentageAboveBaseCapacity: capacity.onDemandPercentage,
          spotAllocationStrategy: autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
        }
      : { onDemandBaseCapacity: 0, onDemandPercentageAboveBaseCapacity: 100 };
  return {
    launchTemplate,
    launchTemplateOverrides: capacity.instanceTypes.map((type) => ({ instanceType: new ec2.InstanceType(type) })),
    instancesDistribution: {
      onDemandAllocationStrategy: autoscaling.OnDemandAllocationStrategy.PRIORITIZED,
      ...distribution,
    },
  };
}
