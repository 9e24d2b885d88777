import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJsonText } from '../../runtime/onnx/json-text';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';
import { tensorDataFromJson } from '../../runtime/onnx/tensor-json';
import { writeElements } from '../../runtime/onnx/write-tensor-json';
import type { Datatype } from '../../runtime/spec/datatypes';

test.each<[Datatype, Tensor['data'], string]>([
  ['FP32', Float32Array.of(0.5, -0, 0, NaN, Infinity, -Infinity), '0.5,-0,0,NaN,Infinity,-Infinity'],
  ['FP32', Float32Array.of(0.1), '0.10000000149011612'],
  ['FP64', Float64Array.of(-0, 0.1, 1e300), '-0,0.1,1e+300'],
  ['FP16', Uint16Array.of(0x8000, 0x3800, 0x7c00), '-0,0.5,Infinity'],
  ['INT64', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n), '-9223372036854775808,9223372036854775807'],
  ['UINT64', BigUint64Array.of(2n ** 64n - 1n), '18446744073709551615'],
  ['BOOL', Uint8Array.of(0, 1), 'false,true'],
  ['BYTES', ['a"', 'é\n'], '"a\\"","é\\n"'],
  ['INT8', new Int8Array(), ''],
])('writes %s', (datatype, data, text) => {
  expect(writeElements({ datatype, data })).toBe(text);
});

test('what is written is read back bit by bit, the sign of zero and what is not finite among it', () => {
  const patterns = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(patterns, fc.boolean(), (bits, hasZero) => {
      const floats = new Float32Array(Uint32Array.from(bits).buffer);
      if (hasZero) floats[0] = -0;
      // All patterns of NaN are one in JSON.
      const data = floats.map((value) => (Number.isNaN(value) ? NaN : value));
      const json = parseJsonText(`[${writeElements({ datatype: 'FP32', data })}]`);
      expect(tensorDataFromJson('FP32', [data.length], json)).toEqual(data);
      const wide = Float64Array.from(data);
      const wideJson = parseJsonText(`[${writeElements({ datatype: 'FP64', data: wide })}]`);
      expect(tensorDataFromJson('FP64', [wide.length], wideJson)).toEqual(wide);
    }),
  );
});
