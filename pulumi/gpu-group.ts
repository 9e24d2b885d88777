import { SpecError, type GpuPool, type Placement } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { podsPerGpu, type GpuSharingArgs } from './gpu-sharing';

/** Size of a GPU instance group, as every cloud takes it. */
export interface GroupSizeArgs {
  readonly minSize?: number;
  readonly maxSize: number;
  readonly diskSizeGiB?: number;
}

export interface GroupSize {
  readonly minSize: number;
  readonly maxSize: number;
  readonly diskSizeGiB: number;
}

/**
 * @throws SpecError NUMBER_INVALID for a number out of range, REPLICA_RANGE when there are more machines at least than at most.
 */
export function planGroupSize(args: GroupSizeArgs): GroupSize {
  const diskSizeGiB = integer('diskSizeGiB', args.diskSizeGiB, 200, 30, 16_384);
  const { minSize = 0, maxSize } = args;
  if (!(Number.isSafeInteger(minSize) && Number.isSafeInteger(maxSize) && minSize >= 0 && maxSize >= 1)) {
    throw new SpecError(
      'NUMBER_INVALID',
      'maxSize',
      `minSize must be a whole number from 0 up and maxSize from 1 up, got ${minSize} and ${maxSize}`,
    );
  }
  if (maxSize < minSize) {
    throw new SpecError('REPLICA_RANGE', 'maxSize', `must be at least minSize (${minSize}), got ${maxSize}`);
  }
  return { minSize, maxSize, diskSizeGiB };
}

/**
 * The machine type of a pool, where the cloud takes one for each.
 * @throws SpecError NO_INSTANCE_FITS without a type, POOL_INSTANCE_TYPES with several.
 */
export function onlyInstanceType(instanceTypes: readonly string[]): string {
  const [first, second] = instanceTypes;
  if (first === undefined) throw new SpecError('NO_INSTANCE_FITS', 'instanceTypes', 'must name at least one, got none');
  if (second !== undefined) {
    throw new SpecError(
      'POOL_INSTANCE_TYPES',
      'instanceTypes',
      `a node pool of this cloud has one machine type, got ${instanceTypes.join(', ')}; make a group for each, all with the same 'pool'`,
    );
  }
  return first;
}

/**
 * Where pods of the group's machines land, and what they ask for there. Parts of a GPU have a name of their own where the
 * device plugin offers them so (`migResourceName`); otherwise every share is one `nvidia.com/gpu`.
 */
export function placementOf(
  pool: GpuPool,
  { sharing }: { readonly sharing?: GpuSharingArgs },
  maxSize: number,
  migResourceName: (profile: string) => string = (profile) => `nvidia.com/mig-${profile}`,
): Placement {
  const sharesPerGpu = podsPerGpu(sharing);
  const migProfile = sharing?.migProfile;
  return {
    ...pool.placement,
    ...(migProfile === undefined
      ? {}
      : { gpuResourceName: migResourceName(migProfile), gpuMemoryMiB: migMemoryMiB(migProfile) }),
    ...(sharing === undefined ? {} : { sharesPerGpu }),
    maxGpus: maxSize * pool.gpuCount,
  };
}

/**
 * What a part of that name has at least. The number in it is rounded up from what the driver shows: parts of `1g.5gb` have
 * 4,864 MiB (NVIDIA's MIG user guide, A100). A GPU's memory divided by its parts would be more than that.
 */
function migMemoryMiB(profile: string): number {
  const gigabytes = Number(/\.(\d+)gb$/.exec(profile)![1]);
  return Math.floor((gigabytes * 1e9 * 0.95) / 2 ** 20);
}
