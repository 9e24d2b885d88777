import type { Datatype } from '../spec/datatypes';
import type { Tolerance } from '../spec/model-manifest';
import { fromHalfBits } from './half-float';
import type { TensorData } from './tensor-encoding';

/** What to compare: one output of the golden proof. */
export interface ComparedOutput {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly tolerance: Tolerance;
}

/**
 * Where a run leaves the golden output by more than the tolerance allows, in words; undefined when it does not.
 * Both tensors must have the output's shape. NaN equals NaN, and an infinity only itself.
 */
export function describeDifference(output: ComparedOutput, golden: TensorData, got: TensorData): string | undefined {
  const { tolerance } = output;
  if (golden.length !== got.length) return `${got.length} elements, expected ${golden.length}`;
  switch (tolerance.kind) {
    case 'exact': {
      const i = indexWhere(golden.length, (k) => !Object.is(golden[k], got[k]));
      return i === undefined ? undefined : `element ${i} is ${show(got[i])}, expected exactly ${show(golden[i])}`;
    }
    case 'elementwise': {
      const numberAt = numberReader(output.datatype);
      const { absolute, relative } = tolerance;
      const i = indexWhere(golden.length, (k) => {
        const expected = numberAt(golden, k);
        const value = numberAt(got, k);
        if (expected === value || (Number.isNaN(expected) && Number.isNaN(value))) return false;
        return !(Math.abs(value - expected) <= absolute + relative * Math.abs(expected)) || !Number.isFinite(expected);
      });
      if (i === undefined) return undefined;
      const allowed = `± ${absolute} ± ${relative} of it`;
      return `element ${i} is ${numberAt(got, i)}, expected ${numberAt(golden, i)} ${allowed}`;
    }
    case 'top1': {
      const numberAt = numberReader(output.datatype);
      const classes = output.shape.at(-1) ?? 1;
      const rows = classes === 0 ? 0 : golden.length / classes;
      const row = indexWhere(rows, (r) => argMax(golden, r, classes, numberAt) !== argMax(got, r, classes, numberAt));
      if (row === undefined) return undefined;
      const [expected, value] = [golden, got].map((data) => argMax(data, row, classes, numberAt));
      return `row ${row} is largest at ${value}, expected at ${expected}`;
    }
  }
}

function indexWhere(count: number, isDifferent: (i: number) => boolean): number | undefined {
  for (let i = 0; i < count; i++) if (isDifferent(i)) return i;
  return undefined;
}

/** Reads an element as a number: the value that the bits of FP16 stand for. */
export function numberReader(datatype: Datatype): (data: TensorData, i: number) => number {
  return datatype === 'FP16' ? (data, i) => fromHalfBits(data[i] as number) : (data, i) => Number(data[i]);
}

/** Where a row is largest. A NaN is never the largest, so a row of NaN has no largest element: -1. */
export function argMax(
  data: TensorData,
  row: number,
  classes: number,
  numberAt: (data: TensorData, i: number) => number,
): number {
  let best = -1;
  let largest = -Infinity;
  for (let k = 0; k < classes; k++) {
    const value = numberAt(data, row * classes + k);
    if (value > largest || (best < 0 && value === largest)) {
      best = k;
      largest = value;
    }
  }
  return best;
}

function show(value: string | number | bigint | undefined): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value);
}
