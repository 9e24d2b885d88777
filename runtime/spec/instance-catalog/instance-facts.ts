import type { Cloud } from '../clouds';

export type Architecture = 'amd64' | 'arm64';

/** What the planner must know of a machine. */
export interface InstanceFacts {
  readonly cloud: Cloud;
  readonly gpu: string;
  readonly gpuCount: number;
  /**
   * Memory of one GPU. One model has one figure, whoever rents it out: EC2's where EC2 reports the model, else the
   * vendor's gigabytes taken as decimal ones, which is the smaller reading.
   */
  readonly gpuMemoryMiB: number;
  readonly vcpu: number;
  readonly memoryMiB: number;
  readonly architecture: Architecture;
  /** Local NVMe that every machine of the type has, in all, decimal gigabytes. */
  readonly localNvmeGB: number;
}

/** Memory of one GPU in MiB. EC2: DescribeInstanceTypes as recorded in moto 5.2.1's instance data, read 2026-11-22. */
export const GPU_MEMORY_MIB = {
  A10G: 22_888,
  A100: 40_960,
  'A100-80GB': 81_920,
  H100: 81_920,
  L4: 22_888,
  L40S: 45_776,
  'RTX-PRO-6000': 98_304,
  T4: 16_384,
  'V100-32GB': 32_768,
  // EC2's p3, which moto records no more: DescribeInstanceTypes in the EC2 API reference.
  V100: 16_384,
  // Not on EC2: 24, 94 and 48 GB on the pages that the clouds' tables name.
  A10: 22_888,
  'H100-NVL': 89_645,
  L20: 45_776,
} as const;

export type GpuModel = keyof typeof GPU_MEMORY_MIB;

/** A row as the tables write it, of machines that are all x86_64. */
export function row(
  cloud: Cloud,
  gpu: GpuModel,
  gpuCount: number,
  vcpu: number,
  memoryGiB: number,
  localNvmeGB = 0,
): InstanceFacts {
  const gpuMemoryMiB = GPU_MEMORY_MIB[gpu];
  const memoryMiB = memoryGiB * 1024;
  return { cloud, gpu, gpuCount, gpuMemoryMiB, vcpu, memoryMiB, architecture: 'amd64', localNvmeGB };
}
