import { SpecError } from './errors';
import type { MachineFacts } from './inference-service-spec';
import { lookUpInstance } from './instance-catalog';
import { sharesPerGpu } from './machine-share';
import type { ScalingPlan } from './scaling';
import type { ResourcesPlan } from './sizing';

/** How many replicas the machines have GPUs for; undefined where nobody knows, and for replicas without a GPU. */
export function poolReplicas(machines: MachineFacts | undefined, resources: ResourcesPlan): number | undefined {
  const { gpuCount, instanceTypes } = resources;
  if (machines?.maxGpus === undefined || gpuCount === 0) return undefined;
  const counts = new Set(instanceTypes.map((type) => lookUpInstance(type, 'instanceTypes').gpuCount));
  const [gpusOfMachine] = counts;
  // A replica has its GPUs in one machine, so what is left over in each is of no use.
  if (counts.size === 1 && gpusOfMachine !== undefined) {
    const perMachine = Math.floor((gpusOfMachine * sharesPerGpu(machines)) / gpuCount);
    return Math.floor(machines.maxGpus / gpusOfMachine) * perMachine;
  }
  return Math.floor((machines.maxGpus * sharesPerGpu(machines)) / gpuCount);
}

/**
 * Holds the replicas, and the one more that a rollout starts, against the GPUs of the machines.
 * @returns what will surprise somebody, one sentence each.
 * @throws SpecError POOL_TOO_SMALL for replicas that could never start, and for rollouts that could never end.
 */
export function checkPool(
  machines: MachineFacts | undefined,
  resources: ResourcesPlan,
  { minReplicas, maxReplicas }: Pick<ScalingPlan, 'minReplicas' | 'maxReplicas'>,
  spareReplica: boolean,
): readonly string[] {
  const room = poolReplicas(machines, resources);
  if (room === undefined) return [];
  const pool = `the machines of the placement have GPUs for ${room} (${describeGpus(machines!, resources)})`;
  if (maxReplicas > room) {
    throw new SpecError(
      'POOL_TOO_SMALL',
      'maxReplicas',
      `got ${maxReplicas}, but ${pool}; the others would wait for ever: raise the group's maxSize, or lower maxReplicas to ${room}`,
    );
  }
  if (!spareReplica || maxReplicas < room) return [];
  if (minReplicas >= room) {
    throw new SpecError(
      'POOL_TOO_SMALL',
      'spareReplica',
      `minReplicas ${minReplicas} takes every GPU: ${pool}, and a rollout starts one more before it stops one, so none could end; raise the group's maxSize, or set spareReplica false, which leaves one replica down during a rollout`,
    );
  }
  return [
    `maxReplicas ${maxReplicas} takes every GPU: ${pool}, and a rollout starts one more before it stops one, so under full load it waits until replicas go; raise the group's maxSize, lower maxReplicas, or set spareReplica: false, which leaves one replica down during a rollout`,
  ];
}

function describeGpus(machines: MachineFacts, { gpuCount }: ResourcesPlan): string {
  const shares = sharesPerGpu(machines);
  return `${machines.maxGpus} GPUs${shares === 1 ? '' : ` in ${shares} shares each`}, ${gpuCount} for each replica`;
}
