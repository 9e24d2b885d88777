import { fromHalfBits } from '../onnx/half-float';
import type { Tensor } from '../onnx/tensor-encoding';
import { ServerError } from './errors';

/** Which output is wanted as classes, and how many of them. */
export interface ClassificationOptions {
  /** Most classes for each row. */
  readonly count: number;
  /** Whether dimension 0 is a number of rows; otherwise all elements are one row. */
  readonly hasRows: boolean;
  /** By class. @default - none are named */
  readonly labels?: readonly string[];
}

/**
 * An output as Triton's classification extension gives it: BYTES `[rows, classes]` with the greatest elements of each row,
 * the greatest first, each as `<value>:<index>` or `<value>:<index>:<label>`. Equal elements stay in their order, NaN comes
 * last. Clients split these texts, so values are written as Triton writes them, by C's `%f` (src/classification.cc).
 * @throws ServerError OUTPUT_UNKNOWN for an output of text.
 */
export function classify(output: Tensor, { count, hasRows, labels }: ClassificationOptions): Tensor {
  const { name, datatype, shape } = output;
  if (datatype === 'BYTES') {
    throw new ServerError('OUTPUT_UNKNOWN', `output '${name}' holds text: classification needs numbers`);
  }
  const data = output.data as Exclude<Tensor['data'], readonly string[]>;
  const rows = hasRows ? shape[0]! : 1;
  const size = rows === 0 ? 0 : data.length / rows;
  const classes = Math.min(count, size);
  const numbers = datatype === 'FP16' ? Float32Array.from(data as Uint16Array, fromHalfBits) : data;
  const elements: string[] = [];
  for (let row = 0; row < rows; row++) {
    for (const index of greatest(numbers, row * size, size, classes)) {
      const value = numbers[row * size + index]!;
      const label = labels?.[index];
      elements.push(`${showValue(value, datatype)}:${index}${label === undefined ? '' : `:${label}`}`);
    }
  }
  return { name, datatype: 'BYTES', shape: hasRows ? [rows, classes] : [classes], data: elements };
}

type Numbers = ArrayLike<number | bigint>;

export function greatest(numbers: Numbers, from: number, size: number, count: number): readonly number[] {
  const order = Array.from({ length: size }, (_, i) => i);
  order.sort((a, b) => descending(numbers[from + a]!, numbers[from + b]!) || a - b);
  return order.slice(0, count);
}

function descending(a: number | bigint, b: number | bigint): number {
  if (a > b) return -1;
  if (a < b) return 1;
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}

/** As Triton writes it: a whole number by its digits, any other with six decimals, whatever is lost by it. */
export function showValue(value: number | bigint, datatype: Tensor['datatype']): string {
  if (typeof value === 'bigint' || !FLOATING.has(datatype)) return String(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 'nan';
  if (size === Infinity) return `${sign}inf`;
  // From here on `toFixed` would write an exponent.
  if (size >= 1e21) return `${sign}${BigInt(size)}.000000`;
  return `${sign}${isBetweenDecimals(size) ? roundToEven(size) : size.toFixed(6)}`;
}

const FLOATING: ReadonlySet<Tensor['datatype']> = new Set(['FP16', 'FP32', 'FP64']);

/** Exactly in the middle of two numbers of six decimals: such are odd multiples of 1/128. `toFixed` rounds them up, C to even. */
function isBetweenDecimals(size: number): boolean {
  return (size * 128) % 2 === 1;
}

function roundToEven(size: number): string {
  const cut = size.toFixed(7).slice(0, -1);
  return Number(cut.at(-1)) % 2 === 0 ? cut : size.toFixed(6);
}
