import { NodePool } from '@pulumi/alicloud/cs/nodePool';
import * as pulumi from '@pulumi/pulumi';
import { GPU_TAINT, planGpuPool, SpecError, type GpuPool, type Placement } from '../../runtime/spec';
import { shortened } from '../account-name';
import { logCost } from '../cost-line';
import { placementOf, planGroupSize, type GroupSize } from '../gpu-group';
import type { GpuSharingArgs } from '../gpu-sharing';
import { decideFor } from '../refusal';
import { tagged } from '../tags';
import type { ClusterFacts } from './cluster-facts';
import { closedMachines } from './machines';

export interface GpuInstanceGroupArgs {
  readonly cluster: ClusterFacts;
  /** ECS types with as many GPUs each, `ecs.gn7i-c8g1.2xlarge`; the first is tried first. */
  readonly instanceTypes: string[];
  /** Fewest machines. @default 0 */
  readonly minSize?: number;
  /** Most machines. */
  readonly maxSize: number;
  /** Whether machines are spot, at the market's price: cheaper, and taken away with five minutes' notice. @default false */
  readonly spot?: boolean;
  /** System disk, 30 to 2,048: images and the model cache. @default 200 */
  readonly diskSizeGiB?: number;
  /** Value of the label `slipway.dev/pool` that places pods here. @default - the component's name */
  readonly pool?: string;
  /** Pods share GPUs, as the device plugin was told to offer them. @default - a GPU has one pod */
  readonly sharing?: GpuSharingArgs;
  /** Id of the KMS key of the disks. @default - the key that Alibaba Cloud manages for the account */
  readonly diskEncryptionKey?: pulumi.Input<string>;
  /** Version of NVIDIA's driver, of those that ACK has. Another one is for new machines alone. @default - ACK's */
  readonly driverVersion?: string;
  /** Key pair for SSH. @default - none; nobody logs in */
  readonly keyName?: pulumi.Input<string>;
  /** Of the machines. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * GPU machines of an ACK cluster in one node pool: scaled from zero, tainted so that only GPU pods land on them, repaired
 * when they fail, with encrypted disks. ACK installs the driver and the device plugin that offers `nvidia.com/gpu`.
 *
 * Nothing scales before the cluster's one autoscaler is configured: our `Cluster` does so; of any other cluster its owner
 * makes the one `alicloud.cs.AutoscalingConfig`, with `scaleUpFromZero: true` and `skipNodesWithLocalStorage: false`.
 *
 * @example
 * const a10 = new GpuInstanceGroup('a10', { cluster: cluster.facts, instanceTypes: ['ecs.gn7i-c8g1.2xlarge'], maxSize: 8 });
 * new InferenceService('resnet', { placement: a10.placement, … });
 */
export class GpuInstanceGroup extends pulumi.ComponentResource {
  readonly nodePool: NodePool;
  /** For `placement` of a service. */
  readonly placement: Placement;

  constructor(name: string, args: GpuInstanceGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:alibaba:GpuInstanceGroup', name, args, opts);
    const machines = decideFor(this, () => planMachines(args, args.pool ?? name), args);
    logCost(this, args);
    this.nodePool = new NodePool(
      name,
      {
        clusterId: args.cluster.id,
        nodePoolName: shortened(`${name}-${pulumi.getStack()}`, 63),
        vswitchIds: args.cluster.vswitchIds,
        instanceTypes: [...args.instanceTypes],
        ...closedMachines(machines.diskSizeGiB, args.diskEncryptionKey),
        scalingConfig: { enable: true, minSize: machines.minSize, maxSize: machines.maxSize, type: 'gpu' },
        spotStrategy: args.spot === true ? 'SpotAsPriceGo' : 'NoSpot',
        ...(args.keyName === undefined ? {} : { keyName: args.keyName }),
        labels: Object.entries(machines.labels).map(([key, value]) => ({ key, value })),
        taints: [{ ...GPU_TAINT }],
        ...tagged(args.tags),
      },
      // The autoscaler owns the number of machines; writing it again would stop some under load.
      { parent: this, ignoreChanges: ['desiredSize'] },
    );
    this.placement = machines.placement;
    this.registerOutputs({ nodePoolId: this.nodePool.nodePoolId });
  }
}

/** Of a disk `cloud_essd` at level PL1. Source: the provider's documentation of `systemDiskSize`. */
const MAX_DISK_GIB = 2_048;
const DRIVER_LABEL = 'ack.aliyun.com/nvidia-driver-version';

interface MachinePlan extends GpuPool, GroupSize {}

function planMachines(args: GpuInstanceGroupArgs, pool: string): MachinePlan {
  const size = planGroupSize(args);
  if (size.diskSizeGiB > MAX_DISK_GIB) {
    throw new SpecError(
      'NUMBER_INVALID',
      'diskSizeGiB',
      `a disk of this cloud has ${MAX_DISK_GIB} at most, got ${size.diskSizeGiB}`,
    );
  }
  const planned = planGpuPool(args.instanceTypes, pool, size.diskSizeGiB, 'alibaba');
  return {
    ...planned,
    ...size,
    labels: {
      ...planned.labels,
      ...(args.driverVersion === undefined ? {} : { [DRIVER_LABEL]: args.driverVersion }),
    },
    placement: placementOf(planned, args, size.maxSize),
  };
}
