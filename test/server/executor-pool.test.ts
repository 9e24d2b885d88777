import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import type { Tensor } from '../../runtime/onnx/tensor-encoding';
import { ExecutorExit, RunError, type Executor, type StartExecutor } from '../../runtime/server/executor';
import { ExecutorPool, type ExecutorPoolOptions } from '../../runtime/server/executor-pool';
import { startNativeExecutor } from '../../runtime/server/native/native-executor';
import { startWorkerExecutor } from '../../runtime/server/worker-executor';
import { slowModel } from '../support/onnx-models';
import { temporaryFolder } from './harness/model-repository';
import { bundleServer } from './harness/server-bundle';
import { until } from './harness/until';

const DEADLY = -13n;

/** The real executor, in a thread that dies when a run's first number is `DEADLY`. */
async function mortalWorker(): Promise<URL> {
  const file = path.join(temporaryFolder(), 'mortal-worker.mjs');
  writeFileSync(
    file,
    `import { parentPort } from 'node:worker_threads';
     parentPort.on('message', ({ run }) => { if (run[0].data[0] === ${DEADLY}n) process.exit(3); });
     await import(${JSON.stringify((await bundleServer()).href)});`,
  );
  return pathToFileURL(file);
}

interface Pool {
  readonly pool: ExecutorPool;
  readonly log: { readonly msg: string; readonly restartInSeconds?: number }[];
}

async function openPool(
  startExecutor: StartExecutor,
  options: Partial<ExecutorPoolOptions> = {},
  startWith: (start: () => Promise<Executor>) => Promise<Executor> = (start) => start(),
): Promise<Pool> {
  const modelPath = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(modelPath, slowModel());
  const log: Pool['log'] = [];
  const pool = new ExecutorPool({
    size: 1,
    start: () => startWith(() => startExecutor({ modelPath, executionProvider: 'cpu', intraOpThreads: 1 })),
    log: pino({}, { write: (line) => log.push(JSON.parse(line) as Pool['log'][number]) }),
    onChange: () => {},
    ...options,
  });
  onTestFinished(() => pool.close());
  await pool.open();
  return { pool, log };
}

const iterations = (count: bigint): Tensor[] => [
  { name: 'iterations', datatype: 'INT64', shape: [1, 1], data: BigInt64Array.of(count) },
];

const ENDLESS = 2n ** 40n;

test('what an executor that is gone did not take can be given to another one, whole', async () => {
  const workerUrl = await mortalWorker();
  const { pool } = await openPool((options) => startWorkerExecutor(workerUrl, options));
  const executor = pool.take()!;
  const lost = await executor.run(iterations(DEADLY)).catch((error: Error) => error);
  expect(lost).toMatchObject({ name: 'ExecutorExit', hadBegun: true });
  const inputs = iterations(1n);
  const refused = await executor.run(inputs).catch((error: Error) => error);
  expect(refused).toBeInstanceOf(ExecutorExit);
  expect(refused).toMatchObject({ hadBegun: false });
  expect(inputs[0]!.data).toHaveLength(1);
});

test('an executor that dies again and again is restarted after longer and longer pauses, until it runs', async () => {
  const workerUrl = await mortalWorker();
  const { pool, log } = await openPool((options) => startWorkerExecutor(workerUrl, options));
  for (let i = 0; i < 2; i++) {
    await pool
      .take()!
      .run(iterations(DEADLY))
      .catch(() => {});
    await until('the executor is gone', () => pool.liveCount === 0);
    await until('the executor is back', () => pool.liveCount === 1);
  }
  const pauses = log.filter(({ msg }) => msg === 'executor lost').map(({ restartInSeconds }) => restartInSeconds);
  expect(pauses).toEqual([0.5, 1]);
  const executor = pool.take()!;
  await executor.run(iterations(1n));
  pool.giveBack(executor);
  await pool
    .take()!
    .run(iterations(DEADLY))
    .catch(() => {});
  await until('the pause is short again', () => log.at(-1)?.restartInSeconds === 0.5);
});

test('a restart that does not end counts as stuck, and is not tried a second time', async () => {
  const workerUrl = await mortalWorker();
  let starts = 0;
  let letGo = (): void => {};
  const { pool, log } = await openPool(
    (options) => startWorkerExecutor(workerUrl, options),
    { minRestartDeadlineMs: 1 },
    async (start) => {
      starts += 1;
      if (starts === 2) await new Promise<void>((resolve) => (letGo = resolve));
      return start();
    },
  );
  expect(pool.longestRunSeconds()).toBe(0);
  await pool
    .take()!
    .run(iterations(DEADLY))
    .catch(() => {});
  await until('the restart is stuck', () => pool.longestRunSeconds() > 0);
  expect(pool.lastFailure).toMatch(/^executor does not start again, waited \d+ s$/);
  expect(pool.isIdle).toBe(false);
  expect(log.filter(({ msg }) => msg === 'executor stuck')).toHaveLength(1);
  letGo();
  await until('the executor is back', () => pool.liveCount === 1);
  expect(starts).toBe(2);
  expect(pool.longestRunSeconds()).toBe(0);
  expect(pool.lastFailure).toBeUndefined();
});

test('a pool of native executors is closed while they run, and takes nothing more', async () => {
  const workerUrl = await bundleServer();
  const { pool } = await openPool((options) => startNativeExecutor(workerUrl, options), { size: 2 });
  const executors = [pool.take()!, pool.take()!];
  const ended = Promise.all(
    executors.map((executor) => executor.run(iterations(ENDLESS)).catch((error: Error) => error)),
  );
  const closed = pool.close();
  expect(await ended).toEqual([new RunError('interrupted'), new RunError('interrupted')]);
  expect(await executors[0]!.run(iterations(1n)).catch((error: Error) => error)).toMatchObject({ hadBegun: false });
  await closed;
});
