import { stat } from 'node:fs/promises';
import path from 'node:path';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import type { ModelFacts } from '../../spec/model-facts';
import { acceptanceOf, assertAcceptable, assertAcceptance, type Acceptance } from '../compare/acceptance';
import { compareModels } from '../compare/compare-models';
import { modelSamples } from '../compare/model-samples';
import { costOfModel } from '../cost/model-cost';
import { PLAIN_PICTURES_NOTE } from '../data/user-rows';
import type { EditOptions, EditReport, ModelSize } from '../edit/edit-model';
import { slipwayVersion } from '../edit/slipway-version';
import { onnxRuntimeVersion } from '../measure/open-model-file';
import { digestPreprocessing } from '../preprocessing-file';
import { toldOfOutput } from '../made-model-error';
import { writeProvenance } from '../provenance';
import { writeOutput } from '../write-output';

/** What another program made of a model. */
export interface Rewritten<D> {
  readonly detail: D;
  /** Versions of what made it. */
  readonly tools: Readonly<Record<string, string>>;
  /** Files that went in beside the model: calibration data. @default - none */
  readonly inputs?: readonly string[];
}

/**
 * As `editModel`, for a tool that reads and writes the files itself: what it wrote is compared with its source, and gets its name
 * when it is as close as it must be.
 * @param accepted what is asked when the options do not say it
 * @param write makes the model at the path that it is given
 * @throws as `editModel`, and what `write` throws
 */
export async function rewriteModel<D extends object>(
  options: EditOptions,
  command: string,
  accepted: Acceptance,
  write: (file: string, facts: ModelFacts) => Promise<Rewritten<D>>,
): Promise<EditReport<D>> {
  const { source, output, onProgress = () => {} } = options;
  assertAcceptance(options);
  const { facts } = readOnnxModel(source);
  if (options.preprocessing === undefined && (await isFolder(options.samples))) onProgress(PLAIN_PICTURES_NOTE);
  return writeOutput(output, options, async (folder) => {
    const file = path.join(folder, path.basename(output));
    return make(file).catch((error: unknown) => {
      throw toldOfOutput(error, folder, output);
    });
  });

  async function make(file: string): Promise<EditReport<D>> {
    const { detail, tools, inputs = [] } = await write(file, facts);
    const before = sizeOf(source);
    const after = sizeOf(file);
    onProgress('comparing it with its source');
    const comparison = await compareModels(source, file, facts, modelSamples(facts, options));
    const acceptance = acceptanceOf(options, accepted, comparison);
    assertAcceptable(comparison, acceptance, output);
    const compressionPercent = ((before.bytes - after.bytes) / before.bytes) * 100;
    // Samples and calibration were made by it, so the history says which one it was.
    const prepared = options.preprocessing === undefined ? undefined : await digestPreprocessing(options.preprocessing);
    const written = readOnnxModel(file).files.map(({ localPath }) => localPath);
    await writeProvenance({
      command,
      tools: { slipway: slipwayVersion(), 'onnxruntime-node': await onnxRuntimeVersion(), ...tools },
      inputs: [source, ...inputs],
      outputs: written,
      report: {
        before,
        after,
        compressionPercent,
        comparison: { ...comparison },
        accepted: { ...acceptance },
        detail,
        ...(prepared === undefined ? {} : { preprocessing: { sha256: prepared } }),
      },
    });
    const files = written.map((each) => path.join(path.dirname(output), path.basename(each)));
    return { source, files, before, after, compressionPercent, comparison, accepted: acceptance, detail };
  }
}

/** Of all samples, pictures alone lie in one. */
async function isFolder(samples: string | undefined): Promise<boolean> {
  if (samples === undefined) return false;
  return (await stat(samples).catch(() => undefined))?.isDirectory() ?? false;
}

function sizeOf(file: string): ModelSize {
  const { parameters, operations } = costOfModel(file);
  return { parameters, operations, bytes: readOnnxModel(file).facts.fileBytes };
}
