import { describe, expect, test } from 'vitest';
import { describeDifference, type ComparedOutput } from '../../runtime/onnx/tensor-comparison';

const within = (absolute: number, relative = 0): ComparedOutput => ({
  datatype: 'FP32',
  shape: [1, 2],
  tolerance: { kind: 'elementwise', absolute, relative },
});
const floats = (...values: number[]) => Float32Array.from(values);

describe('elementwise', () => {
  test('accepts what lies within absolute plus relative tolerance', () => {
    expect(describeDifference(within(0.25), floats(1, 2), floats(1.25, 1.75))).toBeUndefined();
    expect(describeDifference(within(0, 0.125), floats(8, -8), floats(9, -9))).toBeUndefined();
  });

  test('names the first element that lies outside', () => {
    expect(describeDifference(within(0.25), floats(1, 2), floats(1, 2.5))).toBe(
      'element 1 is 2.5, expected 2 ± 0.25 ± 0 of it',
    );
  });

  test('takes NaN for NaN and an infinity for itself only', () => {
    expect(describeDifference(within(1), floats(NaN, Infinity), floats(NaN, Infinity))).toBeUndefined();
    expect(describeDifference(within(1), floats(NaN, 0), floats(0, 0))).toContain('element 0 is 0');
    expect(describeDifference(within(1), floats(0, 0), floats(0, NaN))).toContain('element 1 is NaN');
    expect(describeDifference(within(1, 1), floats(Infinity, 0), floats(-Infinity, 0))).toContain('element 0');
    expect(describeDifference(within(1, 1), floats(Infinity, 0), floats(5, 0))).toContain('element 0');
  });

  test('compares the numbers that FP16 bits stand for, not the bits', () => {
    const output: ComparedOutput = { ...within(0.001), datatype: 'FP16' };
    // 1 and the half just above it, 2^-10 apart.
    expect(describeDifference(output, Uint16Array.of(0x3c00, 0), Uint16Array.of(0x3c01, 0))).toBeUndefined();
    expect(describeDifference(output, Uint16Array.of(0x3c00, 0), Uint16Array.of(0x3c02, 0))).toContain('element 0');
  });
});

describe('exact', () => {
  const exactly = (datatype: ComparedOutput['datatype']): ComparedOutput => ({
    datatype,
    shape: [2],
    tolerance: { kind: 'exact' },
  });

  test('accepts equal integers and text, and names the first that differs', () => {
    expect(describeDifference(exactly('INT64'), BigInt64Array.of(1n, 2n), BigInt64Array.of(1n, 2n))).toBeUndefined();
    expect(describeDifference(exactly('INT64'), BigInt64Array.of(1n, 2n), BigInt64Array.of(1n, 3n))).toBe(
      'element 1 is 3, expected exactly 2',
    );
    expect(describeDifference(exactly('BYTES'), ['cat', 'dog'], ['cat', 'cow'])).toBe(
      'element 1 is "cow", expected exactly "dog"',
    );
  });
});

describe('top1', () => {
  const top1: ComparedOutput = { datatype: 'FP32', shape: [2, 3], tolerance: { kind: 'top1' } };

  test('accepts any numbers whose largest stands at the same place in each row', () => {
    expect(describeDifference(top1, floats(0, 9, 1, 5, 4, 3), floats(0, 2, 1, 0.3, 0.2, 0))).toBeUndefined();
  });

  test('names the row whose largest element moved', () => {
    expect(describeDifference(top1, floats(0, 9, 1, 5, 4, 3), floats(0, 9, 1, 3, 4, 5))).toBe(
      'row 1 is largest at 2, expected at 0',
    );
  });

  test('a row of NaN agrees with no real row', () => {
    expect(describeDifference(top1, floats(0, 9, 1, 5, 4, 3), floats(NaN, NaN, NaN, 5, 4, 3))).toContain('row 0');
  });
});

test('a different number of elements is always a difference', () => {
  expect(describeDifference(within(1), floats(1, 2), floats(1))).toBe('1 elements, expected 2');
});
