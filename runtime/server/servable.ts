import type { Finding } from '../model/doctor';
import type { Tensor } from '../onnx/tensor-encoding';
import type { ModelConfiguration } from '../spec/model-configuration';
import type { InferCall } from './infer-call';
import type { InferTarget } from './infer-request';
import type { ModelStatistics } from './model-statistics';

/** Names of Triton's repository index. */
export type ModelState = 'UNKNOWN' | 'LOADING' | 'READY' | 'UNLOADING' | 'UNAVAILABLE';

/** What a model's name and version lead to: a model with executors, or an ensemble of such models. */
export interface Servable {
  readonly name: string;
  readonly version: number;
  readonly state: ModelState;
  readonly isReady: boolean;
  /** Why it is not ready; empty when it is. */
  readonly reason: string;
  /** What requests are checked against; undefined until the model has been opened. */
  readonly target: InferTarget | undefined;
  readonly statistics: ModelStatistics;
  /** What its author decided. @default - nothing, or nobody wrote a configuration */
  readonly configuration?: ModelConfiguration | undefined;
  /** What the model doctor found. @default - nobody looked */
  readonly findings?: readonly Finding[];
  /** What its manifest says of it beyond digests, by name. @default - nothing */
  readonly evidence?: Readonly<Record<string, string>>;
  /** @throws ServerError MODEL_NOT_READY with the reason. */
  assertReady(): { readonly target: InferTarget };
  /** @returns all outputs, in the model's order. @throws ServerError, or the reason of the cancellation. */
  infer(call: InferCall): Promise<readonly Tensor[]>;
}
