import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readModelOutline } from '../../runtime/onnx/read-model-outline';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { readSkeleton } from '../../runtime/onnx/read-skeleton';
import { addOneModel, lookupModel, matmulModel, slowModel, twoInputsModel } from '../support/onnx-models';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-outline-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, `${name}.onnx`);
  writeFileSync(path, bytes);
  return path;
}

test.each([
  ['add', addOneModel()],
  ['matmul', matmulModel()],
  ['large', matmulModel({ inputs: 512, outputs: 300 })],
  ['two inputs', twoInputsModel()],
  ['a loop with a subgraph and weights', slowModel()],
  ['lookup', lookupModel()],
])('the outline of %s says what the whole file says', (name, bytes) => {
  const path = write(name, bytes);
  const { facts } = readOnnxModel(path);
  const outline = readModelOutline(path);
  const shown = ({ name: tensor, datatype, shape }: (typeof outline.inputs)[number]) => ({
    name: tensor,
    datatype,
    shape,
  });
  expect(outline.inputs.map(shown)).toEqual(facts.inputs);
  expect(outline.outputs.map(shown)).toEqual(facts.outputs);
  expect(outline).toMatchObject({
    opsets: facts.opsets,
    operators: facts.operators,
    weightBytes: facts.weightBytes,
    externalFiles: 0,
  });
});

test('weights are left out of what is decoded', () => {
  const bytes = matmulModel({ inputs: 1024, outputs: 1024 });
  expect(bytes.byteLength).toBeGreaterThan(4_000_000);
  expect(readSkeleton(write('weights', bytes)).byteLength).toBeLessThan(1_000);
});

test('a file that is cut off anywhere is refused or read, and never hangs', () => {
  const bytes = matmulModel({ inputs: 64, outputs: 64 });
  for (let length = 0; length < bytes.byteLength; length += 97) {
    const path = write('cut', bytes.subarray(0, length));
    expect(() => readModelOutline(path)).toThrow(/^(NOT_ONNX|TRUNCATED|MALFORMED) /);
  }
});

test('random bytes are refused with a named error', () => {
  let state = 12_345;
  for (let round = 0; round < 300; round++) {
    const bytes = Uint8Array.from({ length: 200 }, () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) >>> 16);
    expect(() => readModelOutline(write('noise', bytes))).toThrow(/^(NOT_ONNX|TRUNCATED|MALFORMED) /);
  }
});
