import type { Tensor } from '../../onnx/tensor-encoding';
import type { TensorSignature } from '../../spec/model-facts';

/** What a thread is started with; how the bundle knows that it is to run hooks and no server. */
export interface HookWorkerData {
  readonly slipwayHooks: HookOptions;
}

export interface HookOptions {
  /** The ES module, on this machine. */
  readonly module: string;
  /** What the functions are told about the model that they belong to. */
  readonly model: HookModel;
}

export interface HookModel {
  readonly name: string;
  readonly version: number;
  /** `parameters` of its configuration. */
  readonly parameters: Readonly<Record<string, string>>;
}

export type HookStage = 'preprocess' | 'postprocess';

export interface HookCall {
  readonly stage: HookStage;
  readonly tensors: readonly Tensor[];
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** What the module exports. */
export interface OpenedHooks {
  readonly stages: readonly HookStage[];
  /** What clients send, where that is not what the model takes. */
  readonly inputs?: readonly TensorSignature[];
  readonly outputs?: readonly TensorSignature[];
}

/** What a thread of hooks answers: first `opened` or `refused`, then one `done`, `failed` or `declined` for each call. */
export type HookAnswer =
  | ({ readonly kind: 'opened' } & OpenedHooks)
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'done'; readonly tensors: readonly Tensor[] }
  | { readonly kind: 'failed'; readonly message: string }
  /** The hook says that the request is at fault. */
  | { readonly kind: 'declined'; readonly message: string };

export function isHookWorkerData(data: unknown): data is HookWorkerData {
  return typeof data === 'object' && data !== null && 'slipwayHooks' in data;
}
