import { SpecError } from './errors';

export type Architecture = 'amd64' | 'arm64';

export interface InstanceFacts {
  readonly gpu: string;
  readonly gpuCount: number;
  /** Memory of one GPU as the EC2 API reports it. */
  readonly gpuMemoryMiB: number;
  readonly vcpu: number;
  readonly memoryMiB: number;
  readonly architecture: Architecture;
  /** Local NVMe in all, decimal gigabytes. */
  readonly localNvmeGB: number;
}

/**
 * AWS GPU instance types.
 * Source: EC2 DescribeInstanceTypes (VCpuInfo, MemoryInfo, GpuInfo, InstanceStorageInfo), as recorded in moto 5.2.1's
 * instance data; read 2026-11-22. Order is the planner's order of preference among types that fit: newest inference
 * family first, small before large.
 */
export const INSTANCE_CATALOG = {
  'g6.xlarge': row('L4', 1, 22_888, 4, 16, 250),
  'g6.2xlarge': row('L4', 1, 22_888, 8, 32, 450),
  'g6.4xlarge': row('L4', 1, 22_888, 16, 64, 600),
  'g6.8xlarge': row('L4', 1, 22_888, 32, 128, 900),
  'g6.16xlarge': row('L4', 1, 22_888, 64, 256, 1_880),
  'g6.12xlarge': row('L4', 4, 22_888, 48, 192, 3_760),
  'g6.24xlarge': row('L4', 4, 22_888, 96, 384, 3_760),
  'g6.48xlarge': row('L4', 8, 22_888, 192, 768, 7_520),
  'g6e.xlarge': row('L40S', 1, 45_776, 4, 32, 250),
  'g6e.2xlarge': row('L40S', 1, 45_776, 8, 64, 450),
  'g6e.4xlarge': row('L40S', 1, 45_776, 16, 128, 600),
  'g6e.8xlarge': row('L40S', 1, 45_776, 32, 256, 900),
  'g6e.16xlarge': row('L40S', 1, 45_776, 64, 512, 1_900),
  'g6e.12xlarge': row('L40S', 4, 45_776, 48, 384, 3_800),
  'g6e.24xlarge': row('L40S', 4, 45_776, 96, 768, 3_800),
  'g6e.48xlarge': row('L40S', 8, 45_776, 192, 1_536, 7_600),
  'g5.xlarge': row('A10G', 1, 22_888, 4, 16, 250),
  'g5.2xlarge': row('A10G', 1, 22_888, 8, 32, 450),
  'g5.4xlarge': row('A10G', 1, 22_888, 16, 64, 600),
  'g5.8xlarge': row('A10G', 1, 22_888, 32, 128, 900),
  'g5.16xlarge': row('A10G', 1, 22_888, 64, 256, 1_900),
  'g5.12xlarge': row('A10G', 4, 22_888, 48, 192, 3_800),
  'g5.24xlarge': row('A10G', 4, 22_888, 96, 384, 3_800),
  'g5.48xlarge': row('A10G', 8, 22_888, 192, 768, 7_600),
  'g4dn.xlarge': row('T4', 1, 16_384, 4, 16, 125),
  'g4dn.2xlarge': row('T4', 1, 16_384, 8, 32, 225),
  'g4dn.4xlarge': row('T4', 1, 16_384, 16, 64, 225),
  'g4dn.8xlarge': row('T4', 1, 16_384, 32, 128, 900),
  'g4dn.16xlarge': row('T4', 1, 16_384, 64, 256, 900),
  'g4dn.12xlarge': row('T4', 4, 16_384, 48, 192, 900),
  'g4dn.metal': row('T4', 8, 16_384, 96, 384, 1_800),
  'p5.4xlarge': row('H100', 1, 81_920, 16, 256, 3_800),
  'p4d.24xlarge': row('A100', 8, 40_960, 96, 1_152, 8_000),
  'p5.48xlarge': row('H100', 8, 81_920, 192, 2_048, 30_400),
} as const satisfies Record<string, InstanceFacts>;

export type InstanceType = keyof typeof INSTANCE_CATALOG;

/**
 * @throws SpecError UNKNOWN_INSTANCE_TYPE listing the types of the nearest family.
 */
export function lookUpInstance(instanceType: string, path: string): InstanceFacts {
  const facts = (INSTANCE_CATALOG as Record<string, InstanceFacts>)[instanceType];
  if (facts !== undefined) return facts;
  const family = instanceType.split('.')[0];
  const types = Object.keys(INSTANCE_CATALOG);
  const sameFamily = types.filter((type) => type.split('.')[0] === family);
  const known =
    sameFamily.length > 0
      ? sameFamily.join(', ')
      : `families ${[...new Set(types.map((type) => type.split('.')[0]))].join(', ')}`;
  throw new SpecError('UNKNOWN_INSTANCE_TYPE', path, `got '${instanceType}', known: ${known}`);
}

// GPU types of these families are all x86_64; onnxruntime ships no CUDA provider for arm64, so g5g has no row.
function row(
  gpu: string,
  gpuCount: number,
  gpuMemoryMiB: number,
  vcpu: number,
  memoryGiB: number,
  localNvmeGB: number,
): InstanceFacts {
  return { gpu, gpuCount, gpuMemoryMiB, vcpu, memoryMiB: memoryGiB * 1024, architecture: 'amd64', localNvmeGB };
}
