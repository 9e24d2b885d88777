import { expect, test } from 'vitest';
import { isNumberCell, tensorDataFromCells } from '../../runtime/onnx/csv-cells';
import type { Datatype } from '../../runtime/spec/datatypes';

const read = (datatype: Datatype, ...cells: readonly string[]) =>
  Array.from<unknown>(tensorDataFromCells(datatype, cells.length, (i) => cells[i]!));

test('numbers are read as people write them, and what is missing is NaN', () => {
  expect(read('FP64', '1', '-2.5', '+.5', '1e3', 'inf', '-Infinity', '', 'nan')).toEqual([
    1,
    -2.5,
    0.5,
    1_000,
    Infinity,
    -Infinity,
    NaN,
    NaN,
  ]);
  expect(read('INT64', '9223372036854775807', '-1')).toEqual([9_223_372_036_854_775_807n, -1n]);
  expect(read('BOOL', 'true', 'FALSE', '1', '0')).toEqual([1, 0, 1, 0]);
  expect(read('BYTES', 'constructor', '')).toEqual(['constructor', '']);
});

test.each(['constructor', 'toString', '__proto__', '0x10', '1,5', '1_000'])(
  '%s is no number and no truth value',
  (cell) => {
    expect(isNumberCell(cell)).toBe(false);
    for (const datatype of ['FP32', 'INT32', 'BOOL'] as const) {
      expect(() => read(datatype, cell)).toThrow(
        `${datatype} element 0 cannot be read from the cell ${JSON.stringify(cell)}`,
      );
    }
  },
);

test('a whole number that has no room is refused', () => {
  expect(() => read('UINT8', '256')).toThrow('UINT8 element 0 must be a whole number from 0 to 255, got 256');
});
