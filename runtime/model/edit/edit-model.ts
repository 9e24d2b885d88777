import { readEditableModel, type EditableModel } from '../../onnx/edit/editable-model';
import { writeModel } from '../../onnx/edit/write-model';
import type { Acceptance } from '../compare/acceptance';
import type { ModelComparison } from '../compare/compare-models';
import type { SampleOptions } from '../compare/model-samples';
import { rewriteModel } from '../optimize/rewrite-model';

/** What every tool that changes a model's weights is asked. */
export interface EditOptions extends SampleOptions, Acceptance {
  /** The ONNX file, its external data beside it. It stays as it is. */
  readonly source: string;
  /** Where the new model goes. */
  readonly output: string;
  /** Replace what is there. @default false */
  readonly overwrite?: boolean;
  readonly onProgress?: (line: string) => void;
}

/** How large a model is. */
export interface ModelSize {
  /** Elements of all weights. */
  readonly parameters: number;
  /** Of one run with one row; a multiplication and an addition are two. */
  readonly operations: number;
  /** All files of the model together. */
  readonly bytes: number;
}

/** What a tool made of a model. */
export interface EditReport<D> {
  readonly source: string;
  /** The new files, the model first. */
  readonly files: readonly string[];
  readonly before: ModelSize;
  readonly after: ModelSize;
  /** (before − after) ÷ before × 100, of the bytes. Negative where the file grew. */
  readonly compressionPercent: number;
  readonly comparison: ModelComparison;
  readonly accepted: Acceptance;
  readonly detail: D;
}

/** Changes a model that is in memory. @returns what it did, for the report */
export type ModelChange<D> = (model: EditableModel) => D;

/**
 * Reads a model, changes it, writes it under a temporary name, compares it with its source on samples, and gives it its name when
 * it is as close as it must be. Its history lies beside it.
 * @param command what is in the history, without folders: `slipway model prune --method magnitude`
 * @param accepted what is asked when the options do not say it
 * @throws OnnxFileError for the source; ModelToolError OUTPUT_EXISTS, OUTPUT_UNWRITABLE, TOLERANCE_EXCEEDED, OPTION_INVALID,
 * DATA_…, MODEL_RUN_FAILED; PublishError MODEL_NOT_LOADED or PACKAGE_MISSING
 */
export function editModel<D extends object>(
  options: EditOptions,
  command: string,
  accepted: Acceptance,
  change: ModelChange<D>,
): Promise<EditReport<D>> {
  return rewriteModel(options, command, accepted, (file) => {
    const model = readEditableModel(options.source);
    const detail = change(model);
    writeModel(model, file);
    return Promise.resolve({ detail, tools: {} });
  });
}
