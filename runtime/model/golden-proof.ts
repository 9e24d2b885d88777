import { createHash } from 'node:crypto';
import type { ModelFacts } from '../spec/model-facts';
import type { GoldenProof, Tolerance } from '../spec/model-manifest';
import { describeDifference } from '../onnx/tensor-comparison';
import { encodeTensorData, type Tensor } from '../onnx/tensor-encoding';
import { generateGoldenInput } from './golden-input';
import { readGoldenFile } from './golden-user-input';
import type { StoredFile } from './model-store';
import type { ReadPreprocessing } from './preprocessing-file';
import { PublishError } from './publish-error';
import { oneLine, runModel } from './run-model';
import { chooseTolerances } from './tolerance';

/** The folder of a model version that holds the tensors of its golden proof. */
export const GOLDEN_FOLDER = 'golden';

export interface GoldenOptions {
  /**
   * A request in the Open Inference Protocol's JSON; or, where preprocessing is given, what users have: a picture, a text
   * (`.txt`), or JSON of texts or records.
   * @default - an input made from the signature
   */
  readonly goldenFile?: string;
  /** By output name. @default - by datatype, and top-1 for quantized models */
  readonly tolerances?: Readonly<Record<string, Tolerance>>;
}

/**
 * Runs the model twice on one input and keeps input and output as what a replica must reproduce.
 * @throws PublishError MODEL_NOT_LOADED, GOLDEN_FILE_INVALID, GOLDEN_RUN_FAILED, MODEL_NOT_DETERMINISTIC, TOLERANCE_INVALID, PACKAGE_MISSING
 */
export async function makeGoldenProof(
  modelPath: string,
  facts: ModelFacts,
  options: GoldenOptions,
  preprocessing?: ReadPreprocessing,
): Promise<{ readonly golden: GoldenProof; readonly files: readonly StoredFile[] }> {
  const tolerances = chooseTolerances(facts, options.tolerances);
  const inputs =
    options.goldenFile === undefined
      ? generateGoldenInput(facts)
      : await readGoldenFile(options.goldenFile, facts, preprocessing);
  const [outputs, repeated] = await runTwice(modelPath, inputs, facts, options.goldenFile);
  const files: StoredFile[] = [];
  const keep = (side: 'input' | 'output', { name, datatype, shape, data }: Tensor, i: number) => {
    const path = `${GOLDEN_FOLDER}/${side}-${i}.bin`;
    const content = encodeTensorData(datatype, data);
    const sha256 = createHash('sha256').update(content).digest('hex');
    files.push({ path, bytes: content.byteLength, sha256, content });
    return { name, datatype, shape, path };
  };
  const golden: GoldenProof = {
    inputs: inputs.map((input, i) => keep('input', input, i)),
    outputs: outputs.map((output, i) => {
      const tolerance = tolerances.get(output.name) as Tolerance;
      assertRepeatable(modelPath, output, repeated[i] as Tensor, tolerance);
      return { ...keep('output', output, i), tolerance };
    }),
  };
  return { golden, files };
}

async function runTwice(
  modelPath: string,
  inputs: readonly Tensor[],
  facts: ModelFacts,
  goldenFile: string | undefined,
): Promise<readonly [readonly Tensor[], readonly Tensor[]]> {
  try {
    const [first, second] = await runModel(modelPath, inputs, facts.outputs, 2);
    return [first as readonly Tensor[], second as readonly Tensor[]];
  } catch (error) {
    if (PublishError.is(error)) throw error;
    const reason = oneLine(error);
    throw goldenFile === undefined
      ? new PublishError(
          'GOLDEN_RUN_FAILED',
          modelPath,
          `does not run on an input made from its signature; give one that works with --golden <file>: ${reason}`,
        )
      : new PublishError('GOLDEN_RUN_FAILED', goldenFile, `the model does not run on it: ${reason}`);
  }
}

function assertRepeatable(modelPath: string, first: Tensor, second: Tensor, tolerance: Tolerance): void {
  const difference =
    first.shape.join() === second.shape.join()
      ? describeDifference({ ...first, tolerance }, first.data, second.data)
      : `shape [${second.shape.join(', ')}], expected [${first.shape.join(', ')}]`;
  if (difference === undefined) return;
  throw new PublishError(
    'MODEL_NOT_DETERMINISTIC',
    modelPath,
    `two runs on one input disagree in output '${first.name}' (${difference}): seed its random operators, or publish without a golden proof`,
  );
}
