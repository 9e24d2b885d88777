import { SpecError } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';

/** How several pods use one GPU. */
export const GpuSharingStrategy = {
  /** Pods take turns; nothing keeps the memory of one from another. */
  TimeSlicing: 'timeSlicing',
  /** NVIDIA's Multi-Process Service: pods run at the same time, each within its part of the memory. */
  Mps: 'mps',
  /** Multi-Instance GPU: the hardware parts memory and processors. A100, H100 and later. */
  Mig: 'mig',
} as const;
export type GpuSharingStrategy = (typeof GpuSharingStrategy)[keyof typeof GpuSharingStrategy];

/** GPUs that are offered to several pods each. */
export interface GpuSharingArgs {
  readonly strategy: GpuSharingStrategy;
  /** Pods that one GPU is offered to, 2 to 48; with MIG the number of its parts, 1 to 7. */
  readonly podsPerGpu: number;
  /** With MIG, and with it alone: size of a part as NVIDIA writes it, `1g.5gb` or `3g.40gb`. */
  readonly migProfile?: string;
}

/** Most pods of one GPU: GKE takes 48, the clients that MPS has on NVIDIA's newer GPUs. */
const MAX_PODS = 48;
const MAX_MIG_PARTS = 7;

/**
 * Pods that one GPU is offered to; 1 without sharing.
 * @throws SpecError NUMBER_INVALID for a number out of range, GPU_SHARING_INVALID for a profile that is missing or out of place.
 */
export function podsPerGpu(sharing: GpuSharingArgs | undefined): number {
  if (sharing === undefined) return 1;
  const { strategy, migProfile } = sharing;
  const isMig = strategy === GpuSharingStrategy.Mig;
  if (isMig && !/^[1-7]g\.\d+gb$/.test(migProfile ?? '')) {
    throw new SpecError(
      'GPU_SHARING_INVALID',
      'sharing.migProfile',
      `must be a size such as '1g.5gb' or '3g.40gb', got ${migProfile === undefined ? 'none' : `'${migProfile}'`}`,
    );
  }
  if (!isMig && migProfile !== undefined) {
    throw new SpecError(
      'GPU_SHARING_INVALID',
      'sharing.migProfile',
      `goes with 'mig' alone, got it with '${strategy}'`,
    );
  }
  return integer('sharing.podsPerGpu', sharing.podsPerGpu, 1, isMig ? 1 : 2, isMig ? MAX_MIG_PARTS : MAX_PODS);
}
