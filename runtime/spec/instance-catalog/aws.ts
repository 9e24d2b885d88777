import { row, type GpuModel, type InstanceFacts } from './instance-facts';

/**
 * AWS GPU instance types.
 * Source: EC2 DescribeInstanceTypes (VCpuInfo, MemoryInfo, GpuInfo, InstanceStorageInfo), as recorded in moto 5.2.1's
 * instance data; read 2026-11-22. Order is the planner's order of preference among types that fit: newest inference
 * family first, small before large. onnxruntime ships no CUDA provider for arm64, so g5g has no row.
 */
export const AWS_INSTANCES = {
  'g6.xlarge': aws('L4', 1, 4, 16, 250),
  'g6.2xlarge': aws('L4', 1, 8, 32, 450),
  'g6.4xlarge': aws('L4', 1, 16, 64, 600),
  'g6.8xlarge': aws('L4', 1, 32, 128, 900),
  'g6.16xlarge': aws('L4', 1, 64, 256, 1_880),
  'g6.12xlarge': aws('L4', 4, 48, 192, 3_760),
  'g6.24xlarge': aws('L4', 4, 96, 384, 3_760),
  'g6.48xlarge': aws('L4', 8, 192, 768, 7_520),
  'g6e.xlarge': aws('L40S', 1, 4, 32, 250),
  'g6e.2xlarge': aws('L40S', 1, 8, 64, 450),
  'g6e.4xlarge': aws('L40S', 1, 16, 128, 600),
  'g6e.8xlarge': aws('L40S', 1, 32, 256, 900),
  'g6e.16xlarge': aws('L40S', 1, 64, 512, 1_900),
  'g6e.12xlarge': aws('L40S', 4, 48, 384, 3_800),
  'g6e.24xlarge': aws('L40S', 4, 96, 768, 3_800),
  'g6e.48xlarge': aws('L40S', 8, 192, 1_536, 7_600),
  'g5.xlarge': aws('A10G', 1, 4, 16, 250),
  'g5.2xlarge': aws('A10G', 1, 8, 32, 450),
  'g5.4xlarge': aws('A10G', 1, 16, 64, 600),
  'g5.8xlarge': aws('A10G', 1, 32, 128, 900),
  'g5.16xlarge': aws('A10G', 1, 64, 256, 1_900),
  'g5.12xlarge': aws('A10G', 4, 48, 192, 3_800),
  'g5.24xlarge': aws('A10G', 4, 96, 384, 3_800),
  'g5.48xlarge': aws('A10G', 8, 192, 768, 7_600),
  'g4dn.xlarge': aws('T4', 1, 4, 16, 125),
  'g4dn.2xlarge': aws('T4', 1, 8, 32, 225),
  'g4dn.4xlarge': aws('T4', 1, 16, 64, 225),
  'g4dn.8xlarge': aws('T4', 1, 32, 128, 900),
  'g4dn.16xlarge': aws('T4', 1, 64, 256, 900),
  'g4dn.12xlarge': aws('T4', 4, 48, 192, 900),
  'g4dn.metal': aws('T4', 8, 96, 384, 1_800),
  'p5.4xlarge': aws('H100', 1, 16, 256, 3_800),
  'p4d.24xlarge': aws('A100', 8, 96, 1_152, 8_000),
  'p5.48xlarge': aws('H100', 8, 192, 2_048, 30_400),
} as const satisfies Record<string, InstanceFacts>;

function aws(gpu: GpuModel, gpuCount: number, vcpu: number, memoryGiB: number, localNvmeGB: number): InstanceFacts {
  return row('aws', gpu, gpuCount, vcpu, memoryGiB, localNvmeGB);
}
