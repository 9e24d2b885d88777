import { ELEMENT_BYTES, type Datatype } from '../spec/datatypes';
import { showJson } from './show-json';

/** Elements of a tensor in row-major order: FP16 as its 16 bits, 64-bit integers as bigint, BOOL as 0 and 1, BYTES as text. */
export type TensorData =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly string[];

/** A tensor with its elements. */
export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** The element types of onnxruntime's JavaScript API, by Open Inference Protocol datatype. */
export const ONNX_RUNTIME_TYPES = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
} as const satisfies Record<Datatype, string>;

const ARRAYS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

const LENGTH_BYTES = 4;
const BRAND = Symbol.for('slipway.TensorEncodingError');

/** Elements that do not fit their datatype and shape. The message names neither tensor nor file: the caller does. */
export class TensorEncodingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TensorEncodingError';
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Works across two installed copies of this package, where `instanceof` does not. */
  static is(error: unknown): error is TensorEncodingError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}

/** Elements in a tensor of this shape; 1 for a scalar (`[]`). */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** An array of zeros for this many elements; empty strings for BYTES. */
export function allocateTensorData(datatype: Datatype, count: number): TensorData {
  return datatype === 'BYTES' ? new Array<string>(count).fill('') : new ARRAYS[datatype](count);
}

/** So many elements over a buffer's first bytes, whatever is in them. */
export function viewTensorData(datatype: Exclude<Datatype, 'BYTES'>, buffer: ArrayBuffer, count: number): TensorData {
  return new ARRAYS[datatype](buffer, 0, count);
}

/** The elements that `elementAt` gives, in the array of their datatype. */
export function makeTensorData(
  datatype: Datatype,
  count: number,
  elementAt: (i: number) => number | bigint | string,
): TensorData {
  const data = allocateTensorData(datatype, count) as { [i: number]: unknown };
  for (let i = 0; i < count; i++) data[i] = elementAt(i);
  return data as TensorData;
}

/**
 * The Open Inference Protocol's binary encoding: little-endian, row-major, no padding; BYTES as a four-byte
 * little-endian length before each element's UTF-8 bytes. Numbers are not copied: the result is a view of `data`.
 */
export function encodeTensorData(datatype: Datatype, data: TensorData): Uint8Array {
  if (datatype === 'BYTES') return encodeStrings(data as readonly string[]);
  // Typed arrays have the byte order of the processor; x64 and arm64, which onnxruntime runs on, are little-endian.
  const numbers = data as Exclude<TensorData, readonly string[]>;
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/**
 * The inverse of `encodeTensorData`. Numbers are a view of `bytes` when these lie at a multiple of the element size,
 * and a copy otherwise.
 * @throws TensorEncodingError when the length does not fit the shape, a BOOL is not 0 or 1, or text is not UTF-8.
 */
export function decodeTensorData(datatype: Datatype, shape: readonly number[], bytes: Uint8Array): TensorData {
  const count = elementCount(shape);
  if (datatype === 'BYTES') return decodeStrings(count, bytes);
  const expectedBytes = count * ELEMENT_BYTES[datatype];
  if (bytes.byteLength !== expectedBytes) {
    throw new TensorEncodingError(
      `${datatype} of shape [${shape.join(', ')}] must be ${expectedBytes} bytes, got ${bytes.byteLength}`,
    );
  }
  if (datatype === 'BOOL') {
    const wrong = bytes.findIndex((byte) => byte > 1);
    if (wrong >= 0) throw new TensorEncodingError(`BOOL element ${wrong} must be 0 or 1, got ${bytes[wrong]}`);
  }
  // Not `slice`: that of Node's Buffer is a view.
  const aligned = bytes.byteOffset % ELEMENT_BYTES[datatype] === 0 ? bytes : new Uint8Array(bytes);
  return new ARRAYS[datatype](aligned.buffer as ArrayBuffer, aligned.byteOffset, count);
}

/** Half a surrogate pair has no UTF-8, and the JavaScript binding of ONNX Runtime ends text at U+0000. */
const NOT_CARRIED = /[\0\p{Surrogate}]/u;

/**
 * Refuses text that a model would get changed: ONNX Runtime replaces or cuts it without a word.
 * @throws TensorEncodingError naming the element.
 */
export function assertTextCarried(elements: readonly string[]): void {
  const i = elements.findIndex((element) => NOT_CARRIED.test(element));
  if (i < 0) return;
  throw new TensorEncodingError(
    `BYTES element ${i} must be text without U+0000 and without half a surrogate pair, got ${showJson(elements[i])}`,
  );
}

function encodeStrings(elements: readonly string[]): Uint8Array {
  const encoder = new TextEncoder();
  const encoded = elements.map((element) => encoder.encode(element));
  const bytes = new Uint8Array(encoded.reduce((sum, element) => sum + LENGTH_BYTES + element.byteLength, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const element of encoded) {
    view.setUint32(at, element.byteLength, true);
    bytes.set(element, at + LENGTH_BYTES);
    at += LENGTH_BYTES + element.byteLength;
  }
  return bytes;
}

function decodeStrings(count: number, bytes: Uint8Array): string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elements: string[] = [];
  let at = 0;
  while (at < bytes.byteLength) {
    const i = elements.length;
    const start = at + LENGTH_BYTES;
    const end = start <= bytes.byteLength ? start + view.getUint32(at, true) : start;
    if (end > bytes.byteLength) {
      throw new TensorEncodingError(
        `BYTES element ${i} at byte ${at} ends at byte ${end}, got ${bytes.byteLength} bytes`,
      );
    }
    if (i === count)
      throw new TensorEncodingError(`BYTES must hold ${count} elements, got more: byte ${at} is left over`);
    try {
      elements.push(decoder.decode(bytes.subarray(start, end)));
    } catch {
      throw new TensorEncodingError(`BYTES element ${i} at byte ${at} must be UTF-8 text, which ONNX strings are`);
    }
    at = end;
  }
  if (elements.length !== count) {
    throw new TensorEncodingError(`BYTES must hold ${count} elements, got ${elements.length}`);
  }
  return elements;
}
