import type { Tensor, TensorData } from './tensor-encoding';

type Numbers = Exclude<TensorData, readonly string[]>;

/** Rows `from` up to, not including, `to` of a tensor, as a view. */
export function sliceRows(tensor: Tensor, from: number, to: number): Tensor {
  const { name, datatype, shape } = tensor;
  const rows = shape[0] ?? 0;
  if (from === 0 && to === rows) return tensor;
  const rowElements = rows === 0 ? 0 : tensor.data.length / rows;
  const data = tensor.data as Numbers & readonly string[];
  const [start, end] = [from * rowElements, to * rowElements];
  return {
    name,
    datatype,
    shape: shape.with(0, to - from),
    data: datatype === 'BYTES' ? data.slice(start, end) : data.subarray(start, end),
  };
}
