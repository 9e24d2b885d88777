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
 * Runs rows that may be fewer than the model fixes: the last one fills the rest up, and what comes of the filling is cut off
 * again. An output that does not have a row for each row stays as it is.
 */
export async function runRows(model: RunnableModel, inputs: readonly Tensor[]): Promise<readonly Tensor[]> {
  const rows = inputs[0]?.shape[0] ?? 0;
  const wanted = fixedRows(model) ?? rows;
  if (wanted === rows) return model.run(inputs);
  const outputs = await model.run(inputs.map((input) => repeatRows(input, wanted)));
  return outputs.map((output) => (output.shape[0] === wanted ? sliceRows(output, 0, rows) : output));
}

/** The first rows of a tensor, again from the beginning where there are too few: data for batches of any size. */
export function cycleRows(tensor: Tensor, rows: number): Tensor {
  const own = tensor.shape[0]!;
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
