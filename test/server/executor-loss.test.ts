import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { SessionError, type Executor } from '../../runtime/server/executor';
import { startWorkerExecutor } from '../../runtime/server/worker-executor';
import { addOneModel } from '../support/onnx-models';
import { plainRepository, temporaryFolder } from './harness/model-repository';
import { floats, startServer, type RunningServer } from './harness/running-server';
import { until } from './harness/until';
import { bundleServer } from './harness/server-bundle';

const DEADLY = -13;

/** The real executor, in a thread that dies when a run's first number is `DEADLY`. */
async function mortalWorker(): Promise<URL> {
  const file = path.join(temporaryFolder(), 'mortal-worker.mjs');
  writeFileSync(
    file,
    `import { parentPort } from 'node:worker_threads';
     parentPort.on('message', ({ run }) => { if (run[0].data[0] === ${DEADLY}) process.exit(3); });
     await import(${JSON.stringify((await bundleServer()).href)});`,
  );
  return pathToFileURL(file);
}

function ask({ infer }: RunningServer, number: number): ReturnType<RunningServer['infer']> {
  return infer('addone', floats('input', [1, 4], [number, 0, 0, 0]));
}

test('an executor that dies fails only what it ran, the replica is not ready until it is back, and then serves again', async () => {
  const server = await startServer(
    { modelRepository: plainRepository({ addone: addOneModel() }) },
    { workerUrl: await mortalWorker() },
  );
  expect((await ask(server, 1)).status).toBe(200);
  const lost = await ask(server, DEADLY);
  expect(lost).toMatchObject({
    status: 503,
    json: { error: "the executor of model 'addone' was lost while it ran this request" },
  });

  expect(await server.get('/readyz')).toMatchObject({
    status: 503,
    json: { reason: "model 'addone' version 1: executor stopped with exit code 3" },
  });
  expect((await server.get('/startupz')).status).toBe(200);
  expect((await server.get('/livez')).status).toBe(200);
  expect(await ask(server, 1)).toMatchObject({ status: 503 });

  await until('the replica is ready again', async () => (await server.get('/readyz')).status === 200);
  expect((await ask(server, 1)).json.outputs[0].data).toEqual([2, 1, 1, 1]);
  expect(server.log.filter(({ msg }) => msg === 'executor lost')).toHaveLength(1);
});

test('with two executors a replica stays ready when one dies, and the queue is served by the other', async () => {
  const server = await startServer(
    { modelRepository: plainRepository({ addone: addOneModel() }), executors: 2 },
    { workerUrl: await mortalWorker() },
  );
  const answers = await Promise.all([ask(server, DEADLY), wait(20).then(() => ask(server, 1))]);
  expect(answers.map(({ status }) => status)).toEqual([503, 200]);
  expect((await server.get('/readyz')).status).toBe(200);
});

test('a run whose inputs do not arrive ends the executor: it would be waited for in vain', async () => {
  const modelPath = path.join(plainRepository({ addone: addOneModel() }), 'addone', '1', 'model.onnx');
  const executor = await startWorkerExecutor(await bundleServer(), {
    modelPath,
    executionProvider: 'cpu',
    intraOpThreads: 1,
  });
  onTestFinished(() => executor.close());
  const input = { name: 'input', datatype: 'FP32', shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) } as const;
  expect((await executor.run([input])).outputs[0]!.data).toEqual(Float32Array.of(2, 3, 4, 5));
  expect(input.data, 'it was handed over').toHaveLength(0);
  await expect(executor.run([input])).rejects.toThrow('executor stopped');
});

test('when one executor of a model does not start, those that did are closed again', async () => {
  const workerUrl = await bundleServer();
  const started: Executor[] = [];
  const server = await startServer(
    { modelRepository: plainRepository({ addone: addOneModel() }), executors: 2 },
    {
      startExecutor: async (options) => {
        if (started.length === 1) throw new SessionError('no memory for another session');
        const executor = await startWorkerExecutor(workerUrl, options);
        started.push(executor);
        return executor;
      },
    },
  );
  expect((await server.get('/readyz')).json.reason).toBe("model 'addone' version 1: no memory for another session");
  await expect(started[0]!.run([])).rejects.toThrow('executor stopped');
});
