import { SIZING } from './defaults';
import type { MachineFacts } from './inference-service-spec';
import type { InstanceFacts } from './instance-catalog';

/** What a replica that holds `gpuCount` of a machine's GPUs, or of shares of them, may ask of the rest of it. */
export function shareOf(
  instance: InstanceFacts,
  gpuCount: number,
  machines: MachineFacts | undefined,
): { vcpu: number; memoryMiB: number } {
  const share = gpuCount === 0 ? 1 : gpuCount / (instance.gpuCount * sharesPerGpu(machines));
  const memory = instance.memoryMiB * (1 - SIZING.machineReservedShare) - SIZING.machineReservedMiB;
  const vcpu = instance.vcpu - SIZING.machineReservedVcpu;
  return { vcpu: Math.floor(vcpu * share * 4) / 4, memoryMiB: Math.floor((memory * share) / 64) * 64 };
}

/** Memory of what a pod gets when it asks for one GPU: a whole one, or its share. */
export function gpuShareMemoryMiB(instance: InstanceFacts, machines: MachineFacts | undefined): number {
  return machines?.gpuMemoryMiB ?? Math.floor(instance.gpuMemoryMiB / sharesPerGpu(machines));
}

/** In words, for an error: 'one L4', 'one of the 4 shares of an L4'. */
export function gpuShareName(instance: InstanceFacts, machines: MachineFacts | undefined): string {
  const shares = sharesPerGpu(machines);
  return shares === 1 ? `one ${instance.gpu}` : `one of ${shares} shares of a ${instance.gpu}`;
}

export function sharesPerGpu(machines: MachineFacts | undefined): number {
  return machines?.sharesPerGpu ?? 1;
}
