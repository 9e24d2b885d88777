import { SpecError } from '../errors';

// Choices that stand in arguments of components are objects of constants: TypeScript users write the plain text, and
// Pulumi's schema, which knows no unions of literals, gets an enumeration.

export const TolerationOperator = { Exists: 'Exists', Equal: 'Equal' } as const;
export type TolerationOperator = (typeof TolerationOperator)[keyof typeof TolerationOperator];

export const TaintEffect = {
  NoSchedule: 'NoSchedule',
  PreferNoSchedule: 'PreferNoSchedule',
  NoExecute: 'NoExecute',
} as const;
export type TaintEffect = (typeof TaintEffect)[keyof typeof TaintEffect];

/** A toleration of a pod, as Kubernetes writes it. */
export interface Toleration {
  readonly key: string;
  readonly operator: TolerationOperator;
  readonly value?: string;
  readonly effect: TaintEffect;
}

/** How a pod asks for its GPUs: a number in its resources, or a claim of Dynamic Resource Allocation. */
export const GpuAllocation = { ExtendedResource: 'extendedResource', Dra: 'dra' } as const;
export type GpuAllocation = (typeof GpuAllocation)[keyof typeof GpuAllocation];

/**
 * Where pods of a service may land. A GPU instance group returns one that matches its own taints and labels, so
 * nobody writes a toleration by hand.
 */
export interface Placement {
  readonly nodeSelector: { readonly [key: string]: string };
  readonly tolerations: Toleration[];
  readonly runtimeClassName?: string;
  /** Extended resource that stands for one GPU, or for one share of a GPU that several pods use. */
  readonly gpuResourceName: string;
  /** @default 'extendedResource' */
  readonly gpuAllocation?: GpuAllocation;
  /** Device class that claims name, with Dynamic Resource Allocation. @default 'gpu.nvidia.com' */
  readonly deviceClassName?: string;
  /** Pods that one GPU is offered to. @default 1: a GPU has one pod */
  readonly sharesPerGpu?: number;
  /** Memory of one share, where shares are of a fixed size as with MIG. @default - the GPU's, divided by the shares */
  readonly gpuMemoryMiB?: number;
  /** Types of the machines: a service is sized by them, unless its author names some. @default - unknown */
  readonly instanceTypes?: string[];
  /**
   * Most GPUs that the machines can have together: a rollout, and the most replicas, are held against it.
   * @default - nobody knows
   */
  readonly maxGpus?: number;
}

/** The taint of every GPU instance group; pods that need no GPU stay off. */
export const GPU_TAINT = { key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' } as const;

/** Any node; GPUs, where asked for, by NVIDIA's device plugin and past the usual taint. */
export const ANYWHERE: Placement = {
  nodeSelector: {},
  tolerations: [{ key: GPU_TAINT.key, operator: 'Exists', effect: 'NoSchedule' }],
  gpuResourceName: 'nvidia.com/gpu',
};

/**
 * Any of several groups of machines: on-demand ones and spot ones beside them, or several types where a cloud takes one for
 * each group. Which of them grows is the cluster autoscaler's to decide.
 *
 * @example
 * new InferenceService('resnet', { placement: anyOf(base.placement, spot.placement), … });
 *
 * @throws SpecError PLACEMENT_CONFLICT unless the groups share their pool and offer GPUs in the same way: a pod names one
 * label and one resource.
 */
export function anyOf(first: Placement, ...others: Placement[]): Placement {
  for (const [i, other] of others.entries()) {
    for (const field of ['nodeSelector', ...SAME] as const) {
      const [expected, got] = [canonical(first[field]), canonical(other[field])];
      if (expected === got) continue;
      throw new SpecError(
        'PLACEMENT_CONFLICT',
        `placements[${i + 1}].${field}`,
        `must be ${expected} as in the first, got ${got}; make the groups with the same 'pool' and the same sharing`,
      );
    }
  }
  const all = [first, ...others];
  const tolerations = new Map(all.flatMap((one) => one.tolerations).map((one) => [canonical(one), one]));
  const types = all.flatMap(({ instanceTypes = [] }) => instanceTypes);
  const gpus = all.map(({ maxGpus }) => maxGpus);
  const { instanceTypes: _types, maxGpus: _gpus, ...same } = first;
  return {
    ...same,
    tolerations: [...tolerations.values()],
    // Where one group does not say it, nobody knows it of all.
    ...(all.some(({ instanceTypes = [] }) => instanceTypes.length === 0) ? {} : { instanceTypes: [...new Set(types)] }),
    ...(gpus.includes(undefined) ? {} : { maxGpus: gpus.reduce<number>((sum, one) => sum + one!, 0) }),
  };
}

const SAME = [
  'runtimeClassName',
  'gpuResourceName',
  'gpuAllocation',
  'deviceClassName',
  'sharesPerGpu',
  'gpuMemoryMiB',
] as const;

function canonical(value: object | string | number | undefined): string {
  if (typeof value !== 'object') return value === undefined ? 'none' : `'${value}'`;
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))));
}
