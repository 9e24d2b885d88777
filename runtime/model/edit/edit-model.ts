import { statSync } from 'node:fs';
import path from 'node:path';
import { readEditableModel, type EditableModel } from '../../onnx/edit/editable-model';
import { writeModel } from '../../onnx/edit/write-model';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import { acceptanceOf, assertAcceptable, type Acceptance } from '../compare/acceptance';
import { compareModels, type ModelComparison } from '../compare/compare-models';
import { modelSamples, type SampleOptions } from '../compare/model-samples';
import { costOf } from '../cost/model-cost';
import { onnxRuntimeVersion } from '../measure/open-model-file';
import { writeProvenance } from '../provenance';
import { writeOutput } from '../write-output';
import { slipwayVersion } from './slipway-version';

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
 * @throws OnnxFileError for the source; ModelToolError OUTPUT_EXISTS, OUTPUT_UNWRITABLE, TOLERANCE_EXCEEDED, DATA_…,
 * MODEL_RUN_FAILED; PublishError MODEL_NOT_LOADED or PACKAGE_MISSING
 */
export async function editModel<D extends object>(
  options: EditOptions,
  command: string,
  accepted: Acceptance,
  change: ModelChange<D>,
): Promise<EditReport<D>> {
  const { source, output, onProgress = () => {} } = options;
  const acceptance = acceptanceOf(options, accepted);
  const { facts } = readOnnxModel(source);
  return writeOutput(output, options, async (folder) => {
    const model = readEditableModel(source);
    const before = sizeOf(model, facts.fileBytes);
    onProgress(`changing ${path.basename(source)}`);
    const detail = change(model);
    const written = writeModel(model, path.join(folder, path.basename(output)));
    const after = sizeOf(
      model,
      written.reduce((sum, file) => sum + statSync(file).size, 0),
    );
    onProgress('comparing it with its source');
    const comparison = await compareModels(source, written[0]!, facts, modelSamples(facts, options));
    assertAcceptable(comparison, acceptance, output);
    const compressionPercent = ((before.bytes - after.bytes) / before.bytes) * 100;
    await writeProvenance({
      command,
      tools: { slipway: slipwayVersion(), onnxruntime: await onnxRuntimeVersion() },
      inputs: [source],
      outputs: written,
      report: { before, after, compressionPercent, comparison: { ...comparison }, accepted: { ...acceptance } },
    });
    const files = written.map((file) => path.join(path.dirname(output), path.basename(file)));
    return { source, files, before, after, compressionPercent, comparison, accepted: acceptance, detail };
  });
}

function sizeOf({ proto, path: file }: EditableModel, bytes: number): ModelSize {
  const { parameters, operations } = costOf(proto, file);
  return { parameters, operations, bytes };
}
