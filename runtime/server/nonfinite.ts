import type { Tensor } from '../onnx/tensor-encoding';

/** Elements of one output that are looked at: as long as it has no more, all of them. */
const LOOKED_AT = 65_536;

/**
 * Elements of floating-point outputs that are NaN or infinite, among those that are looked at: every element of an output
 * of up to 65,536, and of a larger one as many, evenly spread. A model that breaks breaks whole rows, so a part shows it;
 * to look at each of 4 million elements takes longer than to copy them.
 */
export function countNonfinite(outputs: readonly Tensor[]): number {
  return outputs.reduce((sum, output) => sum + countIn(output), 0);
}

function countIn({ datatype, data }: Tensor): number {
  const step = Math.max(1, Math.ceil(data.length / LOOKED_AT));
  let count = 0;
  if (datatype === 'FP32' || datatype === 'FP64') {
    const values = data as Float32Array;
    // The difference of a number and itself is zero; of NaN and of an infinity it is NaN.
    for (let i = 0; i < values.length; i += step) if (values[i]! - values[i]! !== 0) count++;
  } else if (datatype === 'FP16') {
    const bits = data as Uint16Array;
    // All exponent bits set: an infinity or NaN.
    for (let i = 0; i < bits.length; i += step) if ((bits[i]! & 0x7c00) === 0x7c00) count++;
  }
  return count;
}
