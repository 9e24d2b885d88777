import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';
import { runModel } from '../../runtime/model/run-model';

const MODEL = 'models/digits/model.onnx';
const heldout = JSON.parse(readFileSync('models/digits/heldout.json', 'utf8')) as {
  labels: number[];
  images: number[][];
};

function batch(images: readonly number[][]): Tensor {
  return {
    name: 'image',
    datatype: 'FP32',
    shape: [images.length, 1, 8, 8],
    data: Float32Array.from(images.flat()),
  };
}

async function probabilities(images: readonly number[][]): Promise<Float32Array> {
  const [outputs] = await runModel(MODEL, [batch(images)], readOnnxModel(MODEL).facts.outputs, 1);
  return outputs![0]!.data as Float32Array;
}

test('the sample model reads at least 97 % of 400 handwritten digits that it never saw', async () => {
  expect(heldout.images).toHaveLength(400);
  const all = await probabilities(heldout.images);
  const right = heldout.labels.filter((label, i) => {
    const row = all.subarray(i * 10, i * 10 + 10);
    return row.indexOf(Math.max(...row)) === label;
  });
  expect(right.length / heldout.labels.length).toBeGreaterThanOrEqual(0.97);
});

test('every digit is among the held-out ones, and all pixels are from 0 to 16', () => {
  expect(new Set(heldout.labels).size).toBe(10);
  for (const image of heldout.images) {
    expect(image).toHaveLength(64);
    expect(image.every((pixel) => Number.isInteger(pixel) && pixel >= 0 && pixel <= 16)).toBe(true);
  }
});

test('a digit gets the same probabilities alone and in a batch', async () => {
  const images = heldout.images.slice(0, 32);
  const together = await probabilities(images);
  for (const [i, image] of images.entries()) {
    const alone = await probabilities([image]);
    alone.forEach((p, k) => expect(p).toBeCloseTo(together[i * 10 + k]!, 6));
  }
});
