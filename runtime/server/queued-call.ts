import type { Tensor } from '../onnx/tensor-encoding';
import type { InferCall } from './infer-call';
import type { Lane } from './batch-queue';
import type { RunningBatch } from './running-batch';

/** One request from the queue to its answer. */
export class QueuedCall {
  /** Where it waits; undefined when it does not. */
  lane: Lane | undefined;
  previous: QueuedCall | undefined;
  next: QueuedCall | undefined;
  /** What it runs in; undefined before and after. */
  batch: RunningBatch | undefined;
  /** Whether its promise has been kept or broken. */
  isSettled = false;
  /** How often it was handed to an executor that was gone before the run began. */
  returns = 0;

  constructor(
    readonly call: InferCall,
    /** Order of arrival. */
    readonly number: number,
    readonly enqueuedAt: number,
    /** Place in the order of priorities, 0 first. */
    public level: number,
    /** When the queue timeout passes; Infinity when there is none. */
    public expiresAt: number,
    readonly resolve: (outputs: readonly Tensor[]) => void,
    readonly reject: (error: Error) => void,
  ) {}

  /** What it counts in the queue and towards a batch: a request of no rows counts as one. */
  get countedRows(): number {
    return this.call.rows > 0 ? this.call.rows : 1;
  }

  /** Whether it must not run any more. */
  isPast(now: number): boolean {
    return now >= this.expiresAt || now >= this.call.deadlineAt;
  }
}
