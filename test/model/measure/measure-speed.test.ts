import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { compareSpeed, measureSpeed, type BatchSpeed } from '../../../runtime/model/measure/measure-speed';
import { openModelFile } from '../../../runtime/model/measure/open-model-file';
import { median, percentile } from '../../../runtime/model/measure/percentile';
import { restingModel } from '../../../runtime/model/measure/resting-model';
import { cycleRows, runRows, type RunnableModel } from '../../../runtime/model/measure/runnable-model';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import type { Tensor } from '../../../runtime/onnx/tensor-encoding';
import { PublishError } from '../../../runtime/model/publish-error';
import { addOneModel, matmulModel } from '../../support/onnx-models';
import { temporaryFolder } from '../../server/harness/model-repository';
import { toolError, writeData } from '../data/support';

async function open(bytes: Uint8Array): Promise<RunnableModel> {
  const file = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(file, bytes);
  const model = await openModelFile(file, readOnnxModel(file).facts, { threads: 1 });
  onTestFinished(() => model.close());
  return model;
}

function rows(values: readonly (readonly number[])[], name = 'input'): Tensor {
  return { name, datatype: 'FP32', shape: [values.length, values[0]!.length], data: Float32Array.from(values.flat()) };
}

test('an open model answers again and again', async () => {
  const model = await open(addOneModel());
  for (const value of [1, 2]) {
    const [output] = await model.run([rows([[value, value, value, value]])]);
    expect(output).toMatchObject({ name: 'output', shape: [1, 4] });
    expect(Array.from(output!.data as Float32Array)).toEqual(new Array(4).fill(value + 1));
  }
});

test('a model with fixed rows takes fewer: the rest is filled up and cut off again', async () => {
  const model = await open(addOneModel({ shape: [3, 2] }));
  const [output] = await runRows(model, [rows([[1, 2]])]);
  expect(output).toMatchObject({ shape: [1, 2], data: Float32Array.of(2, 3) });
});

test('rows are repeated from the first on to fill a batch', () => {
  expect(cycleRows(rows([[1], [2], [3]]), 7)).toMatchObject({
    shape: [7, 1],
    data: Float32Array.of(1, 2, 3, 1, 2, 3, 1),
  });
  expect(cycleRows(rows([[1], [2], [3]]), 2)).toMatchObject({ shape: [2, 1], data: Float32Array.of(1, 2) });
});

test('rows that a model cannot take are refused in a sentence', async () => {
  const model = await open(matmulModel());
  const error = await toolError(model.run([rows([[1, 2]])]));
  expect(error.code).toBe('MODEL_RUN_FAILED');
  expect(error.message).not.toContain('\n');
});

test('what ONNX Runtime cannot load is refused', async () => {
  const file = writeData('model.onnx', 'no model');
  await expect(openModelFile(file, { inputs: [], outputs: [] })).rejects.toSatisfy(
    (error) => PublishError.is(error) && error.code === 'MODEL_NOT_LOADED',
  );
});

test('each batch size is timed, and the numbers follow from each other', async () => {
  const model = await open(addOneModel());
  const lines: string[] = [];
  const options = {
    batchSizes: [4, 1],
    rounds: 3,
    minRuns: 12,
    seconds: 0,
    onProgress: (line: string) => lines.push(line),
  };
  const [speeds] = await measureSpeed([{ name: 'm', model, rows: [rows([[1, 2, 3, 4]])] }], options);
  expect(speeds!.map(({ batchSize, runs }) => [batchSize, runs])).toEqual([
    [1, 12],
    [4, 12],
  ]);
  for (const { batchSize, p50Ms, p90Ms, p99Ms, rowsPerSecond, spread, roundMediansMs } of speeds!) {
    expect(p50Ms).toBeGreaterThan(0);
    expect(p90Ms).toBeLessThanOrEqual(p99Ms);
    expect(rowsPerSecond).toBeCloseTo((batchSize * 1_000) / p50Ms);
    expect(roundMediansMs).toHaveLength(3);
    expect(spread).toBeCloseTo((Math.max(...roundMediansMs) - Math.min(...roundMediansMs)) / p50Ms);
  }
  expect(lines).toEqual([
    'speed with 1 row: round 1 of 3',
    'speed with 1 row: round 2 of 3',
    'speed with 1 row: round 3 of 3',
    'speed with 4 rows: round 1 of 3',
    'speed with 4 rows: round 2 of 3',
    'speed with 4 rows: round 3 of 3',
  ]);
});

test('models take turns, another one first in each round', async () => {
  const turns: string[] = [];
  const named = (name: string, model: RunnableModel): RunnableModel => ({
    ...model,
    run: (inputs) => {
      turns.push(name);
      return model.run(inputs);
    },
  });
  const model = await open(addOneModel());
  const input = [rows([[1, 2, 3, 4]])];
  await measureSpeed(
    [
      { name: 'a', model: named('a', model), rows: input },
      { name: 'b', model: named('b', model), rows: input },
    ],
    { batchSizes: [1], rounds: 2, minRuns: 4, seconds: 0 },
  );
  expect(turns.join('')).toBe('aaabbb' + 'aabb' + 'bbaa');
});

test('a model with fixed rows is measured with those alone', async () => {
  const model = await open(addOneModel({ shape: [3, 2] }));
  const [speeds] = await measureSpeed([{ name: 'm', model, rows: [rows([[1, 2]])] }], { minRuns: 5, seconds: 0 });
  expect(speeds!.map(({ batchSize }) => batchSize)).toEqual([3]);
});

test('measuring stops when it is told to', async () => {
  const model = await open(addOneModel());
  await expect(
    measureSpeed([{ name: 'm', model, rows: [rows([[1, 2, 3, 4]])] }], {
      signal: AbortSignal.abort(new Error('enough')),
    }),
  ).rejects.toThrow('enough');
});

test('a difference is sure only where every round agrees', () => {
  const speed = (roundMediansMs: readonly number[]): BatchSpeed => ({
    batchSize: 1,
    runs: 0,
    p50Ms: 0,
    p90Ms: 0,
    p99Ms: 0,
    rowsPerSecond: 0,
    spread: 0,
    roundMediansMs,
  });
  expect(compareSpeed([speed([1, 2, 1])], [speed([2, 4, 3])])).toEqual([
    { batchSize: 1, ratio: 2, least: 2, most: 3, isSure: true },
  ]);
  expect(compareSpeed([speed([1, 2, 2])], [speed([2, 2, 1])])[0]).toMatchObject({
    ratio: 1,
    least: 0.5,
    most: 2,
    isSure: false,
  });
});

test('percentiles are values that were there, and the median is in the middle', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  expect([0.5, 0.9, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 90, 99, 100]);
  expect(percentile([7], 0.99)).toBe(7);
  expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
});

test('models that rest between their turns are open one at a time, and their first run is not timed', async () => {
  const file = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(file, addOneModel());
  let [open, most, opened] = [0, 0, 0];
  const measured = ['a', 'b', 'c'].map((name) => {
    const model = restingModel(file, readOnnxModel(file).facts, { threads: 1 });
    let isOpen = false;
    const run: RunnableModel['run'] = (inputs) => {
      if (!isOpen) [open, opened, isOpen] = [open + 1, opened + 1, true];
      most = Math.max(most, open);
      return model.run(inputs);
    };
    const rest = async (): Promise<void> => {
      await model.rest();
      [open, isOpen] = [open - 1, false];
    };
    return { name, model: { ...model, run }, rows: [rows([[1, 2, 3, 4]])], rest };
  });
  const speeds = await measureSpeed(measured, { batchSizes: [1], rounds: 2, minRuns: 4, seconds: 0 });
  expect({ open, most, opened }).toEqual({ open: 0, most: 1, opened: 6 });
  expect(speeds.map(([speed]) => speed!.runs)).toEqual([4, 4, 4]);
});
