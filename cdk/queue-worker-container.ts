import { DEFAULTS, PORTS, type CompanionSpec, type InferenceServicePlan } from '../runtime/spec';
import { visibilitySeconds, type AsyncQueues } from './async-queue';
import { uriOf } from './async-results';
import type { ObjectsBelow } from './objects-below';
import type { ExtraContainer } from './task-definition';

/** Node, the SDK's clients and what is on its way, without inputs and answers: about 110 MiB resident, and room for bursts. */
const WORKER_MIB = 192;
/**
 * Its share of the CPU where that is short. It waits most of the time, so no vCPU is planned for it: a replica of 1 vCPU
 * would become one of 2 on Fargate.
 */
const WORKER_CPU_UNITS = 64;
/** So many messages at once keep any server busy. */
const MAX_CONCURRENCY = 1_000;

/** What the worker takes of a replica: it holds one largest input and one largest answer beside its own. */
export function workerSize(maxBodyMiB: number = DEFAULTS.maxBodyMiB): CompanionSpec {
  return { vcpu: 0, memoryMiB: WORKER_MIB + 2 * Math.ceil(maxBodyMiB) };
}

export interface WorkerContainerInput {
  readonly plan: InferenceServicePlan;
  readonly queues: AsyncQueues;
  readonly results: ObjectsBelow;
  readonly inputs: readonly ObjectsBelow[];
  readonly region: string;
}

/** The program of the image that answers a queue's messages with the server beside it. */
export function workerContainer({ plan, queues, results, inputs, region }: WorkerContainerInput): ExtraContainer {
  const { memoryMiB } = workerSize(plan.maxBodyMiB);
  const options = {
    queue: queues.queue.queueUrl,
    server: `http://127.0.0.1:${PORTS.http}`,
    results: uriOf(results),
    // As many as the server lets wait: more would only be refused.
    concurrency: String(Math.min(MAX_CONCURRENCY, plan.queueDepthRows)),
    'visibility-seconds': String(visibilitySeconds(plan)),
    'deadline-seconds': String(plan.lifecycle.requestDeadlineSeconds),
    'max-body-mib': String(plan.maxBodyMiB),
  };
  return {
    name: 'worker',
    entryPoint: [
      ...['node', '/app/worker.mjs', 'queue'],
      ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
      ...inputs.flatMap((place) => ['--inputs', uriOf(place)]),
    ],
    environment: { AWS_REGION: region },
    memoryMiB,
    cpuUnits: WORKER_CPU_UNITS,
  };
}
