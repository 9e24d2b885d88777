import { AgentPool } from '@pulumi/azure-native/containerservice';
import * as pulumi from '@pulumi/pulumi';
import { GPU_TAINT, lookUpInstance, planGpuPool, SpecError, type Placement } from '../../runtime/spec';
import { logCost } from '../cost-line';
import { onlyInstanceType, placementOf, planGroupSize, type GroupSize } from '../gpu-group';
import type { GpuSharingArgs } from '../gpu-sharing';
import { decideFor } from '../refusal';
import type { ClusterFacts } from './cluster-facts';

export interface GpuInstanceGroupArgs {
  readonly cluster: ClusterFacts;
  /** One VM size: `Standard_NC4as_T4_v3`. For several make several groups with the same `pool`. */
  readonly instanceTypes: string[];
  /** Fewest machines. @default 0 */
  readonly minSize?: number;
  /** Most machines. */
  readonly maxSize: number;
  /** Whether machines are spot: cheaper, and taken away with half a minute's notice. @default false */
  readonly spot?: boolean;
  /**
   * Disk of the operating system, 30 to 16,384: images and the model cache. It lies on the machine's own disk where that
   * is large enough, which is fast and costs nothing, and else on a managed disk. @default 200
   */
  readonly diskSizeGiB?: number;
  /** Value of the label `slipway.dev/pool` that places pods here. @default - the component's name */
  readonly pool?: string;
  /** Pods share GPUs; the device plugin of the cluster must be told the same. @default - a GPU has one pod */
  readonly sharing?: GpuSharingArgs;
  /**
   * Name of the agent pool: 1 to 12 lower-case letters and digits, the first a letter.
   * @default - the component's name without what Azure does not take
   */
  readonly agentPoolName?: string;
  /**
   * Whether the host encrypts all disks of a machine, temporary ones too. The subscription must have the feature
   * `Microsoft.Compute/EncryptionAtHost`. @default true
   */
  readonly encryptionAtHost?: boolean;
  /** Zones that machines may be in: `['1', '2', '3']`. @default - the region's own choice */
  readonly zones?: string[];
  /** Of the agent pool and its machines. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * GPU machines of an AKS cluster behind one agent pool: scaled from zero by the cluster's own autoscaler, tainted so that
 * only GPU pods land on them, without SSH, with disks that the host encrypts.
 *
 * AKS installs NVIDIA's driver. The device plugin that offers `nvidia.com/gpu` to pods is an add-on of the cluster.
 *
 * @example
 * const t4 = new GpuInstanceGroup('t4', { cluster: platform.facts, instanceTypes: ['Standard_NC4as_T4_v3'], maxSize: 8 });
 * new InferenceService('resnet', { placement: t4.placement, … });
 */
export class GpuInstanceGroup extends pulumi.ComponentResource {
  readonly agentPool: AgentPool;
  /** For `placement` of a service. */
  readonly placement: Placement;

  constructor(name: string, args: GpuInstanceGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:azure:GpuInstanceGroup', name, args, opts);
    const machines = decideFor(this, () => planMachines(name, args), args);
    const { cluster, spot = false } = args;
    logCost(this, args);
    this.agentPool = new AgentPool(
      name,
      {
        resourceGroupName: cluster.resourceGroupName,
        // Azure's words: the resource is the cluster, and the pool is what it is called in it.
        resourceName: cluster.name,
        agentPoolName: machines.agentPoolName,
        mode: 'User',
        type: 'VirtualMachineScaleSets',
        osType: 'Linux',
        osSKU: 'Ubuntu',
        vmSize: machines.vmSize,
        vnetSubnetID: cluster.subnetId,
        ...(args.zones === undefined ? {} : { availabilityZones: [...args.zones] }),
        enableAutoScaling: true,
        minCount: machines.minSize,
        maxCount: machines.maxSize,
        // Azure refuses some updates without a count, autoscaled or not (pulumi-azure-native#2943).
        count: machines.minSize,
        ...(spot ? SPOT : ON_DEMAND),
        scaleDownMode: 'Delete',
        osDiskSizeGB: machines.diskSizeGiB,
        enableEncryptionAtHost: args.encryptionAtHost ?? true,
        enableNodePublicIP: false,
        securityProfile: { sshAccess: 'Disabled' },
        gpuProfile: { driver: 'Install' },
        gpuInstanceProfile: machines.migProfile,
        nodeLabels: machines.labels,
        nodeTaints: taintsOf(spot).map(({ key, value, effect }) => `${key}=${value}:${effect}`),
        tags: args.tags,
      },
      // The autoscaler owns the number of machines; writing it again would stop some under load. The name is taken until
      // the pool is gone, and another VM size is another pool.
      { parent: this, ignoreChanges: ['count'], deleteBeforeReplace: true },
    );
    this.placement = machines.placement;
    this.registerOutputs({ agentPoolName: this.agentPool.name });
  }
}

/**
 * AKS puts this taint on spot machines by itself; it is said, so that a refresh shows no drift.
 * Source: https://learn.microsoft.com/azure/aks/spot-node-pool, read 2026-11-22.
 */
const SPOT_TAINT = { key: 'kubernetes.azure.com/scalesetpriority', value: 'spot', effect: 'NoSchedule' } as const;
const SPOT = { scaleSetPriority: 'Spot', scaleSetEvictionPolicy: 'Delete', spotMaxPrice: -1 } as const;
// Spot pools take no surge: Azure refuses the property.
const ON_DEMAND = { scaleSetPriority: 'Regular', upgradeSettings: { maxSurge: '1' } } as const;

const taintsOf = (spot: boolean) => (spot ? [GPU_TAINT, SPOT_TAINT] : [GPU_TAINT]);

interface MachinePlan extends GroupSize {
  readonly agentPoolName: string;
  readonly vmSize: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly migProfile: string | undefined;
  readonly placement: Placement;
}

function planMachines(name: string, args: GpuInstanceGroupArgs): MachinePlan {
  const size = planGroupSize(args);
  const vmSize = onlyInstanceType(args.instanceTypes);
  const planned = planGpuPool([vmSize], args.pool ?? name, size.diskSizeGiB, 'azure');
  const placement = placementOf(planned, args, size.maxSize);
  return {
    ...size,
    agentPoolName: agentPoolNameOf(name, args.agentPoolName),
    vmSize,
    labels: planned.labels,
    migProfile: migProfileOf(args.sharing?.migProfile, vmSize),
    placement: {
      ...placement,
      tolerations: taintsOf(args.spot === true).map((taint) => ({ ...taint, operator: 'Equal' })),
    },
  };
}

const MAX_NAME = 12;

function agentPoolNameOf(name: string, given: string | undefined): string {
  const agentPoolName = given ?? name.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (/^[a-z][a-z0-9]*$/.test(agentPoolName) && agentPoolName.length <= MAX_NAME) return agentPoolName;
  throw new SpecError(
    'NAME_INVALID',
    'agentPoolName',
    given === undefined
      ? `an agent pool has a name of 1 to ${MAX_NAME} lower-case letters and digits, the first a letter, and the component's name gives '${agentPoolName}'; name it by agentPoolName`
      : `must be 1 to ${MAX_NAME} lower-case letters and digits, the first a letter, got '${given}'`,
  );
}

/**
 * MIG is set once for a pool, by the number of compute slices.
 * Source: `GPUInstanceProfile` of the AKS API 2025-09-01.
 */
const MIG_SLICES = ['1', '2', '3', '4', '7'];

function migProfileOf(profile: string | undefined, vmSize: string): string | undefined {
  if (profile === undefined) return undefined;
  const { gpu } = lookUpInstance(vmSize, 'instanceTypes[0]', 'azure');
  if (!/^[AH]100/.test(gpu)) {
    throw new SpecError(
      'GPU_SHARING_INVALID',
      'sharing.strategy',
      `the ${gpu} of ${vmSize} cannot be parted by MIG; take an A100 or H100, or 'timeSlicing'`,
    );
  }
  const slices = profile[0]!;
  if (!MIG_SLICES.includes(slices)) {
    throw new SpecError(
      'GPU_SHARING_INVALID',
      'sharing.migProfile',
      `AKS parts GPUs by ${MIG_SLICES.join(', ')} slices, got '${profile}'`,
    );
  }
  return `MIG${slices}g`;
}
