import type { Tensor } from '../onnx/tensor-encoding';
import type { TensorSignature } from '../spec/model-facts';
import type { ExecutorOptions } from './executor';

/** What a thread is started with; how the bundle knows that it is to be an executor and no server. */
export interface ExecutorWorkerData {
  readonly slipwayExecutor: ExecutorOptions;
}

export interface RunMessage {
  readonly run: readonly Tensor[];
}

/** What an executor's thread answers: first `opened` or `refused`, then one `done` or `failed` for each run. */
export type ExecutorAnswer =
  | {
      readonly kind: 'opened';
      readonly inputs: readonly TensorSignature[];
      readonly outputs: readonly TensorSignature[];
      readonly onnxRuntimeVersion: string;
    }
  | { readonly kind: 'refused'; readonly message: string }
  | {
      readonly kind: 'done';
      readonly outputs: readonly Tensor[];
      readonly seconds: number;
      readonly nonfiniteElements: number;
    }
  | { readonly kind: 'failed'; readonly message: string };

export function isExecutorWorkerData(data: unknown): data is ExecutorWorkerData {
  return typeof data === 'object' && data !== null && 'slipwayExecutor' in data;
}
