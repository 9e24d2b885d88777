import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHalfBits, toHalfBits } from '../../runtime/onnx/half-float';

test('every one of the 65,536 halves survives the way to a number and back', () => {
  for (let half = 0; half < 0x10000; half++) {
    const isNaN = (half & 0x7c00) === 0x7c00 && (half & 0x3ff) !== 0;
    expect(toHalfBits(fromHalfBits(half))).toBe(isNaN ? 0x7e00 : half);
  }
});

test('known numbers have the bits of IEEE 754', () => {
  const known: readonly [number, number][] = [
    [1, 0x3c00],
    [-2, 0xc000],
    [65_504, 0x7bff],
    [65_519.99, 0x7bff],
    [65_520, 0x7c00],
    [-Infinity, 0xfc00],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [1 / 3, 0x3555],
    [-0, 0x8000],
  ];
  for (const [value, bits] of known) expect(toHalfBits(value), String(value)).toBe(bits);
});

test('a number is rounded to the nearest half, even just beside the middle of two', () => {
  // 1 + 2^-11 lies in the middle of 1 and 1 + 2^-10: it goes to the even one, and anything above goes up.
  expect(toHalfBits(1 + 2 ** -11)).toBe(0x3c00);
  expect(toHalfBits(1 + 2 ** -11 + 2 ** -40)).toBe(0x3c01);
  fc.assert(
    fc.property(fc.double({ min: -65_000, max: 65_000, noNaN: true }), (value) => {
      const bits = toHalfBits(value);
      const error = Math.abs(fromHalfBits(bits) - value);
      for (const neighbour of [bits - 1, bits + 1]) {
        if ((neighbour & 0x7c00) === 0x7c00 || neighbour < 0) continue;
        expect(Math.abs(fromHalfBits(neighbour & 0xffff) - value)).toBeGreaterThanOrEqual(error);
      }
    }),
  );
});
