import { fromHalfBits } from './half-float';
import { elementCount, type Tensor, type TensorData } from './tensor-encoding';
import { writeElements, writeNumber } from './write-tensor-json';

/** Writes the elements of one innermost list, separated by commas. */
export type WriteElements = (tensor: Pick<Tensor, 'datatype' | 'data'>) => string;

type Slice = Exclude<TensorData, readonly string[]> & readonly string[];

/** A tensor as JSON lists nested as its shape says; a scalar as a value. */
export function writeNested(tensor: Tensor, write: WriteElements): string {
  return writePart(tensor, tensor.shape, 0, write);
}

/** One row of a tensor, as JSON nested as its other dimensions say. */
export function writeNestedRow(tensor: Tensor, row: number, write: WriteElements): string {
  const shape = tensor.shape.slice(1);
  return writePart(tensor, shape, row * elementCount(shape), write);
}

function writePart(tensor: Tensor, shape: readonly number[], from: number, write: WriteElements): string {
  const { datatype } = tensor;
  const data = tensor.data as Slice;
  const slice = (start: number, end: number): TensorData =>
    datatype === 'BYTES' ? data.slice(start, end) : data.subarray(start, end);
  const part = (level: number, at: number): string => {
    if (level === shape.length) return write({ datatype, data: slice(at, at + 1) });
    const size = shape[level]!;
    if (level === shape.length - 1) return `[${write({ datatype, data: slice(at, at + size) })}]`;
    const step = elementCount(shape.slice(level + 1));
    return `[${Array.from({ length: size }, (_, i) => part(level + 1, at + i * step)).join(',')}]`;
  };
  return part(0, from);
}

/** As `writeElements`, with `.0` behind whole numbers that are floating point, as TensorFlow Serving writes them. */
export function writeTypedElements(tensor: Pick<Tensor, 'datatype' | 'data'>): string {
  const { datatype, data } = tensor;
  if (datatype === 'FP16') return Array.from(data as Uint16Array, (bits) => writeFloat(fromHalfBits(bits))).join(',');
  const hasWholeFloats = (datatype === 'FP32' || datatype === 'FP64') && (data as Float64Array).some(Number.isInteger);
  return hasWholeFloats ? Array.from(data as Float64Array, writeFloat).join(',') : writeElements(tensor);
}

function writeFloat(value: number): string {
  const text = writeNumber(value);
  return Number.isInteger(value) && !text.includes('e') ? `${text}.0` : text;
}

/** Deeper than any tensor. */
const MAX_DEPTH = 16;

/** The lengths of nested lists, the outermost first, by the first element of each; none for a value. */
export function shapeOfNested(json: unknown): readonly number[] {
  const shape: number[] = [];
  for (let part = json; Array.isArray(part) && shape.length < MAX_DEPTH; part = (part as readonly unknown[])[0]) {
    shape.push(part.length);
  }
  return shape;
}
