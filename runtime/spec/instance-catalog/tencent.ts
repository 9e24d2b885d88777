import { row, type GpuModel, type InstanceFacts } from './instance-facts';

/**
 * Tencent Cloud CVM types with whole NVIDIA GPUs.
 * Source: GPU Cloud Computing, Instance Types (https://www.tencentcloud.com/document/product/560/19700), read 2026-11-22
 * in a stored copy. Left out: GN7.LARGE20 and GN7.2XLARGE40, which have a part of a GPU, and families with P4 and P40.
 * None has NVMe of its own.
 */
export const TENCENT_INSTANCES = {
  'PNV4.7XLARGE116': tencent('A10', 1, 28, 116),
  'PNV4.14XLARGE232': tencent('A10', 2, 56, 232),
  'PNV4.28XLARGE466': tencent('A10', 4, 112, 466),
  'PNV4.56XLARGE932': tencent('A10', 8, 224, 932),
  'GN7.2XLARGE32': tencent('T4', 1, 8, 32),
  'GN7.5XLARGE80': tencent('T4', 1, 20, 80),
  'GN7.8XLARGE128': tencent('T4', 1, 32, 128),
  'GN7.10XLARGE160': tencent('T4', 2, 40, 160),
  'GN7.20XLARGE320': tencent('T4', 4, 80, 320),
  'GN7vi.5XLARGE80': tencent('T4', 1, 20, 80),
  'GN7vi.10XLARGE160': tencent('T4', 2, 40, 160),
  'GN7vi.20XLARGE320': tencent('T4', 4, 80, 320),
  'GI3X.8XLARGE64': tencent('T4', 1, 32, 64),
  'GI3X.22XLARGE226': tencent('T4', 2, 90, 226),
  'GI3X.45XLARGE452': tencent('T4', 4, 180, 452),
  'GN10Xp.2XLARGE40': tencent('V100-32GB', 1, 10, 40),
  'GN10Xp.5XLARGE80': tencent('V100-32GB', 2, 20, 80),
  'GN10Xp.10XLARGE160': tencent('V100-32GB', 4, 40, 160),
  'GN10Xp.20XLARGE320': tencent('V100-32GB', 8, 80, 320),
  'GN10X.2XLARGE40': tencent('V100-32GB', 1, 8, 40),
  'GN10X.9XLARGE160': tencent('V100-32GB', 4, 36, 160),
  'GN10X.18XLARGE320': tencent('V100-32GB', 8, 72, 320),
  'GT4.4XLARGE96': tencent('A100', 1, 16, 96),
  'GT4.8XLARGE192': tencent('A100', 2, 32, 192),
  'GT4.20XLARGE474': tencent('A100', 4, 82, 474),
  'GT4.41XLARGE948': tencent('A100', 8, 164, 948),
} as const satisfies Record<string, InstanceFacts>;

function tencent(gpu: GpuModel, gpuCount: number, vcpu: number, memoryGiB: number): InstanceFacts {
  return row('tencent', gpu, gpuCount, vcpu, memoryGiB);
}
