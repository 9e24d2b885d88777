import { row, type GpuModel, type InstanceFacts } from './instance-facts';

/**
 * Azure VM sizes with whole NVIDIA GPUs.
 * Source: Azure virtual machines, size series NCasT4_v3, NVadsA10_v5, NC_A100_v4 and NCads_H100_v5
 * (https://learn.microsoft.com/azure/virtual-machines/sizes/gpu-accelerated/ncast4v3-series and its neighbours), read
 * 2026-11-22 in the repository of that documentation. Left out: sizes of NVadsA10_v5 with a part of a GPU. NVMe is
 * counted where the page says NVMe; temporary disks are not.
 */
export const AZURE_INSTANCES = {
  Standard_NC4as_T4_v3: azure('T4', 1, 4, 28),
  Standard_NC8as_T4_v3: azure('T4', 1, 8, 56),
  Standard_NC16as_T4_v3: azure('T4', 1, 16, 110),
  Standard_NC64as_T4_v3: azure('T4', 4, 64, 440),
  Standard_NV36ads_A10_v5: azure('A10', 1, 36, 440),
  Standard_NV36adms_A10_v5: azure('A10', 1, 36, 880),
  Standard_NV72ads_A10_v5: azure('A10', 2, 72, 880),
  Standard_NC24ads_A100_v4: azure('A100-80GB', 1, 24, 220, 1_030),
  Standard_NC48ads_A100_v4: azure('A100-80GB', 2, 48, 440, 2_061),
  Standard_NC96ads_A100_v4: azure('A100-80GB', 4, 96, 880, 4_123),
  Standard_NC40ads_H100_v5: azure('H100-NVL', 1, 40, 320),
  Standard_NC80adis_H100_v5: azure('H100-NVL', 2, 80, 640),
} as const satisfies Record<string, InstanceFacts>;

function azure(gpu: GpuModel, gpuCount: number, vcpu: number, memoryGiB: number, localNvmeGB?: number): InstanceFacts {
  return row('azure', gpu, gpuCount, vcpu, memoryGiB, localNvmeGB);
}
