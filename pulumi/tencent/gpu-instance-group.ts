import * as pulumi from '@pulumi/pulumi';
import { GPU_TAINT, planGpuPool, SpecError, type GpuPool, type Placement } from '../../runtime/spec';
import { logCost } from '../cost-line';
import { placementOf, planGroupSize, type GroupSize } from '../gpu-group';
import type { GpuSharingArgs } from '../gpu-sharing';
import { shortened } from '../account-name';
import { decideFor } from '../refusal';
import { tagged } from '../tags';
import type { ClusterFacts } from './cluster-facts';
import { closedMachines } from './machines';
import { KubernetesNodePool } from './provider';

export interface GpuInstanceGroupArgs {
  readonly cluster: ClusterFacts;
  /** CVM types with as many GPUs each, `PNV4.7XLARGE116`; the first is tried first. */
  readonly instanceTypes: string[];
  /** Fewest machines. @default 0 */
  readonly minSize?: number;
  /** Most machines. */
  readonly maxSize: number;
  /** Whether machines are spot: cheaper, and taken away with two minutes' notice. It needs `spotMaxPrice`. @default false */
  readonly spot?: boolean;
  /** Most that is paid for a spot machine, per hour in the currency of the account: `8.50`. */
  readonly spotMaxPrice?: string;
  /** Encrypted data disk for images and the model cache, 30 to 16,384. @default 200 */
  readonly diskSizeGiB?: number;
  /** Value of the label `slipway.dev/pool` that places pods here. @default - the component's name */
  readonly pool?: string;
  /** Pods share GPUs, as the device plugin was told to offer them; MIG is switched on. @default - a GPU has one pod */
  readonly sharing?: GpuSharingArgs;
  /** Version of NVIDIA's driver, of those that TKE has. @default - TKE's */
  readonly driverVersion?: string;
  /**
   * What pods ask for, where the cluster offers GPUs under another name: `tke.cloud.tencent.com/qgpu-core`.
   * @default 'nvidia.com/gpu'
   */
  readonly gpuResourceName?: string;
  /** Key pairs for SSH. @default - none */
  readonly keyIds?: pulumi.Input<pulumi.Input<string>[]>;
  /** Of the pool and its machines. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * Experimental: GPU machines of a TKE cluster in one node pool, tainted so that only GPU pods land on them. Images and models
 * lie on an encrypted disk beside the system's, which Tencent Cloud cannot encrypt here. It was never run against an account.
 *
 * @example
 * const a10 = new GpuInstanceGroup('a10', { cluster, instanceTypes: ['PNV4.7XLARGE116'], maxSize: 8 });
 * new InferenceService('resnet', { placement: a10.placement, … });
 */
export class GpuInstanceGroup extends pulumi.ComponentResource {
  readonly nodePoolId: pulumi.Output<string>;
  /** For `placement` of a service. */
  readonly placement: Placement;

  constructor(name: string, args: GpuInstanceGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:tencent:GpuInstanceGroup', name, args, opts);
    const machines = decideFor(this, () => planMachines(args, args.pool ?? name), args);
    logCost(this, args);
    const { cluster } = args;
    const [instanceType, ...backupInstanceTypes] = args.instanceTypes;
    const closed = closedMachines(machines.diskSizeGiB, cluster.securityGroupIds);
    const nodePool = new KubernetesNodePool(
      name,
      {
        clusterId: cluster.id,
        name: machines.name,
        vpcId: cluster.vpcId,
        subnetIds: cluster.subnetIds,
        minSize: machines.minSize,
        maxSize: machines.maxSize,
        enableAutoScale: true,
        multiZoneSubnetPolicy: 'EQUALITY',
        retryPolicy: 'INCREMENTAL_INTERVALS',
        // Otherwise machines stay, and cost, when the pool goes.
        deleteKeepInstance: false,
        autoScalingConfig: {
          ...closed.autoScalingConfig,
          instanceType: instanceType!,
          backupInstanceTypes,
          ...(args.keyIds === undefined ? {} : { keyIds: args.keyIds }),
          ...chargingOf(args),
        },
        nodeConfig: { ...closed.nodeConfig, ...gpuArgsOf(args) },
        labels: machines.labels,
        taints: [{ ...GPU_TAINT }],
        ...tagged(args.tags),
      },
      // The autoscaler owns the number of machines; writing it again would stop some under load.
      { parent: this, ignoreChanges: ['desiredCapacity'] },
    );
    this.nodePoolId = nodePool.id;
    this.placement = machines.placement;
    this.registerOutputs({ nodePoolId: this.nodePoolId });
  }
}

const MAX_NAME = 25;

interface MachinePlan extends GpuPool, GroupSize {
  readonly name: string;
}

function planMachines(args: GpuInstanceGroupArgs, pool: string): MachinePlan {
  const size = planGroupSize(args);
  const planned = planGpuPool(args.instanceTypes, pool, size.diskSizeGiB, 'tencent');
  if ((args.spot === true) !== (args.spotMaxPrice !== undefined) || !/^\d+(\.\d+)?$/.test(args.spotMaxPrice ?? '1')) {
    throw new SpecError(
      'NUMBER_INVALID',
      'spotMaxPrice',
      `goes with spot: true, which Tencent Cloud takes with a price alone, as in '8.50'; got ${args.spotMaxPrice === undefined ? 'none' : `'${args.spotMaxPrice}'`}`,
    );
  }
  const placement = placementOf(planned, args, size.maxSize);
  return {
    ...planned,
    ...size,
    name: shortened(pool.replace(/[^A-Za-z0-9_.-]/g, '-'), MAX_NAME),
    placement: args.gpuResourceName === undefined ? placement : { ...placement, gpuResourceName: args.gpuResourceName },
  };
}

function chargingOf({ spot, spotMaxPrice }: GpuInstanceGroupArgs) {
  return spot === true
    ? { instanceChargeType: 'SPOTPAID', spotInstanceType: 'one-time', spotMaxPrice: spotMaxPrice! }
    : { instanceChargeType: 'POSTPAID_BY_HOUR' };
}

function gpuArgsOf({ driverVersion, sharing }: GpuInstanceGroupArgs) {
  const gpuArgs = {
    ...(sharing?.strategy === 'mig' ? { migEnable: true } : {}),
    ...(driverVersion === undefined ? {} : { driver: { version: driverVersion } }),
  };
  return Object.keys(gpuArgs).length === 0 ? {} : { gpuArgs };
}
