import { expect, test } from 'vitest';
import { startNativeExecutor } from '../../runtime/server/native/native-executor';
import { slowModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { request, startServer } from './harness/running-server';
import { bundleServer } from './harness/server-bundle';
import { startServerProcess } from './harness/server-process';
import { untilStarted } from './harness/until';

const iterations = (count: number): unknown => ({
  inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [count] }],
});

const ENDLESS = 2 ** 40;

test('a run that is past the deadline of its request is ended, and the next request has the executor', async () => {
  const workerUrl = await bundleServer();
  const server = await startServer(
    { modelRepository: plainRepository({ slow: slowModel() }), requestDeadlineSeconds: 1 },
    { startExecutor: (options) => startNativeExecutor(workerUrl, options) },
  );
  expect((await server.infer('slow', iterations(ENDLESS))).status).toBe(504);
  expect(await server.infer('slow', iterations(3))).toMatchObject({ status: 200, json: { outputs: [{ data: [3] }] } });
  expect((await server.get('/livez')).status).toBe(200);
});

test('a drain that takes too long ends what runs on native executors, and the process ends by itself', async () => {
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: plainRepository({ slow: slowModel() }),
    SLIPWAY_EXECUTOR: 'native',
    SLIPWAY_REQUEST_DEADLINE_SECONDS: '60',
  });
  await server.waitFor('ready');
  const url = await server.url();
  const answer = request(`${url}/v2/models/slow/infer`, { method: 'POST', body: JSON.stringify(iterations(ENDLESS)) });
  const { metricsPort } = await server.waitFor('listening');
  await untilStarted(`http://127.0.0.1:${String(metricsPort)}`, 1);
  server.child.kill('SIGTERM');
  await server.waitFor('draining');
  await new Promise((resolve) => setTimeout(resolve, 400));
  server.child.kill('SIGTERM');
  expect((await answer).status).toBe(503);
  expect(await server.exited).toEqual({ code: 1, signal: null });
});
