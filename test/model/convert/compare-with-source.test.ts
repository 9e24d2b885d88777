import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { assertFaithful, compareWithSource } from '../../../runtime/model/convert/compare-with-source';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { temporaryFolder } from '../../server/harness/model-repository';
import { buildModel, int64Tensor, node, value } from '../../support/onnx-models';
import { floats, npy, type Array_ } from '../data/support';

/** Adds nothing; with `frozen` it puts every batch into two rows on its way. */
function model({ frozen = false } = {}): string {
  const shape = int64Tensor('shape', [2], frozen ? [2n, 3n] : [-1n, 3n]);
  const file = path.join(temporaryFolder(), 'model.onnx');
  const graph = {
    input: [value('x', 'FP32', ['batch', 3])],
    output: [value('y', 'FP32', ['batch', 3])],
    initializer: [shape],
    node: [node('Reshape', ['x', 'shape'], ['y'])],
  };
  writeFileSync(file, buildModel(graph));
  return file;
}

function answered(rows: number, change: (value: number) => number, outputShape = [rows, 3]) {
  const folder = temporaryFolder();
  const data = Array.from({ length: rows * 3 }, (_, i) => i + 1);
  const save = (name: string, array: Array_) => {
    writeFileSync(path.join(folder, name), npy(array));
    return path.join(folder, name);
  };
  return {
    inputs: [{ name: 'x', file: save('x.npy', floats([rows, 3], data)) }],
    outputs: [{ name: 'any', file: save('y.npy', floats(outputShape, data.map(change))) }],
  };
}

const signature = [{ name: 'x', datatype: 'float32', shape: ['batch', 3], sizes: {} }];

async function compare(file: string, ...cases: readonly ReturnType<typeof answered>[]) {
  return compareWithSource(file, readOnnxModel(file).facts, signature, cases);
}

test('a graph that answers as its source is told by the largest difference', async () => {
  const file = model();
  const { comparison, cases } = await compare(
    file,
    answered(2, (x) => x),
    answered(1, (x) => x * 1.001),
  );
  expect(cases).toMatchObject([{ batch: 2, maxRelative: 0 }, { batch: 1 }]);
  expect(comparison.rows).toBe(3);
  expect(comparison.maxRelative).toBeCloseTo(0.001, 5);
  expect(() => assertFaithful(file, comparison, cases, 0.01)).not.toThrow();
  expect(() => assertFaithful(file, comparison, cases, 0.0001)).toThrow(
    /^CONVERSION_DIFFERS .*: output 'y' differs from the source by up to 0\.\d+ % of its largest element, and --tolerance allows 0\.01 %; nothing was written$/,
  );
});

test('a batch that is frozen in the graph is found, and named', async () => {
  const file = model({ frozen: true });
  const { comparison, cases } = await compare(
    file,
    answered(2, (x) => x),
    answered(1, (x) => x),
  );
  expect(() => assertFaithful(file, comparison, cases, 0.01)).toThrow(
    'the graph answers batches of 2 and not of 1, so a size is frozen in it',
  );
});

test('dimensions of size 1 are no difference, other shapes are', async () => {
  const file = model();
  const same = await compare(
    file,
    answered(2, (x) => x, [2, 1, 3]),
  );
  expect(same.comparison.maxRelative).toBe(0);
  const other = await compare(
    file,
    answered(2, (x) => x, [3, 2]),
  );
  expect(other.comparison.maxRelative).toBe(Infinity);
});

test('numbers that are none are not taken for equal to others', async () => {
  const file = model();
  const { comparison, cases } = await compare(
    file,
    answered(2, () => NaN),
  );
  expect(() => assertFaithful(file, comparison, cases, 1e9)).toThrow(
    "output 'y' has another shape than the source's, or numbers where the source has none, or the reverse",
  );
});

test('another number of outputs than the source has is refused', async () => {
  const { inputs } = answered(1, (x) => x);
  await expect(compare(model(), { inputs, outputs: [] })).rejects.toThrow(
    'the source gives 0 tensors, and the graph has 1 outputs: y',
  );
});
