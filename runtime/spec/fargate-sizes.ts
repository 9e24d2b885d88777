import { SpecError } from './errors';

/**
 * Task sizes that Fargate takes: vCPU → memory in MiB.
 * Source: Amazon ECS developer guide, "Amazon ECS task definition parameters for Fargate", Task size; read 2026-11-22.
 * Any Kubernetes node takes them too, so a CPU service has one size on every engine.
 */
export const FARGATE_SIZES: readonly { readonly vcpu: number; readonly memoryMiB: readonly number[] }[] = [
  { vcpu: 0.25, memoryMiB: [512, 1_024, 2_048] },
  { vcpu: 0.5, memoryMiB: steps(1_024, 4_096, 1_024) },
  { vcpu: 1, memoryMiB: steps(2_048, 8_192, 1_024) },
  { vcpu: 2, memoryMiB: steps(4_096, 16_384, 1_024) },
  { vcpu: 4, memoryMiB: steps(8_192, 30_720, 1_024) },
  { vcpu: 8, memoryMiB: steps(16_384, 61_440, 4_096) },
  { vcpu: 16, memoryMiB: steps(32_768, 122_880, 8_192) },
];

/**
 * The smallest size with at least this much; more vCPUs are taken when the memory asks for them.
 * @throws SpecError FARGATE_SIZE when nothing is large enough.
 */
export function smallestFargateSize(vcpu: number, memoryMiB: number): { vcpu: number; memoryMiB: number } {
  for (const size of FARGATE_SIZES) {
    const memory = size.memoryMiB.find((choice) => choice >= memoryMiB);
    if (size.vcpu >= vcpu && memory !== undefined) return { vcpu: size.vcpu, memoryMiB: memory };
  }
  throw new SpecError(
    'FARGATE_SIZE',
    'memoryMiB',
    `needs ${vcpu} vCPU and ${memoryMiB} MiB, the largest Fargate size is 16 vCPU and 122880 MiB; name instanceTypes instead`,
  );
}

/**
 * Checks a size that the author chose.
 * @throws SpecError FARGATE_SIZE naming the sizes that exist.
 */
export function assertFargateSize(vcpu: number, memoryMiB: number): void {
  const size = FARGATE_SIZES.find((candidate) => candidate.vcpu === vcpu);
  if (size === undefined) {
    const known = FARGATE_SIZES.map((candidate) => candidate.vcpu).join(', ');
    throw new SpecError('FARGATE_SIZE', 'vcpu', `Fargate has tasks of ${known} vCPU, got ${vcpu}`);
  }
  if (!size.memoryMiB.includes(memoryMiB)) {
    const known = size.memoryMiB.join(', ');
    throw new SpecError('FARGATE_SIZE', 'memoryMiB', `with ${vcpu} vCPU Fargate takes ${known} MiB, got ${memoryMiB}`);
  }
}

function steps(from: number, to: number, by: number): number[] {
  return Array.from({ length: (to - from) / by + 1 }, (_, i) => from + i * by);
}
