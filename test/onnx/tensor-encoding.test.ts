import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ELEMENT_BYTES, type Datatype } from '../../runtime/spec/datatypes';
import {
  decodeTensorData,
  elementCount,
  encodeTensorData,
  makeTensorData,
  TensorEncodingError,
} from '../../runtime/onnx/tensor-encoding';

const NUMERIC = (Object.keys(ELEMENT_BYTES) as Datatype[]).filter((datatype) => datatype !== 'BYTES');

describe('numbers', () => {
  test.each(NUMERIC)('%s bytes decode and encode to the same bytes, at any alignment', (datatype) => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 8 }), fc.nat(7), (seed, offset) => {
        const shape = [seed.length];
        const width = ELEMENT_BYTES[datatype] as number;
        const store = new Uint8Array(offset + seed.length * width);
        const bytes = store.subarray(offset);
        bytes.forEach(
          (_, i) => (bytes[i] = datatype === 'BOOL' ? (seed[i] as number) % 2 : (seed[i % seed.length] as number) + i),
        );
        expect(encodeTensorData(datatype, decodeTensorData(datatype, shape, bytes))).toEqual(Uint8Array.from(bytes));
      }),
    );
  });

  test('are little-endian on the wire', () => {
    expect(encodeTensorData('FP32', Float32Array.of(1))).toEqual(Uint8Array.of(0, 0, 0x80, 0x3f));
    expect(decodeTensorData('INT64', [1], Uint8Array.of(254, 255, 255, 255, 255, 255, 255, 255))).toEqual(
      BigInt64Array.of(-2n),
    );
  });

  test('are not copied when they are aligned', () => {
    const bytes = new Uint8Array(8);
    expect((decodeTensorData('FP32', [2], bytes) as Float32Array).buffer).toBe(bytes.buffer);
    const data = Float32Array.of(1, 2);
    expect(encodeTensorData('FP32', data).buffer).toBe(data.buffer);
  });

  test('of the wrong length are refused with both numbers', () => {
    expect(() => decodeTensorData('FP32', [2, 3], new Uint8Array(20))).toThrow(
      'FP32 of shape [2, 3] must be 24 bytes, got 20',
    );
  });

  test('a BOOL is 0 or 1', () => {
    expect(() => decodeTensorData('BOOL', [3], Uint8Array.of(1, 0, 2))).toThrow('BOOL element 2 must be 0 or 1, got 2');
  });
});

describe('text', () => {
  test('carries a four-byte length before each element', () => {
    expect(encodeTensorData('BYTES', ['é', ''])).toEqual(Uint8Array.of(2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0));
  });

  test('survives the way to bytes and back, byte order marks included', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (elements) => {
        const texts = ['\ufeffmark', ...elements];
        expect(decodeTensorData('BYTES', [texts.length], encodeTensorData('BYTES', texts))).toEqual(texts);
      }),
    );
  });

  test.each([
    [[1], Uint8Array.of(5, 0, 0, 0, 65), 'BYTES element 0 at byte 0 ends at byte 9, got 5 bytes'],
    [[1], Uint8Array.of(1, 0, 0), 'BYTES element 0 at byte 0 ends at byte 4, got 3 bytes'],
    [[2], Uint8Array.of(0, 0, 0, 0), 'BYTES must hold 2 elements, got 1'],
    [[1], Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0), 'BYTES must hold 1 elements, got more: byte 4 is left over'],
    [[1], Uint8Array.of(1, 0, 0, 0, 0xff), 'BYTES element 0 at byte 0 must be UTF-8 text, which ONNX strings are'],
  ])('of shape %j is refused when its bytes lie: %s', (shape, bytes, message) => {
    expect(() => decodeTensorData('BYTES', shape, bytes)).toThrow(message);
  });

  test('that is random bytes gives text or a TensorEncodingError, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(4), (bytes, count) => {
        try {
          expect(decodeTensorData('BYTES', [count], bytes)).toHaveLength(count);
        } catch (error) {
          expect(TensorEncodingError.is(error), String(error)).toBe(true);
        }
      }),
    );
  });
});

test('a scalar has one element, a shape with a zero none', () => {
  expect(elementCount([])).toBe(1);
  expect(elementCount([3, 0, 2])).toBe(0);
});

test('elements are put into the array of their datatype', () => {
  expect(makeTensorData('INT64', 2, (i) => BigInt(i))).toEqual(BigInt64Array.of(0n, 1n));
  expect(makeTensorData('FP16', 1, () => 0x3c00)).toEqual(Uint16Array.of(0x3c00));
  expect(makeTensorData('BYTES', 2, String)).toEqual(['0', '1']);
});
