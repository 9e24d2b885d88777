import type { Tensor } from '../onnx/tensor-encoding';
import type { Cancellation } from './cancellation';
import type { RequestTrace } from './tracing';

/** One request that fits its model, on its way to the executors, whatever protocol it came by. */
export interface InferCall {
  /** In the model's order. */
  readonly inputs: readonly Tensor[];
  /** Rows of every input; 1 when requests of this model are not joined. */
  readonly rows: number;
  readonly cancellation: Cancellation;
  /** On the clock of `performance.now()`, in milliseconds. */
  readonly deadlineAt: number;
  /** Longest time in the queue that the client allows, by Triton's `timeout` parameter. @default - the deadline alone */
  readonly queueTimeoutMs?: number;
  /** 1 is the highest, 0 the model's default. */
  readonly priority: number;
  /** Whom the queue is shared fairly between; empty when nobody said. */
  readonly tenant: string;
  /** The request's own parameters, for hooks. @default - none */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Where its times are written to. @default - nowhere */
  readonly trace?: RequestTrace | undefined;
}
