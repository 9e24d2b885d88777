import type { Tensor } from '../../onnx/tensor-encoding';
import { isBatchable, type ModelFacts } from '../../spec/model-facts';
import { openDataset } from '../data/open-dataset';
import { generateInput } from '../golden-input';
import { fixedRows } from '../measure/runnable-model';
import type { ReadPreprocessing } from '../preprocessing-file';

export interface SampleOptions {
  /** Rows to run on, as `openDataset` reads them; labels are not looked at. @default - made from the signature */
  readonly samples?: string;
  /** How pictures, text and records become inputs, as the model will be published with it. @default - see `openDataset` */
  readonly preprocessing?: ReadPreprocessing;
  /** Most rows of a file, 256; or how many inputs are made without one, of two rows each where the model takes batches, 64. */
  readonly count?: number;
}

const FILE_ROWS = 256;
const MADE_INPUTS = 64;
const ROWS_OF_A_RUN = 16;

/**
 * What to run a model on: rows that somebody gave, or inputs made from the signature, always the same ones.
 * @throws ModelToolError DATA_… while they are read
 */
export async function* modelSamples(
  facts: Pick<ModelFacts, 'inputs' | 'outputs'>,
  { samples, count, preprocessing }: SampleOptions = {},
): AsyncGenerator<readonly Tensor[], void, void> {
  if (samples === undefined) {
    for (let seed = 1; seed <= (count ?? MADE_INPUTS); seed++) yield generateInput(facts, seed);
    return;
  }
  const dataset = await openDataset(samples, {
    inputs: facts.inputs,
    labels: 'none',
    maxRows: count ?? FILE_ROWS,
    ...(preprocessing === undefined ? {} : { preprocessing }),
  });
  const size = isBatchable(facts) ? ROWS_OF_A_RUN : (fixedRows(facts) ?? 1);
  for await (const { inputs } of dataset.batches(size)) yield inputs;
}
