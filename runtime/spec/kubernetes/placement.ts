/** A toleration of a pod, as Kubernetes writes it. */
export interface Toleration {
  readonly key: string;
  readonly operator: 'Exists' | 'Equal';
  readonly value?: string;
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

/**
 * Where pods of a service may land. A GPU instance group returns one that matches its own taints and labels, so
 * nobody writes a toleration by hand.
 */
export interface Placement {
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  readonly runtimeClassName?: string;
  /** Extended resource that stands for one GPU. */
  readonly gpuResourceName: string;
}

/** The taint of every GPU instance group; pods that need no GPU stay off. */
export const GPU_TAINT = { key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' } as const;

/** Any node; GPUs, where asked for, by NVIDIA's device plugin and past the usual taint. */
export const ANYWHERE: Placement = {
  nodeSelector: {},
  tolerations: [{ key: GPU_TAINT.key, operator: 'Exists', effect: 'NoSchedule' }],
  gpuResourceName: 'nvidia.com/gpu',
};
