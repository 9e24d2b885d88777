import { ELEMENT_BYTES, type Datatype } from '../spec/datatypes';
import { toHalfBits } from './half-float';
import { NumberList, withoutNumberLists } from './json-numbers';
import { showJson } from './show-json';
import {
  allocateTensorData,
  elementCount,
  makeTensorData,
  TensorEncodingError,
  type TensorData,
} from './tensor-encoding';

/**
 * Reads the `data` of an Open Inference Protocol JSON tensor: a flat list, or lists nested as the shape says.
 * BOOL is `true`, `false`, 1 or 0, BYTES is text, everything else a number (FP16 and FP32 are rounded to the nearest).
 * @param json As `parseJsonText` or `parseJsonBytes` reads it: whole numbers beyond 2^53 as bigint.
 * @throws TensorEncodingError naming the element and what it must be.
 */
export function tensorDataFromJson(datatype: Datatype, shape: readonly number[], json: unknown): TensorData {
  const numbers = json instanceof NumberList && fits(json, shape) ? tensorDataFromNumbers(datatype, json) : undefined;
  return numbers ?? tensorDataFromLists(datatype, shape, withoutNumberLists(json));
}

function fits({ dims, values }: NumberList, shape: readonly number[]): boolean {
  if (dims.length === 1) return values.length === elementCount(shape);
  return dims.length === shape.length && dims.every((size, i) => size === shape[i]);
}

/**
 * Numbers in the array of their datatype.
 * @returns undefined when one of them is not what the datatype can hold.
 */
function tensorDataFromNumbers(datatype: Datatype, { values, exact }: NumberList): TensorData | undefined {
  switch (datatype) {
    case 'FP64':
      return values.slice();
    case 'FP32': {
      // Without zeros, which would take longer than the numbers.
      const data = new Float32Array(Buffer.allocUnsafeSlow(values.length * ELEMENT_BYTES.FP32).buffer);
      data.set(values);
      return data;
    }
    case 'FP16':
      return Uint16Array.from(values, toHalfBits);
    case 'INT64':
    case 'UINT64':
      return wideIntegers(datatype, values, exact);
    case 'BYTES':
      return undefined;
    case 'BOOL':
    case 'UINT8':
    case 'INT8':
    case 'UINT16':
    case 'INT16':
    case 'UINT32':
    case 'INT32': {
      const data = allocateTensorData(datatype, values.length) as Exclude<TensorData, readonly string[]> & number[];
      const isBool = datatype === 'BOOL';
      for (let i = 0; i < values.length; i++) {
        const value = values[i]!;
        data[i] = value;
        // Whatever the array cannot hold comes out of it as another number.
        if (data[i] !== value || (isBool && value > 1)) return undefined;
      }
      return data;
    }
  }
}

function wideIntegers(
  datatype: 'INT64' | 'UINT64',
  values: Float64Array,
  exact: ReadonlyMap<number, bigint> | undefined,
): TensorData | undefined {
  const data = allocateTensorData(datatype, values.length) as BigInt64Array | BigUint64Array;
  // A bigint for each element would take twenty times as long as its two halves.
  const halves = new Int32Array(data.buffer);
  const convert = CONVERSIONS[datatype];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isSafeInteger(value) && (value >= 0 || datatype === 'INT64')) {
      halves[2 * i] = value;
      halves[2 * i + 1] = Math.floor(value / 2 ** 32);
      continue;
    }
    const whole = convert(exact?.get(i));
    if (whole === undefined) return undefined;
    data[i] = whole as bigint;
  }
  return data;
}

function tensorDataFromLists(datatype: Datatype, shape: readonly number[], json: unknown): TensorData {
  const elements = flatten(json, shape);
  const convert = CONVERSIONS[datatype];
  return makeTensorData(datatype, elements.length, (i) => {
    const value = convert(elements[i]);
    if (value !== undefined) return value;
    throw new TensorEncodingError(
      `${datatype} element ${i} must be ${EXPECTED[datatype]}, got ${showJson(elements[i])}`,
    );
  });
}

function flatten(json: unknown, shape: readonly number[]): readonly unknown[] {
  if (!Array.isArray(json)) throw new TensorEncodingError(`data must be a list, got ${showJson(json)}`);
  const count = elementCount(shape);
  const isNested = shape.length > 1 && json.some(Array.isArray);
  const elements = isNested ? flattenNested(json, shape, 'data') : json;
  if (elements.length !== count) {
    throw new TensorEncodingError(
      `data of shape [${shape.join(', ')}] must hold ${count} elements, got ${elements.length}`,
    );
  }
  return elements;
}

function flattenNested(json: unknown, shape: readonly number[], at: string): unknown[] {
  const [size, ...rest] = shape;
  if (!Array.isArray(json) || json.length !== size) {
    const got = Array.isArray(json) ? `one of ${json.length}` : showJson(json);
    throw new TensorEncodingError(`${at} must be a list of ${size}, got ${got}`);
  }
  return rest.length === 0 ? json : json.flatMap((part, i) => flattenNested(part, rest, `${at}[${i}]`));
}

type Conversion = (value: unknown) => number | bigint | string | undefined;

/** A number beyond 2^53 that comes as a double has already lost digits and is refused. */
function integer(min: number, max: number): Conversion {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max ? (value as number) : undefined;
}

function bigInteger(min: bigint, max: bigint): Conversion {
  return (value) => {
    const whole = Number.isSafeInteger(value) ? BigInt(value as number) : value;
    return typeof whole === 'bigint' && whole >= min && whole <= max ? whole : undefined;
  };
}

const float: Conversion = (value) =>
  typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : undefined;

const CONVERSIONS: Record<Datatype, Conversion> = {
  BOOL: (value) => (typeof value === 'boolean' || value === 0 || value === 1 ? Number(value) : undefined),
  UINT8: integer(0, 0xff),
  UINT16: integer(0, 0xffff),
  UINT32: integer(0, 0xffff_ffff),
  UINT64: bigInteger(0n, 2n ** 64n - 1n),
  INT8: integer(-0x80, 0x7f),
  INT16: integer(-0x8000, 0x7fff),
  INT32: integer(-0x8000_0000, 0x7fff_ffff),
  INT64: bigInteger(-(2n ** 63n), 2n ** 63n - 1n),
  FP16: (value) => {
    const number = float(value);
    return number === undefined ? undefined : toHalfBits(number as number);
  },
  FP32: float,
  FP64: float,
  BYTES: (value) => (typeof value === 'string' ? value : undefined),
};

const EXPECTED: Record<Datatype, string> = {
  BOOL: 'true or false',
  UINT8: 'a whole number from 0 to 255',
  UINT16: 'a whole number from 0 to 65535',
  UINT32: 'a whole number from 0 to 4294967295',
  UINT64: 'a whole number from 0 to 18446744073709551615, written with all its digits',
  INT8: 'a whole number from -128 to 127',
  INT16: 'a whole number from -32768 to 32767',
  INT32: 'a whole number from -2147483648 to 2147483647',
  INT64: 'a whole number from -9223372036854775808 to 9223372036854775807, written with all its digits',
  FP16: 'a number',
  FP32: 'a number',
  FP64: 'a number',
  BYTES: 'a string',
};
