import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { castNpy, readNpy, writeNpy } from '../../runtime/onnx/npy';
import { elementCount, makeTensorData, type Tensor } from '../../runtime/onnx/tensor-encoding';
import type { Datatype } from '../../runtime/spec/datatypes';

function npy(dictionary: string, data: Uint8Array, version = 1): Uint8Array {
  const text = Buffer.from(`${dictionary}\n`, 'latin1');
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(text.byteLength);
  else length.writeUInt32LE(text.byteLength);
  return Buffer.concat([Buffer.from([0x93]), Buffer.from('NUMPY'), Buffer.from([version, 0]), length, text, data]);
}

const head = (descr: string, shape: string, order = 'False'): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

const datatype = fc.constantFrom<Exclude<Datatype, 'BYTES'>>(
  'BOOL',
  'UINT8',
  'INT8',
  'UINT16',
  'INT16',
  'UINT32',
  'INT32',
  'UINT64',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
);

test('what is written is read back, whatever the datatype and shape', () => {
  fc.assert(
    fc.property(datatype, fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }), (type, shape) => {
      const isWide = type === 'INT64' || type === 'UINT64';
      const data = makeTensorData(type, elementCount(shape), (i) => (type === 'BOOL' ? i % 2 : isWide ? BigInt(i) : i));
      const file = Buffer.concat(writeNpy({ datatype: type, shape, data }));
      expect(file.byteLength - encodedBytes(data)).toSatisfy((length: number) => length % 64 === 0);
      expect(readNpy(file)).toEqual({ datatype: type, shape, data });
    }),
  );
});

function encodedBytes(data: Tensor['data']): number {
  return (data as Uint8Array).byteLength;
}

test('reads versions 1, 2 and 3, and an offset that is no multiple of the element', () => {
  const data = Buffer.from(Float64Array.of(1.5, -2).buffer);
  for (const version of [1, 2, 3]) {
    const file = npy(head('<f8', '(2,)'), data, version);
    expect(readNpy(file)).toEqual({ datatype: 'FP64', shape: [2], data: Float64Array.of(1.5, -2) });
    const shifted = new Uint8Array(file.byteLength + 1);
    shifted.set(file, 1);
    expect(readNpy(shifted.subarray(1)).data).toEqual(Float64Array.of(1.5, -2));
  }
});

test('reads big-endian numbers and column-major order', () => {
  const big = Buffer.alloc(12);
  [1, -2, 3].forEach((value, i) => big.writeInt32BE(value, i * 4));
  expect(readNpy(npy(head('>i4', '(3,)'), big)).data).toEqual(Int32Array.of(1, -2, 3));
  // The matrix 1 2 3 / 4 5 6, column by column.
  const columns = Uint8Array.of(1, 4, 2, 5, 3, 6);
  expect(readNpy(npy(head('|u1', '(2, 3)', 'True'), columns))).toEqual({
    datatype: 'UINT8',
    shape: [2, 3],
    data: Uint8Array.of(1, 2, 3, 4, 5, 6),
  });
});

test('reads scalars, nothing at all, and text of fixed length', () => {
  expect(readNpy(npy(head('<f4', '()'), Buffer.from(Float32Array.of(7).buffer)))).toMatchObject({ shape: [] });
  expect(readNpy(npy(head('<f4', '(0, 3)'), new Uint8Array())).data).toEqual(new Float32Array());
  expect(readNpy(npy(head('|S3', '(2,)'), Buffer.from('abcé\0', 'utf8')))).toMatchObject({ data: ['abc', 'é'] });
  const characters = Buffer.from(Uint32Array.of(0x1f600, 0, 0x61, 0x62).buffer);
  expect(readNpy(npy(head('<U2', '(2,)'), characters)).data).toEqual(['😀', 'ab']);
});

test.each<[what: string, file: Uint8Array, error: string]>([
  ['no NPY', Buffer.from('PK\x03\x04 something else'), 'must begin with'],
  ['another version', npy(head('<f4', '(1,)'), new Uint8Array(4), 4), 'must be 1, 2 or 3, got 4'],
  ['a header that ends early', npy(head('<f4', '(1,)'), new Uint8Array()).subarray(0, 20), 'ends within its header'],
  ['objects', npy(head('|O', '(1,)'), new Uint8Array(8)), 'the elements of NPY must be'],
  [
    'records',
    npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4)),
    'the elements of NPY must be',
  ],
  ['complex numbers', npy(head('<c8', '(1,)'), new Uint8Array(8)), 'the elements of NPY must be'],
  ['too few bytes', npy(head('<f4', '(2,)'), new Uint8Array(4)), 'must hold 8 bytes of elements, got 4'],
  ['too many bytes', npy(head('<f4', '(1,)'), new Uint8Array(5)), 'must hold 4 bytes of elements, got 5'],
  ['an endless shape', npy(head('<f4', '(4294967296, 4294967296)'), new Uint8Array(4)), 'the shape of NPY'],
  [
    'no shape',
    npy("{'descr': '<f4', 'fortran_order': False}", new Uint8Array(4)),
    'must have descr, fortran_order and shape',
  ],
  ['a truth value that is none', npy(head('|b1', '(1,)'), Uint8Array.of(2)), 'BOOL element 0 must be 0 or 1, got 2'],
  ['bytes that are no text', npy(head('|S1', '(1,)'), Uint8Array.of(255)), 'BYTES element 0 must be UTF-8 text'],
])('refuses %s', (_, file, error) => {
  expect(() => readNpy(file)).toThrow(error);
});

test('any bytes are read or refused, never crash', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom('<f4', '>u2', '|S2', '<U1', 'x'), (junk, descr) => {
      for (const file of [junk, npy(head(descr, '(2, 3)'), junk), npy(Buffer.from(junk).toString('latin1'), junk)]) {
        try {
          readNpy(file);
        } catch (error) {
          expect((error as Error).name).toBe('TensorEncodingError');
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('numbers fit datatypes that have room for them', () => {
  const array = (datatype: Datatype, data: Tensor['data']): Parameters<typeof castNpy>[0] => ({
    datatype,
    shape: [data.length],
    data,
  });
  expect(castNpy(array('FP64', Float64Array.of(0.1, 1e300)), 'FP32')).toEqual(Float32Array.of(0.1, Infinity));
  expect(castNpy(array('INT64', BigInt64Array.of(-1n)), 'FP32')).toEqual(Float32Array.of(-1));
  expect(castNpy(array('FP16', Uint16Array.of(0x3e00)), 'FP32')).toEqual(Float32Array.of(1.5));
  expect(castNpy(array('FP32', Float32Array.of(1.5)), 'FP16')).toEqual(Uint16Array.of(0x3e00));
  expect(castNpy(array('INT32', Int32Array.of(7)), 'INT64')).toEqual(BigInt64Array.of(7n));
  expect(() => castNpy(array('INT64', BigInt64Array.of(1n, 256n)), 'UINT8')).toThrow(
    'UINT8 has no room for element 1, 256',
  );
  expect(() => castNpy(array('INT8', Int8Array.of(-1)), 'UINT64')).toThrow('UINT64 has no room for element 0, -1');
  expect(() => castNpy(array('FP32', Float32Array.of(1)), 'INT64')).toThrow('NPY must hold INT64, got FP32');
  expect(() => castNpy(array('BYTES', ['a']), 'FP32')).toThrow('NPY must hold FP32, got BYTES');
});

test('NumPy reads what is written and writes what is read', (ctx) => {
  const probe = spawnSync('python3', ['-c', 'import numpy'], { timeout: 20_000 });
  if (probe.status !== 0) ctx.skip('python3 with numpy is not installed');
  const script = [
    'import io, sys, numpy as n',
    'a = n.load(io.BytesIO(sys.stdin.buffer.read()))',
    'b = n.asfortranarray(a.astype(">f4"))',
    'n.save(sys.stdout.buffer, b)',
  ].join('\n');
  const data = Float64Array.of(1.5, -2, 3, 4, 5, 6);
  const input = Buffer.concat(writeNpy({ datatype: 'FP64', shape: [2, 3], data }));
  const { stdout, stderr } = spawnSync('python3', ['-c', script], { input, timeout: 20_000 });
  expect(stderr.toString()).toBe('');
  expect(readNpy(stdout)).toEqual({ datatype: 'FP32', shape: [2, 3], data: Float32Array.from(data) });
});
