import { allocateTensorData, elementCount, type Tensor, type TensorData } from '../onnx/tensor-encoding';

type Numbers = Exclude<TensorData, readonly string[]>;

/** Tensors of the same shape but for dimension 0, joined along it. A single part is returned as it is. */
export function joinRows(parts: readonly Tensor[]): Tensor {
  const [first] = parts as readonly [Tensor, ...Tensor[]];
  if (parts.length === 1) return first;
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const shape = [rows, ...first.shape.slice(1)];
  if (first.datatype === 'BYTES')
    return { ...first, shape, data: parts.flatMap(({ data }) => data as readonly string[]) };
  const data = allocateTensorData(first.datatype, elementCount(shape)) as Numbers;
  let at = 0;
  for (const part of parts) {
    // The constructors agree because the datatypes do.
    data.set(part.data as Uint8Array & BigInt64Array & BigUint64Array, at);
    at += part.data.length;
  }
  return { ...first, shape, data };
}

/** Rows `from` up to, not including, `to` of a tensor, as a view. */
export function sliceRows(tensor: Tensor, from: number, to: number): Tensor {
  const [rows = 0, ...rest] = tensor.shape;
  if (from === 0 && to === rows) return tensor;
  const rowElements = elementCount(rest);
  const data = tensor.data as Numbers & readonly string[];
  const range = [from * rowElements, to * rowElements] as const;
  return {
    ...tensor,
    shape: [to - from, ...rest],
    data: tensor.datatype === 'BYTES' ? data.slice(...range) : data.subarray(...range),
  };
}
