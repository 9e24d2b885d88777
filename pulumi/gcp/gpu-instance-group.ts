import { NodePool } from '@pulumi/gcp/container';
import type { Account } from '@pulumi/gcp/serviceaccount';
import * as pulumi from '@pulumi/pulumi';
import { GPU_TAINT, planGpuPool, type GpuPool, type Placement } from '../../runtime/spec';
import { logCost } from '../cost-line';
import { fitName } from '../fit-name';
import { onlyInstanceType, placementOf, planGroupSize, type GroupSize } from '../gpu-group';
import type { GpuSharingArgs } from '../gpu-sharing';
import { decideFor } from '../refusal';
import { acceleratorOf } from './accelerators';
import type { ClusterFacts } from './cluster-facts';
import { createNodeAccount } from './node-account';
import { closedNodes, LOOKED_AFTER } from './node-config';
import { projectOf } from './project';
import { resourceLabelled } from './tags';

export interface GpuInstanceGroupArgs {
  readonly cluster: ClusterFacts;
  /** The machine type, with the GPUs that come with it: `g2-standard-8`. A pool of GKE has one. */
  readonly instanceTypes: string[];
  /**
   * Fewest machines, in all zones together. The first ones are as many in each zone; what is left of them comes with the
   * first pods. @default 0
   */
  readonly minSize?: number;
  /** Most machines, in all zones together. */
  readonly maxSize: number;
  /** Whether machines are spot: cheaper, and taken away with half a minute's notice. @default false */
  readonly spot?: boolean;
  /** Boot disk, 30 to 16,384: images and the model cache. @default 200 */
  readonly diskSizeGiB?: number;
  /** Value of the label `slipway.dev/pool` that places pods here. @default - the component's name */
  readonly pool?: string;
  /** Pods share GPUs: GKE's own device plugin is told so. @default - a GPU has one pod */
  readonly sharing?: GpuSharingArgs;
  /** Zones that have the GPU; few regions have it in all of theirs. @default - the zones of the cluster */
  readonly zones?: string[];
  /** E-mail of the account of the machines. @default - one of its own: joining the cluster, logs, metrics, pulling images */
  readonly nodeServiceAccount?: pulumi.Input<string>;
  /** Labels of the pool's machines. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * GPU machines of a GKE cluster in one node pool: scaled from zero by GKE's autoscaler, tainted so that only GPU pods land
 * on them, repaired when they fail, with verified starts and the machine's credentials closed to pods. GKE installs the
 * driver and offers `nvidia.com/gpu` to pods.
 *
 * @example
 * const l4 = new GpuInstanceGroup('l4', { cluster: cluster.facts, instanceTypes: ['g2-standard-8'], maxSize: 8 });
 * new InferenceService('resnet', { placement: l4.placement, … });
 */
export class GpuInstanceGroup extends pulumi.ComponentResource {
  readonly nodePool: NodePool;
  /** Undefined where `nodeServiceAccount` was given. */
  readonly nodeAccount?: Account;
  /** For `placement` of a service. */
  readonly placement: Placement;

  constructor(name: string, args: GpuInstanceGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:gcp:GpuInstanceGroup', name, args, opts);
    const machines = decideFor(this, () => planMachines(args, args.pool ?? name), args);
    logCost(this, args);
    const { cluster } = args;
    const project = projectOf(cluster, this);

    let rights: pulumi.Resource[] = [];
    if (args.nodeServiceAccount === undefined) {
      ({ account: this.nodeAccount, rights } = createNodeAccount(name, project, this));
    }
    const { named, once } = fitName('name', 40, name, this);
    this.nodePool = new NodePool(
      name,
      {
        ...named,
        cluster: cluster.name,
        location: cluster.location,
        project: project.id,
        initialNodeCount: Math.floor(machines.minSize / zonesOf(args)),
        // In all zones together, wherever there is stock: a limit for each zone would be another number in every region.
        autoscaling: { totalMinNodeCount: machines.minSize, totalMaxNodeCount: args.maxSize, locationPolicy: 'ANY' },
        ...LOOKED_AFTER,
        ...(args.zones === undefined ? {} : { nodeLocations: [...args.zones] }),
        nodeConfig: {
          ...closedNodes(args.nodeServiceAccount ?? this.nodeAccount!.email),
          machineType: machines.machineType,
          spot: args.spot ?? false,
          // No disk type: GKE takes the one that the machine type has.
          diskSizeGb: machines.diskSizeGiB,
          guestAccelerators: [machines.accelerator],
          // Containers start while their image still arrives.
          gcfsConfig: { enabled: true },
          labels: machines.labels,
          // GKE sets it by itself only where the cluster has another pool already.
          taints: [{ key: GPU_TAINT.key, value: GPU_TAINT.value, effect: 'NO_SCHEDULE' }],
          ...resourceLabelled(args.tags),
        },
      },
      // The autoscaler owns the number of machines; writing it again would stop some under load.
      { parent: this, ...once, ignoreChanges: ['initialNodeCount', 'nodeCount'], dependsOn: rights },
    );

    this.placement = machines.placement;
    this.registerOutputs({ nodePoolName: this.nodePool.name });
  }
}

/** GKE counts the first machines of a pool in each of its zones, which in a region are three unless somebody says. */
function zonesOf({ zones = [], cluster: { location } }: GpuInstanceGroupArgs): number {
  if (zones.length > 0) return zones.length;
  const isZone = typeof location === 'string' && /-[a-z]$/.test(location);
  return isZone ? 1 : 3;
}

interface MachinePlan extends GpuPool, GroupSize {
  readonly machineType: string;
  readonly accelerator: ReturnType<typeof acceleratorConfig>;
}

function planMachines(args: GpuInstanceGroupArgs, pool: string): MachinePlan {
  const size = planGroupSize(args);
  const machineType = onlyInstanceType(args.instanceTypes);
  const planned = planGpuPool([machineType], pool, size.diskSizeGiB, 'gcp');
  // GKE offers shares and parts of a GPU under the GPU's own name.
  const placement = placementOf(planned, args, size.maxSize, () => planned.placement.gpuResourceName);
  return { ...planned, ...size, placement, machineType, accelerator: acceleratorConfig(machineType, planned, args) };
}

/** Values: GPUSharingConfig and GPUDriverInstallationConfig of the GKE API (google.golang.org/api/container/v1). */
function acceleratorConfig(machineType: string, { gpuCount }: GpuPool, { sharing }: GpuInstanceGroupArgs) {
  const { strategy, podsPerGpu, migProfile } = sharing ?? {};
  return {
    type: acceleratorOf(machineType),
    count: gpuCount,
    // Unset, the API installs no driver.
    gpuDriverInstallationConfig: { gpuDriverVersion: 'DEFAULT' },
    ...(migProfile === undefined ? {} : { gpuPartitionSize: migProfile }),
    ...(strategy === undefined || strategy === 'mig'
      ? {}
      : {
          gpuSharingConfig: {
            gpuSharingStrategy: strategy === 'mps' ? 'MPS' : 'TIME_SHARING',
            maxSharedClientsPerGpu: podsPerGpu!,
          },
        }),
  };
}
