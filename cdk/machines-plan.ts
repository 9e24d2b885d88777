import { Stack, type Duration } from 'aws-cdk-lib';
import type * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { SpecError, type Preset } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { Capacity, hasLocalDisks, type MachineCapacity, type ManagedInstances } from './capacity';
import type { GpuInstanceGroupProps } from './gpu-instance-group';
import { GpuMachineImage } from './machine-image';
import type { MachineSettings } from './machine-user-data';
import { assertWarmPool, type WarmPoolProps } from './warm-pool';

/** Everything decided about a group of machines. */
export interface MachinesPlan {
  readonly cluster: ecs.Cluster;
  readonly capacity: MachineCapacity;
  readonly preset: Preset;
  readonly minSize: number;
  readonly maxSize: number;
  readonly machineImage: GpuMachineImage;
  readonly settings: MachineSettings;
  readonly volumeGiB: number;
  readonly volumeKey: kms.IKey | undefined;
  readonly warmPool: WarmPoolProps | undefined;
  readonly vpcSubnets: ec2.SubnetSelection;
  readonly securityGroup: ec2.ISecurityGroup | undefined;
  readonly role: iam.IRole | undefined;
  readonly targetCapacityPercent: number;
  readonly maxInstanceLifetime: Duration | undefined;
}

/** What is made, whichever way the machines come. */
export interface Machines {
  readonly securityGroup: ec2.ISecurityGroup;
  readonly capacityProvider: ecs.AsgCapacityProvider | ecs.ManagedInstancesCapacityProvider;
  readonly role?: iam.IRole;
  readonly launchTemplate?: ec2.LaunchTemplate;
  readonly autoScalingGroup?: autoscaling.AutoScalingGroup;
}

/**
 * @throws SpecError for the first contradiction.
 */
export function planMachines(scope: Construct, props: GpuInstanceGroupProps): MachinesPlan {
  const cluster = clusterOf(scope, props);
  const capacity = capacityOf(props);
  if (capacity.kind === 'managedInstances') assertNothingIsEcsOwn(props, capacity);
  const machineImage = props.machineImage ?? GpuMachineImage.amazonLinux2023();
  if (props.warmPool !== undefined) assertWarmPool(capacity, machineImage.os);
  return {
    cluster,
    capacity,
    ...planSize(props, capacity),
    preset: props.preset ?? props.platform?.preset ?? 'production',
    machineImage,
    settings: {
      spot: capacity.kind === 'spot',
      warmPool: props.warmPool !== undefined,
      modelCache: planModelCache(props, capacity, machineImage),
      lines: props.userData ?? [],
    },
    volumeGiB: integer('rootVolumeGiB', props.rootVolumeGiB, 100, 30, 16_384),
    volumeKey: props.volumeKey,
    warmPool: props.warmPool,
    vpcSubnets: props.vpcSubnets ?? props.platform?.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
    securityGroup: props.securityGroup,
    role: props.role,
    targetCapacityPercent: integer('targetCapacityPercent', props.targetCapacityPercent, 100, 1, 100),
    maxInstanceLifetime: props.maxInstanceLifetime,
  };
}

// The cluster names its capacity providers and the machines name the cluster: two stacks would each wait for the other.
function clusterOf(scope: Construct, props: GpuInstanceGroupProps): ecs.Cluster {
  if ((props.cluster === undefined) === (props.platform === undefined)) {
    throw new SpecError(
      'CLUSTER_OR_PLATFORM',
      'cluster',
      props.cluster === undefined
        ? 'machines join a cluster: got neither cluster nor platform'
        : 'got a cluster and a platform; leave one of them out',
    );
  }
  const path = props.cluster === undefined ? 'platform' : 'cluster';
  const cluster = props.cluster ?? props.platform!.cluster;
  if (!ecs.Cluster.isCluster(cluster)) {
    throw new SpecError(
      'CLUSTER_MISMATCH',
      path,
      `'${cluster.node.path}' is imported and takes no machines here; make the group where the cluster is made`,
    );
  }
  const [own, others] = [Stack.of(scope), Stack.of(cluster)];
  if (own !== others) {
    throw new SpecError(
      'CLUSTER_MISMATCH',
      path,
      `must be in the stack of its machines, '${own.node.path}', got '${cluster.node.path}'; put the group beside the cluster`,
    );
  }
  return cluster;
}

function capacityOf({ capacity, instanceTypes }: GpuInstanceGroupProps): MachineCapacity {
  if ((capacity === undefined) === (instanceTypes === undefined)) {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'capacity',
      capacity === undefined
        ? "got neither capacity nor instanceTypes; name the machines, such as Capacity.onDemand(['g6.xlarge'])"
        : 'got capacity and instanceTypes; name the types in one of them',
    );
  }
  return (capacity ?? Capacity.onDemand(instanceTypes!)) as MachineCapacity;
}

function planSize(
  props: GpuInstanceGroupProps,
  capacity: MachineCapacity,
): { readonly minSize: number; readonly maxSize: number } {
  const minSize = integer('minSize', props.minSize, 0, 0, 10_000);
  const maxSize = integer('maxSize', props.maxSize, Math.max(minSize, 4), 1, 10_000);
  if (maxSize < minSize) {
    throw new SpecError('REPLICA_RANGE', 'maxSize', `must be at least minSize (${minSize}), got ${maxSize}`);
  }
  if (capacity.kind === 'capacityBlock' && minSize > 0) {
    throw new SpecError(
      'CAPACITY_BLOCK_TYPE',
      'minSize',
      `outside the time of a capacity block no machine can be had: must be 0, got ${minSize}`,
    );
  }
  return { minSize, maxSize };
}

function planModelCache(
  { modelCache }: GpuInstanceGroupProps,
  capacity: MachineCapacity,
  { os }: GpuMachineImage,
): boolean {
  // ECS has the disks of managed instances to itself: there it is Capacity.managedInstances' useLocalStorage.
  const why =
    capacity.kind === 'managedInstances'
      ? 'of managed instances ECS has the disks to itself; say useLocalStorage in Capacity.managedInstances'
      : os === 'bottlerocket'
        ? 'Bottlerocket has no shell to mount disks with; use GpuMachineImage.amazonLinux2023, or leave modelCache out'
        : modelCacheNeedsDisks(capacity);
  if (modelCache === true && why !== undefined) throw new SpecError('MODEL_CACHE_UNSUPPORTED', 'modelCache', why);
  return modelCache ?? why === undefined;
}

function modelCacheNeedsDisks({ instanceTypes }: MachineCapacity): string | undefined {
  const without = instanceTypes.filter((type) => !hasLocalDisks(type));
  return without.length === 0 ? undefined : `${without.join(', ')} has no NVMe of its own; leave modelCache out`;
}

// What an author may say of the machines of an Auto Scaling group, and of those that ECS keeps by itself may not.
const WAYS_OUT = {
  minSize: 'ECS keeps as many machines as replicas need',
  maxSize: 'ECS keeps as many machines as replicas need; a service has its maxReplicas',
  machineImage: 'ECS chooses the image and its driver',
  volumeKey: 'it encrypts volumes as the account does by default',
  warmPool: 'ECS keeps no stopped machines',
  role: 'name an instanceProfile in Capacity.managedInstances',
  userData: 'ECS configures the machines',
  targetCapacityPercent: 'ECS decides what stays in reserve',
  maxInstanceLifetime: 'ECS replaces machines by itself',
} as const satisfies Partial<Record<keyof GpuInstanceGroupProps, string>>;

function assertNothingIsEcsOwn(props: GpuInstanceGroupProps, { useLocalStorage }: ManagedInstances): void {
  if (useLocalStorage && props.rootVolumeGiB !== undefined) {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'rootVolumeGiB',
      'replicas live on the NVMe of the machines, which has its size; leave it out, or say useLocalStorage: false',
    );
  }
  for (const [name, wayOut] of Object.entries(WAYS_OUT)) {
    if (props[name as keyof typeof WAYS_OUT] === undefined) continue;
    throw new SpecError('CAPACITY_CHOICE', name, `says nothing to managed instances: ${wayOut}; leave it out`);
  }
}
