import {
  allocateTensorData,
  elementCount,
  viewTensorData,
  type Tensor,
  type TensorData,
} from '../onnx/tensor-encoding';
import { ELEMENT_BYTES, type Datatype } from '../spec/datatypes';
import { MEMORY } from './reusable-memory';

type Numbers = Exclude<TensorData, readonly string[]>;

/**
 * Tensors of the same shape but for dimension 0, joined along it.
 * @param paddedRows Rows of the result: those behind the last part are copies of its last row, or zeros when no part has
 * any row. @default - as many as the parts have
 * @returns a single part that needs no padding as it is.
 */
export function joinRows(parts: readonly Tensor[], paddedRows = 0): Tensor {
  const [first] = parts as readonly [Tensor, ...Tensor[]];
  let rows = 0;
  for (const { shape } of parts) rows += shape[0]!;
  const allRows = Math.max(rows, paddedRows);
  if (parts.length === 1 && allRows === rows) return first;
  const { name, datatype } = first;
  const shape = first.shape.with(0, allRows);
  const data = allocate(datatype, elementCount(shape));
  const at = datatype === 'BYTES' ? copyTexts(parts, data as string[]) : copyNumbers(parts, data as Numbers);
  if (rows > 0) repeatLastRow(data as Numbers, at, at / rows);
  else if (datatype !== 'BYTES') (data as Uint8Array).fill(0);
  return { name, datatype, shape, data };
}

/** A tensor with memory to itself; text is sent by value anyway. */
export function copyTensor(tensor: Tensor): Tensor {
  const { data } = tensor;
  return ArrayBuffer.isView(data) ? { ...tensor, data: data.slice() } : tensor;
}

function allocate(datatype: Datatype, count: number): TensorData {
  if (datatype === 'BYTES') return allocateTensorData(datatype, count);
  return viewTensorData(datatype, MEMORY.take(count * ELEMENT_BYTES[datatype]), count);
}

function copyNumbers(parts: readonly Tensor[], data: Numbers): number {
  let at = 0;
  for (const part of parts) {
    // The constructors agree because the datatypes do.
    data.set(part.data as Uint8Array & BigInt64Array & BigUint64Array, at);
    at += part.data.length;
  }
  return at;
}

function copyTexts(parts: readonly Tensor[], data: string[]): number {
  let at = 0;
  for (const part of parts) for (const text of part.data as readonly string[]) data[at++] = text;
  return at;
}

function repeatLastRow(data: Pick<Numbers, 'copyWithin' | 'length'>, at: number, rowElements: number): void {
  for (let to = at; to < data.length && rowElements > 0; to += rowElements) {
    data.copyWithin(to, at - rowElements, at);
  }
}
