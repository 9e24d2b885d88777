import { row, type GpuModel, type InstanceFacts } from './instance-facts';

/**
 * Alibaba Cloud ECS types with whole NVIDIA GPUs.
 * Source: Elastic Compute Service, GPU-accelerated compute-optimized instance families
 * (https://www.alibabacloud.com/help/en/ecs/user-guide/gpu-accelerated-compute-optimized-and-vgpu-accelerated-instance-families-1),
 * read 2026-11-22 in a stored copy. The page names no GPU for gn7 and gn7e: 40 and 80 GB of the Ampere generation, which
 * is what the 7 stands for in its naming rules, are A100s. It names none for gn8v either, whose 96 GB are no GPU that
 * this table knows, so gn8v is left out; so is gn7s, which is given on application. None has NVMe of its own.
 */
export const ALIBABA_INSTANCES = {
  'ecs.gn7i-c8g1.2xlarge': alibaba('A10', 1, 8, 30),
  'ecs.gn7i-c16g1.4xlarge': alibaba('A10', 1, 16, 60),
  'ecs.gn7i-c32g1.8xlarge': alibaba('A10', 1, 32, 188),
  'ecs.gn7i-c48g1.12xlarge': alibaba('A10', 1, 48, 310),
  'ecs.gn7i-c56g1.14xlarge': alibaba('A10', 1, 56, 346),
  'ecs.gn7i-2x.8xlarge': alibaba('A10', 2, 32, 128),
  'ecs.gn7i-c32g1.16xlarge': alibaba('A10', 2, 64, 376),
  'ecs.gn7i-4x.8xlarge': alibaba('A10', 4, 32, 128),
  'ecs.gn7i-4x.16xlarge': alibaba('A10', 4, 64, 256),
  'ecs.gn7i-c32g1.32xlarge': alibaba('A10', 4, 128, 752),
  'ecs.gn7i-8x.16xlarge': alibaba('A10', 8, 64, 256),
  'ecs.gn7i-8x.32xlarge': alibaba('A10', 8, 128, 512),
  'ecs.gn8is.2xlarge': alibaba('L20', 1, 8, 64),
  'ecs.gn8is.4xlarge': alibaba('L20', 1, 16, 128),
  'ecs.gn8is-2x.8xlarge': alibaba('L20', 2, 32, 256),
  'ecs.gn8is-4x.16xlarge': alibaba('L20', 4, 64, 512),
  'ecs.gn8is-8x.32xlarge': alibaba('L20', 8, 128, 1_024),
  'ecs.gn6i-c4g1.xlarge': alibaba('T4', 1, 4, 15),
  'ecs.gn6i-c8g1.2xlarge': alibaba('T4', 1, 8, 31),
  'ecs.gn6i-c16g1.4xlarge': alibaba('T4', 1, 16, 62),
  'ecs.gn6i-c24g1.6xlarge': alibaba('T4', 1, 24, 93),
  'ecs.gn6i-c40g1.10xlarge': alibaba('T4', 1, 40, 155),
  'ecs.gn6i-c24g1.12xlarge': alibaba('T4', 2, 48, 186),
  'ecs.gn6i-c24g1.24xlarge': alibaba('T4', 4, 96, 372),
  'ecs.gn6v-c8g1.2xlarge': alibaba('V100', 1, 8, 32),
  'ecs.gn6v-c8g1.4xlarge': alibaba('V100', 2, 16, 64),
  'ecs.gn6v-c8g1.8xlarge': alibaba('V100', 4, 32, 128),
  'ecs.gn6v-c8g1.16xlarge': alibaba('V100', 8, 64, 256),
  'ecs.gn6v-c10g1.20xlarge': alibaba('V100', 8, 82, 336),
  'ecs.gn6e-c12g1.3xlarge': alibaba('V100-32GB', 1, 12, 92),
  'ecs.gn6e-c12g1.6xlarge': alibaba('V100-32GB', 2, 24, 184),
  'ecs.gn6e-c12g1.12xlarge': alibaba('V100-32GB', 4, 48, 368),
  'ecs.gn6e-c12g1.24xlarge': alibaba('V100-32GB', 8, 96, 736),
  'ecs.gn7-c12g1.3xlarge': alibaba('A100', 1, 12, 94),
  'ecs.gn7-c13g1.13xlarge': alibaba('A100', 4, 52, 378),
  'ecs.gn7-c13g1.26xlarge': alibaba('A100', 8, 104, 756),
  'ecs.gn7e-c16g1.4xlarge': alibaba('A100-80GB', 1, 16, 125),
  'ecs.gn7e-c16g1.8xlarge': alibaba('A100-80GB', 2, 32, 250),
  'ecs.gn7e-c16g1.16xlarge': alibaba('A100-80GB', 4, 64, 500),
  'ecs.gn7e-c16g1.32xlarge': alibaba('A100-80GB', 8, 128, 1_000),
} as const satisfies Record<string, InstanceFacts>;

function alibaba(gpu: GpuModel, gpuCount: number, vcpu: number, memoryGiB: number): InstanceFacts {
  return row('alibaba', gpu, gpuCount, vcpu, memoryGiB);
}
