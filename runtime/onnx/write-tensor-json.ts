import { fromHalfBits } from './half-float';
import type { Tensor, TensorData } from './tensor-encoding';

const NEGATIVE_ZERO_32 = -(2 ** 31);
const NEGATIVE_ZERO_64 = -(2n ** 63n);

/**
 * The elements of a tensor as JSON, separated by commas: integers with all their digits, BOOL as `true` and `false`, BYTES
 * as strings. FP16 and FP32 are written as the double that they are, so that nothing is lost. Numbers that are not finite
 * become the tokens NaN, Infinity and -Infinity, as Triton writes them: `JSON.stringify` would make `null` of them and
 * falsify the answer.
 */
export function writeElements({ datatype, data }: Pick<Tensor, 'datatype' | 'data'>): string {
  if (datatype === 'BYTES') return Array.from(data as readonly string[], (text) => JSON.stringify(text)).join(',');
  if (datatype === 'BOOL') return Array.from(data as Uint8Array, (bit) => (bit === 0 ? 'false' : 'true')).join(',');
  if (datatype === 'FP16') return Array.from(data as Uint16Array, (bits) => writeNumber(fromHalfBits(bits))).join(',');
  // `join` is three times as fast as anything else, but writes 0 for -0.
  return hasNegativeZero(datatype, data)
    ? Array.from(data as Float64Array, writeNumber).join(',')
    : (data as Float64Array).join(',');
}

/** A number as JSON has it, with the sign of -0 and with tokens for what is not finite. */
export function writeNumber(value: number): string {
  return value === 0 && 1 / value < 0 ? '-0' : String(value);
}

function hasNegativeZero(datatype: Tensor['datatype'], data: TensorData): boolean {
  if (datatype === 'FP32') {
    const { buffer, byteOffset, length } = data as Float32Array;
    return new Int32Array(buffer, byteOffset, length).includes(NEGATIVE_ZERO_32);
  }
  if (datatype !== 'FP64') return false;
  const { buffer, byteOffset, length } = data as Float64Array;
  return new BigInt64Array(buffer, byteOffset, length).includes(NEGATIVE_ZERO_64);
}
