import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeNpy } from '../../onnx/npy';
import { isBatchable, type ModelFacts } from '../../spec/model-facts';
import { openDataset } from '../data/open-dataset';
import { fixedRows } from '../measure/runnable-model';
import type { ReadPreprocessing } from '../preprocessing-file';
import { ModelToolError } from '../tool-error';

const ROWS_OF_A_BATCH = 8;

/**
 * Writes rows for another program to run the model on: `<folder>/<batch>/<place of the input>.npy`, batches of one size.
 * @returns how many batches and rows there are
 * @throws ModelToolError DATA_…, also where a model that fixes its rows gets too few
 */
export async function writeCalibrationBatches(
  place: string,
  facts: Pick<ModelFacts, 'inputs' | 'outputs'>,
  maxRows: number,
  folder: string,
  preprocessing?: ReadPreprocessing,
): Promise<{ batches: number; rows: number }> {
  const dataset = await openDataset(place, {
    inputs: facts.inputs,
    labels: 'none',
    maxRows,
    ...(preprocessing === undefined ? {} : { preprocessing }),
  });
  const size = isBatchable(facts) ? ROWS_OF_A_BATCH : (fixedRows(facts) ?? 1);
  let batches = 0;
  let rows = 0;
  for await (const batch of dataset.batches(size)) {
    // Ranges are gathered over outputs of one shape.
    if (batch.rows !== size && batches > 0) continue;
    if (batch.rows !== size && !isBatchable(facts)) break;
    const own = path.join(folder, String(batches).padStart(6, '0'));
    await mkdir(own, { recursive: true });
    for (const [i, tensor] of batch.inputs.entries()) await writeFile(path.join(own, `${i}.npy`), writeNpy(tensor));
    batches += 1;
    rows += batch.rows;
  }
  if (batches > 0) return { batches, rows };
  throw new ModelToolError('DATA_EMPTY', place, `has fewer than the ${size} rows that the model takes at once`);
}
