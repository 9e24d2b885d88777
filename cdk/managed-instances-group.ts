import { Annotations, Aws, Names, Size } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { lookUpInstance } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import type { ManagedInstances } from './capacity';
import { createMachineSecurityGroup } from './machine-security-group';
import type { Machines, MachinesPlan } from './machines-plan';
import { wayOutOf } from './way-out';

export interface ManagedInstancesInput extends MachinesPlan {
  readonly capacity: ManagedInstances;
}

/** A capacity provider whose machines ECS keeps by itself. It belongs to one cluster, and names it. */
export function createManagedInstances(
  scope: Construct,
  { cluster, capacity, vpcSubnets, volumeGiB, ...given }: ManagedInstancesInput,
): Machines {
  const securityGroup = given.securityGroup ?? createMachineSecurityGroup(scope, cluster.vpc);
  const { instanceTypes, infrastructureRole, instanceProfile } = capacity;
  const facts = instanceTypes.map((type) => lookUpInstance(type, 'instanceTypes'));
  const provider = new ecs.ManagedInstancesCapacityProvider(scope, 'CapacityProvider', {
    subnets: cluster.vpc.selectSubnets(vpcSubnets).subnets,
    securityGroups: [securityGroup],
    // On disks of the machine there is no volume to size.
    ...(capacity.useLocalStorage ? {} : { taskVolumeStorage: Size.gibibytes(volumeGiB) }),
    capacityOptionType: capacity.spot ? ecs.CapacityOptionType.SPOT : ecs.CapacityOptionType.ON_DEMAND,
    propagateTags: ecs.PropagateManagedInstancesTags.CAPACITY_PROVIDER,
    ...(infrastructureRole === undefined ? {} : { infrastructureRole }),
    ...(instanceProfile === undefined ? {} : { ec2InstanceProfile: instanceProfile }),
    // The types say all; the two minimums are there because AWS requires them.
    instanceRequirements: {
      allowedInstanceTypes: [...instanceTypes],
      vCpuCountMin: Math.min(...facts.map(({ vcpu }) => vcpu)),
      memoryMin: Size.mebibytes(Math.min(...facts.map(({ memoryMiB }) => memoryMiB))),
    },
  });
  addWhatCdkHasNoWordsFor(provider, capacity);
  if (!capacity.useLocalStorage) {
    Annotations.of(scope).addWarningV2(
      'slipway:unencrypted-volume',
      'ECS encrypts the volumes of managed instances only where the account encrypts every EBS volume by default: switch that on, or leave replicas on the NVMe of the machines, which encrypts by itself',
    );
  }
  if (instanceProfile === undefined) {
    nameAfterRegion(provider);
    acknowledgeInstanceRole(provider);
  }
  if (infrastructureRole === undefined) acknowledgeInfrastructureRole(provider);
  // A machine that cannot reach ECS does not join.
  provider.node.defaultChild!.node.addDependency(wayOutOf(scope, cluster.vpc, vpcSubnets));
  cluster.addManagedInstancesCapacityProvider(provider);
  return { securityGroup, capacityProvider: provider };
}

function addWhatCdkHasNoWordsFor(
  provider: ecs.ManagedInstancesCapacityProvider,
  { reservationGroupArn, useLocalStorage }: ManagedInstances,
): void {
  const override = (path: string, value: unknown): void =>
    (provider.node.defaultChild as ecs.CfnCapacityProvider).addPropertyOverride(
      `ManagedInstancesProvider.InstanceLaunchTemplate.${path}`,
      value,
    );
  if (useLocalStorage) override('LocalStorageConfiguration', { UseLocalStorage: true });
  if (reservationGroupArn === undefined) return;
  override('CapacityOptionType', 'RESERVED');
  // ECS takes a group of reservations only where machines run nowhere else.
  override('CapacityReservations', {
    ReservationGroupArn: reservationGroupArn,
    ReservationPreference: 'RESERVATIONS_ONLY',
  });
}

// AWS's policy passes roles whose name begins so, and the CDK makes the rest of the name of the stack's: the same stack in
// another region of the account would want the very same role.
function nameAfterRegion(provider: ecs.ManagedInstancesCapacityProvider): void {
  const name = `ecsInstanceRole${Names.uniqueResourceName(provider, { maxLength: 28 })}-${Aws.REGION}`;
  const resource = (id: string): iam.CfnRole => provider.node.findChild(id).node.defaultChild as iam.CfnRole;
  resource('InstanceRole').addPropertyOverride('RoleName', name);
  resource('InstanceProfile').addPropertyOverride('InstanceProfileName', name);
}

function acknowledgeInfrastructureRole(provider: ecs.ManagedInstancesCapacityProvider): void {
  const reason =
    'the policy that AWS keeps for ECS Managed Instances: what ECS needs to run machines is its own to know';
  acknowledge(
    provider,
    'IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonECSInfrastructureRolePolicyForManagedInstances]',
    reason,
  );
}

function acknowledgeInstanceRole(provider: ecs.ManagedInstancesCapacityProvider): void {
  const role = provider.node.findChild('InstanceRole');
  acknowledge(role, 'IAM5[Resource::*]', 'asking ECS where to connect takes no resource; CDK writes it');
  acknowledge(
    role,
    'IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:container-instance/*]',
    'a machine learns its own id only once it has joined; CDK writes it',
  );
}
