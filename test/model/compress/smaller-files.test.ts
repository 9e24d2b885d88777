import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { clusterModel } from '../../../runtime/model/compress/cluster-model';
import { findClusters } from '../../../runtime/model/compress/find-clusters';
import { sparsifyModel } from '../../../runtime/model/compress/sparsify-model';
import { generateGoldenInput } from '../../../runtime/model/golden-input';
import { runModel } from '../../../runtime/model/run-model';
import { decodeModel } from '../../../runtime/onnx/decode-model';
import { readEditableModel } from '../../../runtime/onnx/edit/editable-model';
import { placesOfByte, storeShared } from '../../../runtime/onnx/edit/shared-values';
import { storeSparse } from '../../../runtime/onnx/edit/sparse-initializers';
import { writeModel } from '../../../runtime/onnx/edit/write-model';
import { TensorProto_DataType as Type } from '../../../runtime/onnx/generated/onnx-ml_pb';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { buildModel, floatTensor, node, value, type TensorInit } from '../../support/onnx-models';
import { emptyFolder, written } from '../../support/written-files';

const DIGITS = 'models/digits/model.onnx';

async function outputsOf(path: string) {
  const { facts } = readOnnxModel(path);
  const [result] = await runModel(path, generateGoldenInput(facts), facts.outputs, 1);
  return result!.map(({ data }) => [...(data as Float32Array)]);
}

/** What ONNX Runtime makes of a model when it loads it. */
async function loadedNodes(path: string): Promise<readonly string[]> {
  const optimized = join(emptyFolder(), 'optimized.onnx');
  const session = await InferenceSession.create(path, {
    optimizedModelFilePath: optimized,
    graphOptimizationLevel: 'basic',
  });
  await session.release();
  return decodeModel(readFileSync(optimized), optimized).graph.node.map(({ opType }) => opType);
}

/** `output = input × weight` in any type, behind a Cast. */
function product(weight: TensorInit, irVersion = 8n, inputs = 16): string {
  return written(
    buildModel(
      {
        node: [
          node('Cast', ['weight'], ['wide'], [{ name: 'to', type: 2, i: 1n }]),
          node('MatMul', ['input', 'wide'], ['output']),
        ],
        input: [
          value('input', 'FP32', ['batch', inputs]),
          ...(irVersion < 4n ? [value('weight', 'FP32', [inputs, 16])] : []),
        ],
        output: [value('output', 'FP32', ['batch', 16])],
        initializer: [{ ...weight, name: 'weight' }],
      },
      { irVersion },
    ),
  );
}

const few = Array.from({ length: 256 }, (_, i) => (i % 9 === 4 ? Math.cos(i) : 0));

describe('weights without their zeros', () => {
  test.each<[string, TensorInit, bigint]>([
    ['FP32', floatTensor('', [16, 16], few), 8n],
    ['FP32 of an old file, whose weights are inputs', floatTensor('', [16, 16], few), 3n],
    ['FP32 in its own field', { dims: [16n, 16n], dataType: Type.FLOAT, floatData: few }, 8n],
    ['FP64', { dims: [16n, 16n], dataType: Type.DOUBLE, doubleData: few }, 8n],
    ['INT32', { dims: [16n, 16n], dataType: Type.INT32, int32Data: few.map((each) => Math.round(each * 9)) }, 8n],
    ['nothing but zeros', floatTensor('', [16, 16], new Array<number>(256).fill(0)), 8n],
  ])('give the same bits from a smaller file: %s', async (_, weight, irVersion) => {
    const source = product(weight, irVersion);
    const output = join(emptyFolder(), 'sparse.onnx');
    const report = await sparsifyModel({ source, output, count: 2 });
    expect(report.comparison.maxAbsolute).toBe(0);
    expect(report.after.bytes).toBeLessThan(report.before.bytes);
    expect(readEditableModel(output).proto.graph.sparseInitializer).toHaveLength(1);
    expect(await outputsOf(output)).toEqual(await outputsOf(source));
  });

  test('are stored as they are where that is smaller, and where a zero has a sign', () => {
    const half = few.map((each, i) => (i % 2 === 0 ? 1 : each));
    for (const values of [half, few.map((each) => (each === 0 ? -0 : each))]) {
      const model = readEditableModel(product(floatTensor('', [16, 16], values)));
      expect(storeSparse(model)).toEqual([]);
      expect(model.proto.graph.initializer).toHaveLength(1);
    }
  });

  test('are refused where there are none to speak of', async () => {
    const output = join(emptyFolder(), 'sparse.onnx');
    await expect(sparsifyModel({ source: DIGITS, output })).rejects.toThrow(
      `NOTHING_TO_CHANGE ${DIGITS}: has no weight with enough zeros`,
    );
  });
});

describe('few values that stand for many', () => {
  const numbers = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 }), {
    minLength: 1,
    maxLength: 200,
  });

  test('are the nearest to each number, and never more than asked for', () => {
    fc.assert(
      fc.property(numbers, fc.integer({ min: 2, max: 20 }), (given, count) => {
        const { values, places } = findClusters(given, count);
        expect(values.length).toBeLessThanOrEqual(count);
        given.forEach((number, i) => {
          const chosen = Math.abs(number - values[places[i]!]!);
          expect(chosen).toBeLessThanOrEqual(
            Math.min(...values.map((each) => Math.abs(number - each))) * (1 + 1e-12) + (number === 0 ? 0 : 1e-12),
          );
          if (number === 0) expect(values[places[i]!]).toBe(0);
        });
      }),
    );
  });

  test('are the numbers themselves where there are no more', () => {
    const given = [3, 1, 2, 1, 3, -7.5];
    const { values, places } = findClusters(given, 4);
    expect([...places].map((place) => values[place])).toEqual(given);
  });

  test('suit normal weights better than values that lie evenly', () => {
    const normal = Array.from(
      { length: 5_000 },
      (_, i) => Math.sqrt(-2 * Math.log((i + 1) / 5_001)) * Math.cos(i * 2.399),
    );
    const error = (values: ArrayLike<number>, place: (i: number) => number) =>
      normal.reduce((sum, number, i) => sum + (number - values[place(i)]!) ** 2, 0) / normal.length;
    const { values, places } = findClusters(normal, 16);
    const [low, high] = [Math.min(...normal), Math.max(...normal)];
    const evenly = Array.from({ length: 16 }, (_, i) => low + ((i + 0.5) / 16) * (high - low));
    const even = error(evenly, (i) => Math.min(15, Math.floor(((normal[i]! - low) / (high - low)) * 16)));
    expect(error(values, (i) => places[i]!)).toBeLessThan(even * 0.7);
  });
});

describe('weights as few values and places', () => {
  test.each([2, 3, 4, 5, 16, 17, 256])(
    'of %i values are what they stand for, whatever opset and type',
    async (count) => {
      const values = Float64Array.from({ length: count }, (_, i) => (i - count / 2) / 8);
      const places = Uint8Array.from({ length: 256 }, (_, i) => (i * 37) % count);
      const dense = Array.from(places, (place) => values[place]!);
      for (const irVersion of [3n, 8n]) {
        const model = readEditableModel(product(floatTensor('', [16, 16], dense), irVersion));
        const expected = await outputsOf(model.path);
        const bytes = storeShared(model, { name: 'weight', dataType: Type.FLOAT, dims: [16, 16], values, places });
        const path = join(emptyFolder(), 'shared.onnx');
        writeModel(model, path);
        expect(await outputsOf(path)).toEqual(expected);
        const each = placesOfByte(count);
        expect(bytes).toBe(256 / each + (each === 1 ? count : 256 * each) * 4);
        expect(await loadedNodes(path)).toEqual(['MatMul']);
      }
    },
  );

  test('take a byte each where a row of them does not fill bytes', () => {
    const model = readEditableModel(product(floatTensor('', [3, 16], few.slice(0, 48)), 8n, 3));
    const odd = {
      name: 'weight',
      dataType: Type.FLOAT,
      dims: [3, 5],
      values: Float64Array.of(1, 2),
      places: new Uint8Array(15),
    };
    expect(storeShared(model, odd)).toBe(15 + 8);
  });

  test.each([
    [256, 0.35, 0.03],
    [16, 0.25, 0.1],
  ])(
    'of %i values make a trained network smaller, below %d of its size, and nearly the same',
    async (clusters, size, error) => {
      const output = join(emptyFolder(), 'clustered.onnx');
      const report = await clusterModel({ source: DIGITS, output, clusters, tolerance: 0.1 });
      expect(report.after.bytes / report.before.bytes).toBeLessThan(size);
      expect(report.compressionPercent).toBeCloseTo((1 - report.after.bytes / report.before.bytes) * 100);
      expect(report.after.parameters).toBe(report.before.parameters);
      expect(report.comparison.maxRelative).toBeLessThan(error);
      expect(report.detail.left).toEqual([{ name: 'conv1.weight', reason: 'is too small to get smaller' }]);
      expect(await loadedNodes(output)).toEqual(await loadedNodes(DIGITS));
    },
  );

  test.each([1, 257, 2.5, NaN])('cannot be %d', async (clusters) => {
    const output = join(emptyFolder(), 'clustered.onnx');
    const work = Promise.resolve().then(() => clusterModel({ source: DIGITS, output, clusters }));
    await expect(work).rejects.toThrow(
      `OPTION_INVALID --clusters: must be a whole number from 2 to 256, got ${clusters}`,
    );
  });
});
