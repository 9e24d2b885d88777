import type { Tensor } from '../onnx/tensor-encoding';
import type { Cancellation } from './cancellation';

/** One valid request on its way to the batcher, whatever protocol it came by. */
export interface InferCall {
  /**
   * Every input that was given, in the model's order. Their buffers are handed over: an executor may take them away from
   * this thread, so whoever shares them with somebody else passes copies.
   */
  readonly inputs: readonly Tensor[];
  /** What every input holds along dimension 0; 1 for a model that does not count rows. */
  readonly rows: number;
  /** Client gone, deadline passed, server ending. */
  readonly cancellation: Cancellation;
  /** On the clock of `performance.now()`, in milliseconds: the earliest of the server's and the client's deadlines. */
  readonly deadlineAt: number;
  /** Longest wait for an executor that the client asked for: Triton's `timeout` parameter, which comes in microseconds. */
  readonly queueTimeoutMs?: number;
  /** As in Triton: 1 is the highest, 0 the model's default. */
  readonly priority: number;
  /** Whose request it is, for fair shares; empty when unknown. */
  readonly tenant: string;
}
