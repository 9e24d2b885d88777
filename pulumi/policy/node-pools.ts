import type { CheckedResource } from './rule';

/** A group of machines of a Kubernetes cluster, whatever the cloud calls it. */
export interface NodePool {
  readonly machineTypes: readonly string[];
  readonly hasGpu: boolean;
  /** Keys of its taints. */
  readonly taints: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly min: number;
  /** @default - it does not scale, or does not say */
  readonly max?: number;
}

/** Reads the node pools of five clouds; undefined for everything else. */
export function nodePoolOf({ type, props }: CheckedResource): NodePool | undefined {
  const read = Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  return read?.(props);
}

interface Taint {
  readonly key: string;
}
type Labels = Readonly<Record<string, string>>;

// What is read of each cloud's own resource, by its provider's names.
interface EksNodeGroup {
  readonly amiType?: string;
  readonly instanceTypes?: readonly string[];
  readonly taints?: readonly Taint[];
  readonly labels?: Labels;
  readonly scalingConfig?: { readonly minSize?: number; readonly maxSize?: number };
}
interface GkeNodePool {
  readonly nodeConfig?: {
    readonly machineType?: string;
    readonly guestAccelerators?: readonly unknown[];
    readonly taints?: readonly Taint[];
    readonly labels?: Labels;
  };
  readonly autoscaling?: Readonly<
    Record<'totalMinNodeCount' | 'totalMaxNodeCount' | 'minNodeCount' | 'maxNodeCount', number | undefined>
  >;
  readonly initialNodeCount?: number;
}
interface AksAgentPool {
  readonly vmSize?: string;
  readonly nodeTaints?: readonly string[];
  readonly nodeLabels?: Labels;
  readonly minCount?: number;
  readonly maxCount?: number;
  readonly count?: number;
}
interface AckNodePool {
  readonly instanceTypes?: readonly string[];
  readonly taints?: readonly Taint[];
  readonly labels?: readonly { readonly key: string; readonly value?: string }[];
  readonly scalingConfig?: { readonly minSize?: number; readonly maxSize?: number };
  readonly desiredSize?: string;
}
interface TkeNodePool {
  readonly autoScalingConfig?: { readonly instanceType?: string };
  readonly taints?: readonly Taint[];
  readonly labels?: Labels;
  readonly minSize?: number;
  readonly maxSize?: number;
}

const READERS: Readonly<Record<string, (props: object) => NodePool>> = {
  'aws:eks/nodeGroup:NodeGroup': ({
    amiType,
    instanceTypes = [],
    taints,
    labels = {},
    scalingConfig,
  }: EksNodeGroup) => ({
    machineTypes: instanceTypes,
    hasGpu: /NVIDIA|GPU/.test(amiType ?? '') || instanceTypes.some((type) => /^(g\d|p\d)/.test(type)),
    taints: keys(taints),
    labels,
    min: scalingConfig?.minSize ?? 0,
    ...bound(scalingConfig?.maxSize),
  }),
  'gcp:container/nodePool:NodePool': ({ nodeConfig, autoscaling, initialNodeCount = 0 }: GkeNodePool) => ({
    machineTypes: listed(nodeConfig?.machineType),
    hasGpu: (nodeConfig?.guestAccelerators ?? []).length > 0 || /^(a\d|g\d)-/.test(nodeConfig?.machineType ?? ''),
    taints: keys(nodeConfig?.taints),
    labels: nodeConfig?.labels ?? {},
    min: autoscaling?.totalMinNodeCount ?? autoscaling?.minNodeCount ?? initialNodeCount,
    ...bound(autoscaling?.totalMaxNodeCount ?? autoscaling?.maxNodeCount),
  }),
  'azure-native:containerservice:AgentPool': ({ vmSize, nodeTaints = [], nodeLabels = {}, ...pool }: AksAgentPool) => ({
    machineTypes: listed(vmSize),
    hasGpu: /^Standard_N[CDGV]/i.test(vmSize ?? ''),
    taints: nodeTaints.map((taint) => taint.split(/[=:]/)[0]!),
    labels: nodeLabels,
    min: pool.minCount ?? pool.count ?? 0,
    ...bound(pool.maxCount),
  }),
  'alicloud:cs/nodePool:NodePool': ({ instanceTypes = [], taints, labels = [], ...pool }: AckNodePool) => ({
    machineTypes: instanceTypes,
    hasGpu: instanceTypes.some((type) => /^ecs\.(ebm)?[sv]?gn/.test(type)),
    taints: keys(taints),
    labels: Object.fromEntries(labels.map(({ key, value = '' }) => [key, value])),
    min: pool.scalingConfig?.minSize ?? Number(pool.desiredSize ?? 0),
    ...bound(pool.scalingConfig?.maxSize),
  }),
  'tencentcloud:index/kubernetesNodePool:KubernetesNodePool': ({
    autoScalingConfig,
    labels = {},
    ...pool
  }: TkeNodePool) => ({
    machineTypes: listed(autoScalingConfig?.instanceType),
    hasGpu: /^(G[INT]|PNV|HCCPNV)/.test(autoScalingConfig?.instanceType ?? ''),
    taints: keys(pool.taints),
    labels,
    min: pool.minSize ?? 0,
    ...bound(pool.maxSize),
  }),
};

function keys(taints: readonly Taint[] | undefined): readonly string[] {
  return (taints ?? []).map(({ key }) => key);
}

function listed(type: string | undefined): readonly string[] {
  return type === undefined ? [] : [type];
}

function bound(max: number | undefined): Pick<NodePool, 'max'> {
  return max === undefined ? {} : { max };
}
