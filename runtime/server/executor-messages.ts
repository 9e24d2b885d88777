import type { Tensor } from '../onnx/tensor-encoding';
import type { ExecutorOptions } from './executor';
import type { SessionHandle } from './native/native-session';
import type { SessionSignature } from './native/session-signature';

/** What a thread is started with; how the bundle knows that it is to be an executor and no server. */
export interface ExecutorWorkerData {
  readonly slipwayExecutor: ExecutorOptions;
  /** How far the thread is: the number of the last run that it began or that was taken back from it. */
  readonly progress: Int32Array;
  /** The session that this thread runs; without it, it opens one of its own. */
  readonly native?: { readonly libraryPath: string; readonly handle: SessionHandle };
}

export interface RunMessage {
  readonly run: readonly Tensor[];
  /** 1 for the thread's first, and so on. */
  readonly number: number;
}

export interface OpenedMessage extends SessionSignature {
  readonly kind: 'opened';
  readonly onnxRuntimeVersion: string;
}

/** What an executor's thread answers: first `opened` or `refused`, then one `done` or `failed` for each run. */
export type ExecutorAnswer =
  | OpenedMessage
  | { readonly kind: 'refused'; readonly message: string }
  | {
      readonly kind: 'done';
      readonly outputs: readonly Tensor[];
      readonly seconds: number;
      readonly nonfiniteElements: number;
      /** The memory of the inputs, which the thread is done with. */
      readonly spent: readonly ArrayBuffer[];
    }
  | { readonly kind: 'failed'; readonly message: string };

export function isExecutorWorkerData(data: unknown): data is ExecutorWorkerData {
  return typeof data === 'object' && data !== null && 'slipwayExecutor' in data;
}
