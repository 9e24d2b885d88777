import { expect, test } from 'vitest';
import { onlyInstanceType, placementOf } from '../../pulumi/gpu-group';
import { podsPerGpu, type GpuSharingArgs } from '../../pulumi/gpu-sharing';
import { planGpuPool } from '../../runtime/spec';

const pool = planGpuPool(['p4d.24xlarge'], 'a100', 200, 'aws');

test('a GPU has one pod unless it is shared', () => {
  expect(podsPerGpu(undefined)).toBe(1);
  expect(placementOf(pool, {}, 2)).not.toHaveProperty('sharesPerGpu');
});

test('a placement says the most GPUs that its machines have together, whole ones', () => {
  const sharing: GpuSharingArgs = { strategy: 'mps', podsPerGpu: 4 };
  expect(placementOf(pool, { sharing }, 2)).toMatchObject({
    gpuResourceName: 'nvidia.com/gpu',
    sharesPerGpu: 4,
    instanceTypes: ['p4d.24xlarge'],
    maxGpus: 16,
  });
});

test('parts of a GPU have a name of their own, and no more memory than the driver shows of them', () => {
  const sharing: GpuSharingArgs = { strategy: 'mig', podsPerGpu: 2, migProfile: '3g.20gb' };
  const placement = placementOf(pool, { sharing }, 1);
  expect(placement).toMatchObject({ gpuResourceName: 'nvidia.com/mig-3g.20gb', sharesPerGpu: 2 });
  // NVIDIA's MIG user guide shows 19,968 MiB for this profile of an A100.
  expect(placement.gpuMemoryMiB).toBeLessThanOrEqual(19_968);
  expect(placement.gpuMemoryMiB).toBeGreaterThan(17_000);
});

test.each<[string, GpuSharingArgs, string]>([
  ['one pod by turns', { strategy: 'timeSlicing', podsPerGpu: 1 }, 'must be a number from 2 to 48, got 1'],
  ['more than MPS has', { strategy: 'mps', podsPerGpu: 49 }, 'must be a number from 2 to 48, got 49'],
  [
    'eight parts',
    { strategy: 'mig', podsPerGpu: 8, migProfile: '1g.5gb' },
    'NUMBER_INVALID sharing.podsPerGpu: must be a number from 1 to 7, got 8',
  ],
  [
    'parts of no size',
    { strategy: 'mig', podsPerGpu: 7 },
    "GPU_SHARING_INVALID sharing.migProfile: must be a size such as '1g.5gb' or '3g.40gb', got none",
  ],
  [
    'a size that is none',
    { strategy: 'mig', podsPerGpu: 7, migProfile: 'all' },
    "GPU_SHARING_INVALID sharing.migProfile: must be a size such as '1g.5gb' or '3g.40gb', got 'all'",
  ],
  [
    'a size without parts',
    { strategy: 'mps', podsPerGpu: 2, migProfile: '1g.5gb' },
    "GPU_SHARING_INVALID sharing.migProfile: goes with 'mig' alone, got it with 'mps'",
  ],
])('%s is refused', (_, sharing, message) => {
  expect(() => podsPerGpu(sharing)).toThrow(message);
});

test.each(['two words', '-gpu', 'a'.repeat(64), ''])('a pool that no label can say is refused: %o', (name) => {
  expect(() => planGpuPool(['g6.xlarge'], name, 200, 'aws')).toThrow('NAME_INVALID pool: must be 1 to 63 letters');
});

test('where a pool has one machine type, several are refused with the way out', () => {
  expect(onlyInstanceType(['g2-standard-8'])).toBe('g2-standard-8');
  expect(() => onlyInstanceType(['g2-standard-8', 'g2-standard-12'])).toThrow(
    "POOL_INSTANCE_TYPES instanceTypes: a node pool of this cloud has one machine type, got g2-standard-8, g2-standard-12; make a group for each, all with the same 'pool'",
  );
});
