import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';
import { RunError, RunTakenBack, type Executor, type StartExecutor } from '../../runtime/server/executor';
import { startNativeExecutor } from '../../runtime/server/native/native-executor';
import { startWorkerExecutor } from '../../runtime/server/worker-executor';
import { slowModel } from '../support/onnx-models';
import { temporaryFolder } from './harness/model-repository';
import { bundleServer } from './harness/server-bundle';
import { until } from './harness/until';

const KINDS: Readonly<Record<string, (url: URL) => StartExecutor>> = {
  worker: (url) => (options) => startWorkerExecutor(url, options),
  native: (url) => (options) => startNativeExecutor(url, options),
};
const ENDLESS = 2n ** 40n;
/** A third of a second or more. */
const LONG = 3_000n;

async function start(kind: string): Promise<Executor> {
  const modelPath = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(modelPath, slowModel());
  const executor = await KINDS[kind]!(await bundleServer())({
    modelPath,
    executionProvider: 'cpu',
    intraOpThreads: 1,
  });
  onTestFinished(() => executor.close());
  return executor;
}

function iterations(count: bigint): readonly Tensor[] {
  return [{ name: 'iterations', datatype: 'INT64', shape: [1, 1], data: BigInt64Array.of(count) }];
}

async function answer(run: ReturnType<Executor['run']>): Promise<unknown> {
  return (await run).outputs[0]!.data;
}

/** Until the thread has begun the first run: before that, nothing behind it can be taken back. */
async function begun(executor: Executor): Promise<void> {
  const behind = executor.run(iterations(1n)).catch((error: Error) => error);
  await until('what is behind the first run can be taken back', () => executor.takeBack!());
  expect(await behind).toBeInstanceOf(RunTakenBack);
}

for (const kind of Object.keys(KINDS)) {
  test(`a ${kind} executor takes one run ahead and gives each its own answer, in order`, async () => {
    const executor = await start(kind);
    expect(executor.takesAhead).toBe(false);
    const order: number[] = [];
    const first = executor.run(iterations(LONG));
    expect(executor.takesAhead).toBe(true);
    const second = executor.run(iterations(3n));
    expect(executor.takesAhead).toBe(false);
    expect(() => executor.run(iterations(1n))).toThrow('takes one ahead');
    void first.then(() => order.push(1));
    void second.then(() => order.push(2));
    expect(await answer(second)).toEqual(BigInt64Array.of(3n));
    expect(await answer(first)).toEqual(BigInt64Array.of(LONG));
    expect(order).toEqual([1, 2]);
    // The time of a run that had to wait is its own all the same.
    expect((await second).seconds).toBeLessThan((await first).seconds);
    expect(executor.runningSince).toBeUndefined();
  });

  test(`what a ${kind} executor has ahead can be taken back, and the next run takes its place`, async () => {
    const executor = await start(kind);
    const first = executor.run(iterations(LONG));
    await begun(executor);
    const ahead = executor.run(iterations(7n)).catch((error: Error) => error);
    expect(executor.takeBack!()).toBe(true);
    expect(await ahead).toBeInstanceOf(RunTakenBack);
    const another = executor.run(iterations(5n));
    expect(await answer(first)).toEqual(BigInt64Array.of(LONG));
    expect(await answer(another)).toEqual(BigInt64Array.of(5n));
    expect(executor.takeBack!()).toBe(true);
    expect(await answer(executor.run(iterations(2n)))).toEqual(BigInt64Array.of(2n));
  });
}

test('interrupting a run takes back what is ahead of it and touches no later one', async () => {
  const executor = await start('native');
  for (let i = 0; i < 3; i++) {
    const endless = executor.run(iterations(ENDLESS)).catch((error: Error) => error);
    await begun(executor);
    const ahead = executor.run(iterations(7n)).catch((error: Error) => error);
    executor.interrupt!();
    expect(executor.takesAhead).toBe(false);
    expect(await ahead).toBeInstanceOf(RunTakenBack);
    expect(await endless).toEqual(new RunError('interrupted'));
    expect(await answer(executor.run(iterations(7n)))).toEqual(BigInt64Array.of(7n));
  }
});

test('closing takes back what is ahead and waits for the run', async () => {
  const executor = await start('worker');
  const first = executor.run(iterations(LONG));
  await begun(executor);
  const ahead = executor.run(iterations(7n)).catch((error: Error) => error);
  await executor.close();
  expect(await ahead).toBeInstanceOf(RunTakenBack);
  expect(await answer(first)).toEqual(BigInt64Array.of(LONG));
});
