import type { ModelConfiguration } from '../../spec/model-configuration';
import type { ModelReference } from '../../spec/model-reference';
import type { FetchedModel } from '../fetch-model';
import type { RegisteredModel } from './registered-model';

/** One model version as a server is told of it: where its files lie, and what its author decided about it. */
export interface ModelVersion {
  readonly reference: ModelReference;
  /** What lies beside the versions. @default - nothing */
  readonly configuration?: ModelConfiguration | undefined;
  /** The file of the version's folder that holds the model. @default model.onnx */
  readonly modelFile?: string;
  /** The folder above the version's, with a closing slash, where files that a configuration names lie. @default - none */
  readonly modelFolder?: string;
}

/** A model version that is to be loaded once. */
export interface LoadableModel extends RegisteredModel {
  /**
   * Ends up READY, or UNAVAILABLE with the reason.
   * @throws StartupError when the machine, not the model, is the reason, and the reason of the signal.
   */
  load(signal: AbortSignal): Promise<void>;
}

/**
 * Asked when a model has been fetched and before any of its sessions is opened.
 * @throws ModelError when it must not be opened.
 */
export type Admit = (model: FetchedModel, sessions: number) => Promise<void>;

export type CreateModel = (version: ModelVersion, admit?: Admit) => LoadableModel;
