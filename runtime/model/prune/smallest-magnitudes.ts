import type { FloatElements } from '../../onnx/edit/tensor-elements';

/** Where the smallest magnitudes end: all below `bits`, and the first `ties` of those that are equal to it. */
interface Cut {
  readonly bits: number;
  ties: number;
}

const HIGH_BITS = 16;
const LOW_BITS = 15;

/**
 * Finds the `count` smallest magnitudes of several lists together, without a copy of them: numbers of FP32 without their sign are
 * in the order of their bits, so that two counts, of the upper and of the lower half, find the last one.
 * @param lists each is asked twice
 * @returns sets them to zero, list by list in the same order, so that exactly `count` are zero
 */
export function cutSmallest(lists: readonly (() => FloatElements)[], count: number): (values: FloatElements) => void {
  const cut = findCut(lists, count);
  return (values) => {
    const bits = magnitudeBits(values);
    for (let i = 0; i < values.length; i++) {
      if (bits[i]! > cut.bits) continue;
      if (bits[i]! === cut.bits && cut.ties-- <= 0) continue;
      values[i] = 0;
    }
  };
}

function findCut(lists: readonly (() => FloatElements)[], count: number): Cut {
  if (count <= 0) return { bits: -1, ties: 0 };
  const high = new Float64Array(2 ** HIGH_BITS);
  for (const list of lists) for (const bits of magnitudeBits(list())) high[bits >>> LOW_BITS]! += 1;
  let rest = count;
  let bucket = 0;
  while (bucket < high.length - 1 && rest > high[bucket]!) rest -= high[bucket++]!;
  const low = new Float64Array(2 ** LOW_BITS);
  const mask = low.length - 1;
  for (const list of lists) {
    for (const bits of magnitudeBits(list())) if (bits >>> LOW_BITS === bucket) low[bits & mask]! += 1;
  }
  let at = 0;
  while (at < mask && rest > low[at]!) rest -= low[at++]!;
  return { bits: bucket * 2 ** LOW_BITS + at, ties: rest };
}

function magnitudeBits(values: FloatElements): Uint32Array {
  const single = Float32Array.from(values);
  const bits = new Uint32Array(single.buffer);
  for (let i = 0; i < bits.length; i++) bits[i]! &= 0x7fff_ffff;
  return bits;
}
