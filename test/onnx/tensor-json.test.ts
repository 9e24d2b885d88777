import { expect, test } from 'vitest';
import type { Datatype } from '../../runtime/spec/datatypes';
import { tensorDataFromJson } from '../../runtime/onnx/tensor-json';

test('a flat list and lists nested like the shape give the same elements', () => {
  const expected = Float32Array.of(1, 2, 3, 4);
  expect(tensorDataFromJson('FP32', [2, 2], [1, 2, 3, 4])).toEqual(expected);
  expect(
    tensorDataFromJson(
      'FP32',
      [2, 2],
      [
        [1, 2],
        [3, 4],
      ],
    ),
  ).toEqual(expected);
  expect(
    tensorDataFromJson(
      'FP32',
      [1, 2, 2],
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ),
  ).toEqual(expected);
});

test('each datatype becomes its own kind of array', () => {
  expect(tensorDataFromJson('BOOL', [2], [true, false])).toEqual(Uint8Array.of(1, 0));
  expect(tensorDataFromJson('INT64', [2], [-1, 2n ** 63n - 1n])).toEqual(BigInt64Array.of(-1n, 2n ** 63n - 1n));
  expect(tensorDataFromJson('INT64', [1], [2n ** 63n - 1n])).toEqual(BigInt64Array.of(9223372036854775807n));
  expect(tensorDataFromJson('UINT64', [1], [2n ** 64n - 1n])).toEqual(BigUint64Array.of(18446744073709551615n));
  expect(tensorDataFromJson('FP16', [1], [1.5])).toEqual(Uint16Array.of(0x3e00));
  expect(tensorDataFromJson('BYTES', [1], ['a'])).toEqual(['a']);
  expect(tensorDataFromJson('FP64', [], [2])).toEqual(Float64Array.of(2));
});

test.each<[Datatype, number[], unknown, string]>([
  ['FP32', [2], [1, '2'], 'FP32 element 1 must be a number, got "2"'],
  ['FP32', [1], [null], 'FP32 element 0 must be a number, got null'],
  ['UINT8', [1], [256], 'UINT8 element 0 must be a whole number from 0 to 255, got 256'],
  ['INT8', [1], [1.5], 'INT8 element 0 must be a whole number from -128 to 127, got 1.5'],
  ['BOOL', [1], [2], 'BOOL element 0 must be true or false, got 2'],
  ['BYTES', [1], [1], 'BYTES element 0 must be a string, got 1'],
  [
    'UINT64',
    [1],
    [-1],
    'UINT64 element 0 must be a whole number from 0 to 18446744073709551615, written with all its digits, got -1',
  ],
  [
    'INT64',
    [1],
    [2 ** 53],
    'INT64 element 0 must be a whole number from -9223372036854775808 to 9223372036854775807, written with all its digits, got 9007199254740992',
  ],
  ['FP32', [2, 2], [1, 2, 3], 'data of shape [2, 2] must hold 4 elements, got 3'],
  ['FP32', [2, 2], [[1, 2], [3]], 'data[1] must be a list of 2, got one of 1'],
  ['FP32', [2, 2], [[1, 2], 3], 'data[1] must be a list of 2, got 3'],
  ['FP32', [1], 7, 'data must be a list, got 7'],
  ['FP32', [1], undefined, 'data must be a list, got nothing'],
])('%s of shape %j given %j is refused, saying what it must be', (datatype, shape, json, message) => {
  expect(() => tensorDataFromJson(datatype, shape, json)).toThrow(message);
});
