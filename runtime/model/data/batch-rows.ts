import type { Datatype } from '../../spec/datatypes';
import type { TensorSignature } from '../../spec/model-facts';
import { allocateTensorData, type Tensor, type TensorData } from '../../onnx/tensor-encoding';
import type { DataBatch } from './dataset';

/** What a row gives for one input. */
export interface RowInput {
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface DataRow<L> {
  /** In the order of the model's inputs. */
  readonly inputs: readonly RowInput[];
  readonly label: L;
}

/** Puts rows that come one by one together, as many as share their shapes, `size` of them at most. */
export async function* batchRows<L>(
  rows: AsyncIterable<DataRow<L>> | Iterable<DataRow<L>>,
  inputs: readonly TensorSignature[],
  size: number,
): AsyncGenerator<DataBatch<L>, void, void> {
  let waiting: DataRow<L>[] = [];
  let from = 0;
  for await (const row of rows) {
    const first = waiting[0];
    if (first !== undefined && (waiting.length === size || !isAlike(first, row))) {
      yield joinRows(waiting, inputs, from);
      from += waiting.length;
      waiting = [];
    }
    waiting.push(row);
  }
  if (waiting.length > 0) yield joinRows(waiting, inputs, from);
}

function isAlike(one: DataRow<unknown>, other: DataRow<unknown>): boolean {
  return one.inputs.every(({ shape }, i) => shape.join() === other.inputs[i]!.shape.join());
}

function joinRows<L>(rows: readonly DataRow<L>[], inputs: readonly TensorSignature[], from: number): DataBatch<L> {
  return {
    from,
    rows: rows.length,
    inputs: inputs.map(({ name, datatype }, i): Tensor => {
      const shape = [rows.length, ...rows[0]!.inputs[i]!.shape];
      const data = joinData(
        datatype,
        rows.map(({ inputs: parts }) => parts[i]!.data),
      );
      return { name, datatype, shape, data };
    }),
    labels: rows.map(({ label }) => label),
  };
}

/** Elements of several tensors of one datatype, one after the other. */
export function joinData(datatype: Datatype, parts: readonly TensorData[]): TensorData {
  if (datatype === 'BYTES') return (parts as readonly (readonly string[])[]).flat();
  const numbers = parts as readonly Exclude<TensorData, readonly string[]>[];
  const joined = allocateTensorData(
    datatype,
    numbers.reduce((count, { length }) => count + length, 0),
  ) as Float32Array;
  let at = 0;
  for (const part of numbers) {
    joined.set(part as Float32Array, at);
    at += part.length;
  }
  return joined;
}
