import { joinData } from '../data/batch-rows';
import { sliceRows } from '../../onnx/slice-rows';
import type { Tensor } from '../../onnx/tensor-encoding';
import type { TensorSignature } from '../../spec/model-facts';

/** A model that can be asked, wherever it runs. */
export interface RunnableModel {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** One run: outputs in the order of `outputs`. */
  run(inputs: readonly Tensor[]): Promise<readonly Tensor[]>;
  close(): Promise<void>;
}

/** How many rows each run must have, where the model fixes that; undefined where any number may. */
export function fixedRows({ inputs }: Pick<RunnableModel, 'inputs'>): number | undefined {
  const fixed = inputs.map(({ shape }) => shape[0]).find((size) => typeof size === 'number');
  return typeof fixed === 'number' ? fixed : undefined;
}

/**
 * Runs any number of rows on a model that fixes theirs: in pieces, where they are more; where they are fewer, the last one fills
 * the rest up and what comes of the filling is cut off again. An output that does not have a row for each row stays as it is.
 */
export async function runRows(model: RunnableModel, inputs: readonly Tensor[]): Promise<readonly Tensor[]> {
  const rows = inputs[0]?.shape[0] ?? 0;
  const wanted = fixedRows(model) ?? rows;
  if (wanted === rows) return model.run(inputs);
  if (wanted < rows && wanted > 0) return runPieces(model, inputs, rows, wanted);
  const outputs = await model.run(inputs.map((input) => repeatRows(input, wanted)));
  return outputs.map((output) => (output.shape[0] === wanted ? sliceRows(output, 0, rows) : output));
}

async function runPieces(
  model: RunnableModel,
  inputs: readonly Tensor[],
  rows: number,
  size: number,
): Promise<readonly Tensor[]> {
  const pieces: (readonly Tensor[])[] = [];
  for (let from = 0; from < rows; from += size) {
    pieces.push(
      await runRows(
        model,
        inputs.map((input) => sliceRows(input, from, Math.min(rows, from + size))),
      ),
    );
  }
  return joinRows(pieces);
}

/** Outputs of several runs as those of one: rows behind each other. */
export function joinRows(pieces: readonly (readonly Tensor[])[]): readonly Tensor[] {
  return pieces[0]!.map((first, i) => {
    const parts = pieces.map((piece) => piece[i]!);
    const all = parts.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0);
    return first.shape.length === 0 ? first : joinParts(first, all, parts);
  });
}

/**
 * The first rows of a tensor, again from the beginning where there are too few: data for batches of any size. A tensor without
 * dimensions has no rows, and stays as it is.
 */
export function cycleRows(tensor: Tensor, rows: number): Tensor {
  const [own] = tensor.shape;
  if (own === undefined) return tensor;
  if (rows <= own) return sliceRows(tensor, 0, rows);
  const parts = Array.from({ length: Math.ceil(rows / own) }, (_, i) =>
    sliceRows(tensor, 0, Math.min(own, rows - i * own)),
  );
  return joinParts(tensor, rows, parts);
}

function repeatRows(tensor: Tensor, rows: number): Tensor {
  const own = tensor.shape[0]!;
  const last = sliceRows(tensor, own - 1, own);
  return joinParts(tensor, rows, [tensor, ...Array.from({ length: rows - own }, () => last)]);
}

function joinParts({ name, datatype, shape }: Tensor, rows: number, parts: readonly Tensor[]): Tensor {
  return {
    name,
    datatype,
    shape: shape.with(0, rows),
    data: joinData(
      datatype,
      parts.map(({ data }) => data),
    ),
  };
}
