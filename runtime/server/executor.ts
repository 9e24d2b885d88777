import type { Tensor } from '../onnx/tensor-encoding';
import type { ExecutionProvider } from '../spec/inference-service-spec';
import type { TensorSignature } from '../spec/model-facts';

/** `worker` is a thread with a session of its own, `native` a thread that runs on a session shared by its model. */
export type ExecutorKind = 'worker' | 'native';

/** What a session is opened with. */
export interface ExecutorOptions {
  /** @default 'worker' */
  readonly kind?: ExecutorKind;
  readonly modelPath: string;
  readonly executionProvider: ExecutionProvider;
  readonly intraOpThreads: number;
  /** GPU as the container counts them; without meaning for `cpu`. @default 0 */
  readonly cudaDevice?: number;
  readonly tuning?: ExecutorTuning;
}

/** What few models need. The names of entries and options are ONNX Runtime's own, and so are the defaults not named. */
export interface ExecutorTuning {
  /** @default 1 */
  readonly interOpThreads?: number;
  /** @default 'all' */
  readonly graphOptimization?: GraphOptimization;
  /**
   * Runs on the weights as they lie in the file. External data then stays mapped: opening takes a tenth of the time and
   * all sessions of a machine share the pages, and matrix products take up to a third longer.
   * @default false
   */
  readonly disablePrepacking?: boolean;
  /** Runs independent operators at the same time, on the inter-op threads. @default false */
  readonly parallelExecution?: boolean;
  /** False allocates anew for every run. @default true */
  readonly cpuMemoryArena?: boolean;
  /** False forgets between runs which memory a run of one shape needs. @default true */
  readonly memoryPattern?: boolean;
  /**
   * Arenas that give back after each run what they grew by, such as `cpu:0;gpu:0`; runs take longer. `native` alone.
   * @default none
   */
  readonly arenaShrinkage?: string;
  /** Session configuration entries, such as `session.use_device_allocator_for_initializers`. */
  readonly sessionConfig?: Readonly<Record<string, string>>;
  /** CUDA provider options, such as `gpu_mem_limit` in bytes; `native` alone. */
  readonly cuda?: Readonly<Record<string, string>>;
  /** TensorRT provider options, such as `trt_engine_cache_path`; `native` alone. */
  readonly tensorrt?: Readonly<Record<string, string>>;
}

export type GraphOptimization = 'disabled' | 'basic' | 'extended' | 'all';

export interface RunResult {
  /** Every output of the model, in its order. */
  readonly outputs: readonly Tensor[];
  /** Time of the run alone, without the way to the executor and back. */
  readonly seconds: number;
  /** Elements of floating-point outputs that are NaN or infinite; of a large output a part is looked at. */
  readonly nonfiniteElements: number;
}

/** Runs batches of one model version, one at a time, off the HTTP thread. */
export interface Executor {
  readonly kind: ExecutorKind;
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  readonly onnxRuntimeVersion: string;
  /** When the current run began, on the clock of `performance.now()`; undefined between runs. */
  readonly runningSince: number | undefined;
  /** Whether one run more may be handed over while one goes on, to begin when that one ends. @default false */
  readonly takesAhead?: boolean;
  /**
   * The input buffers are handed over: the caller must not use them again.
   * @throws RunError when the model fails, ExecutorExit when the executor ends before the run does, RunTakenBack.
   */
  run(inputs: readonly Tensor[]): Promise<RunResult>;
  /**
   * Takes back the run that was handed over ahead, which ends with RunTakenBack.
   * @returns false when it has begun already; true when nothing is ahead any more.
   */
  takeBack?(): boolean;
  /**
   * Ends the current run with RunError 'interrupted', before its next operator; without one it does nothing. The
   * executor goes on. Absent where a run cannot be interrupted.
   */
  interrupt?(): void;
  /** Resolves with the reason when the executor ends without having been closed. */
  readonly exit: Promise<ExecutorExit>;
  /** Interrupts the current run where that works, and waits for it in any case. */
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

/** The run was taken back before it began. */
export class RunTakenBack extends Error {
  override readonly name = 'RunTakenBack';
}

/** The executor is gone, and whatever it ran is lost. */
export class ExecutorExit extends Error {
  override readonly name = 'ExecutorExit';
  /** @param hadBegun False when the executor never took the inputs: they are whole, and another one may have them. */
  constructor(
    message: string,
    readonly hadBegun = true,
  ) {
    super(message);
  }
}
