import { elementType } from '../element-types';
import type { TensorProto } from '../generated/onnx-ml_pb';

export type Shape = readonly number[];

/** What is known of a value of a graph before anybody runs it. */
export interface KnownTensor {
  readonly shape: Shape;
  /** ONNX's number of the element type. */
  readonly type: number;
  /** Its elements, where they are few numbers that decide shapes of others: a shape, axes, sizes, scales. */
  readonly values?: readonly number[];
}

/** Shapes, axes and sizes have fewer elements. */
const MOST_VALUES = 64;

export function elementCount(shape: Shape): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** What a constant is; its elements where they may decide shapes. */
export function knownTensor(tensor: TensorProto): KnownTensor {
  const shape = tensor.dims.map(Number);
  const values = elementCount(shape) <= MOST_VALUES ? readValues(tensor) : undefined;
  return { shape, type: tensor.dataType, ...(values === undefined ? {} : { values }) };
}

function readValues(tensor: TensorProto): readonly number[] | undefined {
  const count = elementCount(tensor.dims.map(Number));
  const name = elementType(tensor.dataType)?.name;
  const { rawData, int64Data, int32Data, floatData } = tensor;
  if (name === 'int64' && int64Data.length === count) return int64Data.map(Number);
  if (name === 'int32' && int32Data.length === count) return int32Data;
  if (name === 'float' && floatData.length === count) return floatData;
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  const read = (bytes: number, at: (offset: number) => number): readonly number[] | undefined =>
    rawData.byteLength === count * bytes ? Array.from({ length: count }, (_, i) => at(i * bytes)) : undefined;
  if (name === 'int64') return read(8, (offset) => Number(view.getBigInt64(offset, true)));
  if (name === 'int32') return read(4, (offset) => view.getInt32(offset, true));
  if (name === 'float') return read(4, (offset) => view.getFloat32(offset, true));
  return undefined;
}
