import { row, type GpuModel, type InstanceFacts } from './instance-facts';

/**
 * Google Cloud machine types with GPUs of their own.
 * Source: Compute Engine, Accelerator-optimized machine family
 * (https://docs.cloud.google.com/compute/docs/accelerator-optimized-machines), read 2026-11-22 in stored copies; the a2
 * rows from the same API's figures in skypilot-catalog (catalogs/v8/gcp/vms.csv at 8427bbf). What the page calls GB of
 * memory is GiB in the API. NVMe is counted where it comes with every machine, not where it can be added.
 *
 * Left out: N1 machines, whose GPU is a second argument (`n1-standard-4` with a T4 is not a type of its own), and the
 * G4 sizes with a part of a GPU.
 */
export const GCP_INSTANCES = {
  'g2-standard-4': gcp('L4', 1, 4, 16),
  'g2-standard-8': gcp('L4', 1, 8, 32),
  'g2-standard-12': gcp('L4', 1, 12, 48),
  'g2-standard-16': gcp('L4', 1, 16, 64),
  'g2-standard-32': gcp('L4', 1, 32, 128),
  'g2-standard-24': gcp('L4', 2, 24, 96),
  'g2-standard-48': gcp('L4', 4, 48, 192),
  'g2-standard-96': gcp('L4', 8, 96, 384),
  'g4-standard-48': gcp('RTX-PRO-6000', 1, 48, 180),
  'g4-standard-96': gcp('RTX-PRO-6000', 2, 96, 360),
  'g4-standard-192': gcp('RTX-PRO-6000', 4, 192, 720),
  'g4-standard-384': gcp('RTX-PRO-6000', 8, 384, 1_440),
  'a2-highgpu-1g': gcp('A100', 1, 12, 85),
  'a2-highgpu-2g': gcp('A100', 2, 24, 170),
  'a2-highgpu-4g': gcp('A100', 4, 48, 340),
  'a2-highgpu-8g': gcp('A100', 8, 96, 680),
  'a2-megagpu-16g': gcp('A100', 16, 96, 1_360),
  'a2-ultragpu-1g': gcp('A100-80GB', 1, 12, 170, 402),
  'a2-ultragpu-2g': gcp('A100-80GB', 2, 24, 340, 805),
  'a2-ultragpu-4g': gcp('A100-80GB', 4, 48, 680, 1_610),
  'a2-ultragpu-8g': gcp('A100-80GB', 8, 96, 1_360, 3_221),
  'a3-highgpu-1g': gcp('H100', 1, 26, 234, 805),
  'a3-highgpu-2g': gcp('H100', 2, 52, 468, 1_610),
  'a3-highgpu-4g': gcp('H100', 4, 104, 936, 3_221),
  'a3-highgpu-8g': gcp('H100', 8, 208, 1_872, 6_442),
} as const satisfies Record<string, InstanceFacts>;

function gcp(gpu: GpuModel, gpuCount: number, vcpu: number, memoryGiB: number, localNvmeGB?: number): InstanceFacts {
  return row('gcp', gpu, gpuCount, vcpu, memoryGiB, localNvmeGB);
}
