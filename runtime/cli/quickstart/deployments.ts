import type { InferenceServiceSpec } from '../../spec/inference-service-spec';

/** What one engine would deploy for the spec that was just served. */
export interface Deployment {
  readonly engine: string;
  /** Resources that would be created. */
  readonly resources: number;
  /** Where it was written. */
  readonly file: string;
  /** What is worth knowing about it, in one line. */
  readonly note: string;
  /** The command that a reader types next, one line each. */
  readonly next: readonly string[];
}

/** The words of a spec that every engine takes as they are. */
export type QuickstartSpec = Omit<InferenceServiceSpec, 'capacity' | 'instanceTypes' | 'metricsFrom'>;

/** What every engine gets: the very same spec, and the model version that was published. */
export interface DeploymentRequest {
  /** Folder of this package. */
  readonly root: string;
  /** Folder that the engine may fill. */
  readonly directory: string;
  readonly spec: QuickstartSpec;
  /** The published version: a folder with `model.onnx` and `manifest.json`. */
  readonly modelFolder: string;
}
