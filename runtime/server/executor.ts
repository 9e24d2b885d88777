import type { Tensor } from '../onnx/tensor-encoding';
import type { ExecutionProvider } from '../spec/inference-service-spec';
import type { TensorSignature } from '../spec/model-facts';

/** What a session is opened with. */
export interface ExecutorOptions {
  readonly modelPath: string;
  readonly executionProvider: ExecutionProvider;
  readonly intraOpThreads: number;
}

export interface RunResult {
  /** Every output of the model, in its order. */
  readonly outputs: readonly Tensor[];
  /** Time of the run alone, without the way to the executor and back. */
  readonly seconds: number;
  /** Elements of floating-point outputs that are NaN or infinite. */
  readonly nonfiniteElements: number;
}

/** Runs batches of one model version, one at a time, off the HTTP thread. */
export interface Executor {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  readonly onnxRuntimeVersion: string;
  /** When the current run began, on the clock of `performance.now()`; undefined between runs. */
  readonly runningSince: number | undefined;
  /**
   * The input buffers are handed over: the caller must not use them again.
   * @throws RunError when the model fails, ExecutorExit when the executor ends before the run does.
   */
  run(inputs: readonly Tensor[]): Promise<RunResult>;
  /** Resolves with the reason when the executor ends without having been closed. */
  readonly exit: Promise<ExecutorExit>;
  /** Waits for the current run: nothing can interrupt it. */
  close(): Promise<void>;
}

/** @throws ExecutorExit or SessionError when no session can be opened. */
export type StartExecutor = (options: ExecutorOptions) => Promise<Executor>;

/** The runtime refuses the model itself: trying again gives the same. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
}

/** One run failed; the executor goes on. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

/** The executor is gone, and whatever it ran is lost. */
export class ExecutorExit extends Error {
  override readonly name = 'ExecutorExit';
}
