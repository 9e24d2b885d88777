import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';
import type { Executor, StartExecutor } from '../../runtime/server/executor';
import { startNativeExecutor } from '../../runtime/server/native/native-executor';
import { startWorkerExecutor } from '../../runtime/server/worker-executor';
import { addOneModel } from '../support/onnx-models';
import { temporaryFolder } from './harness/model-repository';
import { bundleServer } from './harness/server-bundle';

const KINDS: Readonly<Record<string, (workerUrl: URL) => StartExecutor>> = {
  native: (workerUrl) => (options) => startNativeExecutor(workerUrl, options),
  worker: (workerUrl) => (options) => startWorkerExecutor(workerUrl, options),
};

const MIB = 2 ** 20;

async function starter(kind: string): Promise<() => Promise<Executor>> {
  const modelPath = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(modelPath, addOneModel());
  const start = KINDS[kind]!(await bundleServer());
  return () => start({ modelPath, executionProvider: 'cpu', intraOpThreads: 1 });
}

const input = (shape: readonly number[]): Tensor[] => [
  { name: 'input', datatype: 'FP32', shape, data: new Float32Array(shape.reduce((count, size) => count * size, 1)) },
];

test.each(Object.keys(KINDS))(
  'a hundred thousand runs of a %s executor, good and failing, leave memory as it was',
  async (kind) => {
    const executor = await (await starter(kind))();
    const run = async (runs: number): Promise<void> => {
      for (let i = 0; i < runs; i++) {
        await executor.run(input([1, 4]));
        if (i % 10 === 0) await executor.run(input([1, 5, 1])).catch(() => {});
      }
    };
    await run(20_000);
    const before = process.memoryUsage.rss();
    await run(100_000);
    expect((process.memoryUsage.rss() - before) / MIB).toBeLessThan(16);
    await executor.close();
  },
  300_000,
);

test.each(Object.keys(KINDS))(
  'two hundred %s executors that start and end leave less than a quarter of a megabyte each',
  async (kind) => {
    const start = await starter(kind);
    const cycle = async (executors: number): Promise<void> => {
      for (let i = 0; i < executors; i++) {
        const executor = await start();
        expect((await executor.run(input([1, 4]))).outputs[0]!.data).toEqual(Float32Array.of(1, 1, 1, 1));
        await executor.close();
      }
    };
    await cycle(20);
    const before = process.memoryUsage.rss();
    await cycle(200);
    expect((process.memoryUsage.rss() - before) / MIB).toBeLessThan(50);
  },
  300_000,
);
