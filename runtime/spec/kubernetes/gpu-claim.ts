import { SpecError } from '../errors';
import type { InferenceServicePlan } from '../inference-service-plan';
import { objectMetadata } from './metadata';
import type { ResourceClaimTemplateObject } from './objects';
import { ANYWHERE, type Placement } from './placement';
import { memoryQuantity } from './quantity';
import type { KubernetesRefs } from './refs';

/** Of the pod's claim, and of the one request in it. */
export const GPU_CLAIM = 'gpu';

/** Device class of NVIDIA's driver for Dynamic Resource Allocation, and the driver whose capacities it is asked by. */
const NVIDIA_DEVICE_CLASS = 'gpu.nvidia.com';

export function claimsGpu({ resources }: InferenceServicePlan, placement: Placement = ANYWHERE): boolean {
  return resources.gpuCount > 0 && placement.gpuAllocation === 'dra';
}

/**
 * What every pod claims of its own: so many devices of the class, each with the memory that the models need.
 * @throws SpecError GPU_SHARING where shares are asked for: a claim of a pod's own is never another pod's.
 */
export function renderGpuClaim<S>(plan: InferenceServicePlan, refs: KubernetesRefs<S>): ResourceClaimTemplateObject<S> {
  const { gpuCount, neededGpuMemoryMiB } = plan.resources;
  const { deviceClassName = NVIDIA_DEVICE_CLASS, sharesPerGpu = 1, gpuMemoryMiB } = refs.placement ?? ANYWHERE;
  if (sharesPerGpu > 1 && gpuMemoryMiB === undefined) {
    throw new SpecError(
      'GPU_SHARING',
      'placement.sharesPerGpu',
      `must be 1 with gpuAllocation 'dra', got ${sharesPerGpu}: every pod has a claim of its own; share GPUs with gpuAllocation 'extendedResource'`,
    );
  }
  return {
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceClaimTemplate',
    metadata: objectMetadata(plan, refs),
    spec: {
      spec: {
        devices: {
          requests: [
            {
              name: GPU_CLAIM,
              exactly: {
                deviceClassName,
                allocationMode: 'ExactCount',
                count: gpuCount,
                ...(neededGpuMemoryMiB === undefined ? {} : { selectors: [hasMemory(neededGpuMemoryMiB)] }),
              },
            },
          ],
        },
      },
    },
  };
}

function hasMemory(mebibytes: number): { cel: { expression: string } } {
  const memory = `device.capacity['${NVIDIA_DEVICE_CLASS}'].memory`;
  return { cel: { expression: `${memory}.compareTo(quantity('${memoryQuantity(mebibytes)}')) >= 0` } };
}
