import type { Datatype } from '../spec/datatypes';
import { toHalfBits } from './half-float';
import { allocateTensorData, elementCount, TensorEncodingError, type TensorData } from './tensor-encoding';

/**
 * Reads the `data` of an Open Inference Protocol JSON tensor: a flat list, or lists nested as the shape says.
 * BOOL is `true` or `false`, BYTES is text, everything else a number (FP16 and FP32 are rounded to the nearest).
 * @throws TensorEncodingError naming the element and what it must be.
 */
export function tensorDataFromJson(datatype: Datatype, shape: readonly number[], json: unknown): TensorData {
  const elements = flatten(json, shape);
  const data = allocateTensorData(datatype, elements.length) as { [i: number]: unknown } & TensorData;
  const convert = CONVERSIONS[datatype];
  for (let i = 0; i < elements.length; i++) {
    const value = convert(elements[i]);
    if (value === undefined) {
      const got = JSON.stringify(elements[i])?.slice(0, 40);
      throw new TensorEncodingError(`${datatype} element ${i} must be ${EXPECTED[datatype]}, got ${got}`);
    }
    data[i] = value;
  }
  return data;
}

function flatten(json: unknown, shape: readonly number[]): readonly unknown[] {
  if (!Array.isArray(json))
    throw new TensorEncodingError(`data must be a list, got ${JSON.stringify(json)?.slice(0, 40)}`);
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
    const got = Array.isArray(json) ? `one of ${json.length}` : JSON.stringify(json)?.slice(0, 40);
    throw new TensorEncodingError(`${at} must be a list of ${size}, got ${got}`);
  }
  return rest.length === 0 ? json : json.flatMap((part, i) => flattenNested(part, rest, `${at}[${i}]`));
}

type Conversion = (value: unknown) => number | bigint | string | undefined;

/** JSON numbers are doubles: integers beyond 2^53 have already lost digits and are refused. */
function integer(min: number, max: number): Conversion {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max ? (value as number) : undefined;
}

function bigInteger(min: number): Conversion {
  return (value) => (Number.isSafeInteger(value) && (value as number) >= min ? BigInt(value as number) : undefined);
}

const float: Conversion = (value) => (typeof value === 'number' ? value : undefined);

const CONVERSIONS: Record<Datatype, Conversion> = {
  BOOL: (value) => (typeof value === 'boolean' ? Number(value) : undefined),
  UINT8: integer(0, 0xff),
  UINT16: integer(0, 0xffff),
  UINT32: integer(0, 0xffff_ffff),
  UINT64: bigInteger(0),
  INT8: integer(-0x80, 0x7f),
  INT16: integer(-0x8000, 0x7fff),
  INT32: integer(-0x8000_0000, 0x7fff_ffff),
  INT64: bigInteger(Number.MIN_SAFE_INTEGER),
  FP16: (value) => (typeof value === 'number' ? toHalfBits(value) : undefined),
  FP32: float,
  FP64: float,
  BYTES: (value) => (typeof value === 'string' ? value : undefined),
};

const EXPECTED: Record<Datatype, string> = {
  BOOL: 'true or false',
  UINT8: 'a whole number from 0 to 255',
  UINT16: 'a whole number from 0 to 65535',
  UINT32: 'a whole number from 0 to 4294967295',
  UINT64: 'a whole number from 0 to 9007199254740991 (the binary encoding takes larger ones)',
  INT8: 'a whole number from -128 to 127',
  INT16: 'a whole number from -32768 to 32767',
  INT32: 'a whole number from -2147483648 to 2147483647',
  INT64: 'a whole number within ±9007199254740991 (the binary encoding takes larger ones)',
  FP16: 'a number',
  FP32: 'a number',
  FP64: 'a number',
  BYTES: 'a string',
};
