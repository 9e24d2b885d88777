import { readOnnxModel } from '../../onnx/read-onnx-model';
import { openDataset } from '../data/open-dataset';
import type { EvaluatedModel } from '../evaluate/evaluate-models';
import { measureSpeed, type BatchSpeed, type MeasuredModel } from '../measure/measure-speed';
import { restingModel } from '../measure/resting-model';
import { SOURCE_NAME } from './recipe';
import type { SearchOptions } from './search-models';

/**
 * Speeds of the source and of all candidates, by name, in turns: what slows the machine down for a while slows all of them down. A
 * candidate is open during its turns alone, so that memory holds the source and one other, however many there are.
 * @param files of the candidates, by name
 */
export async function timeCandidates(
  files: ReadonlyMap<string, string>,
  source: EvaluatedModel,
  options: SearchOptions,
): Promise<ReadonlyMap<string, BatchSpeed>> {
  const { onProgress, signal, threads, speed } = options;
  const sizes = speed?.batchSizes ?? [1];
  const rows = await firstRows(Math.max(...sizes), source, options);
  const candidates = [...files].map(([name, file]): MeasuredModel => {
    const model = restingModel(file, readOnnxModel(file).facts, threads === undefined ? {} : { threads });
    return { name, model, rows, rest: () => model.rest() };
  });
  const measured = [{ name: SOURCE_NAME, model: source.model, rows }, ...candidates];
  onProgress?.(`timing ${measured.length} models in turns`);
  try {
    const speeds = await measureSpeed(measured, { ...speed, batchSizes: sizes, onProgress, signal });
    return new Map(measured.map(({ name }, i) => [name, speeds[i]![0]!]));
  } finally {
    for (const { model } of candidates) await model.close();
  }
}

async function firstRows(
  count: number,
  { model, preprocessing }: EvaluatedModel,
  { data, columns }: SearchOptions,
): Promise<MeasuredModel['rows']> {
  const dataset = await openDataset(data, {
    inputs: model.inputs,
    labels: 'none',
    ...(preprocessing === undefined ? {} : { preprocessing }),
    columns,
    maxRows: count,
  });
  const first = await dataset.batches(count).next();
  return first.done === true ? [] : first.value.inputs;
}
