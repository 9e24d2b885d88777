import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import { plainRepository, temporaryFolder } from '../server/harness/model-repository';
import { floats } from '../server/harness/running-server';
import { until } from '../server/harness/until';
import { addOneModel, slowModel } from '../support/onnx-models';
import { toolOnPath } from '../support/tools';
import { Cloud } from './support/cloud';
import { startWorker, type WorkerProcess } from './support/worker-process';

const program = toolOnPath('moto_server');
let cloud: Cloud;
beforeAll(async () => {
  if (program !== undefined) cloud = await Cloud.start(program);
});
afterAll(() => cloud?.stop());

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A bucket, and what works on it: with a server of its own, as a job has it. */
async function setUp(context: TestContext, models: Readonly<Record<string, Uint8Array>> = { addone: addOneModel() }) {
  if (program === undefined) context.skip('moto_server is not on the PATH');
  const bucket = await cloud.newBucket();
  const repository = plainRepository(models);
  const places = ['--inputs', `s3://${bucket}/in/`, '--results', `s3://${bucket}/out/`];
  const work = async (
    args: readonly string[],
    environment: Record<string, string> = {},
    program?: 'server.mjs',
  ): Promise<WorkerProcess> => {
    const port = String(await freePort());
    const server = {
      HOME: temporaryFolder(),
      SLIPWAY_MODEL_REPOSITORY: repository,
      SLIPWAY_HTTP_PORT: port,
      SLIPWAY_GRPC_PORT: '0',
      SLIPWAY_METRICS_PORT: '0',
      SLIPWAY_CACHE_DIRECTORY: temporaryFolder(),
      SLIPWAY_DEREGISTRATION_LAG_SECONDS: '0',
      SLIPWAY_INTRA_OP_THREADS: '1',
    };
    const all = ['batch', ...places, '--server', `http://127.0.0.1:${port}`, ...args];
    return startWorker(all, { ...cloud.environment, ...server, ...environment }, program);
  };
  return { bucket, work };
}

const addOne = (value: number): string => JSON.stringify(floats('input', [1, 4], [value, value, value, value]));

test('the children of an array job share the inputs, and each input has one result under its own name', async (context) => {
  const { bucket, work } = await setUp(context);
  for (let i = 0; i < 24; i++) await cloud.put(bucket, `in/day/${i}.json`, addOne(i));
  await cloud.put(bucket, 'in/wrong.json', '{}');
  const summaries: Record<string, unknown>[] = [];
  for (const index of ['0', '1']) {
    const worker = await work(['--model', 'addone', '--shard-of', '2'], { AWS_BATCH_JOB_ARRAY_INDEX: index });
    expect(await worker.exited, worker.stderr()).toEqual({ code: 0, signal: null });
    summaries.push(await worker.waitFor('done'));
  }
  const sum = (key: string): number => summaries.reduce((all, summary) => all + Number(summary[key]), 0);
  expect({
    answered: sum('answered'),
    refused: sum('refused'),
    skipped: sum('skipped'),
    failed: sum('failed'),
  }).toEqual({
    answered: 24,
    refused: 1,
    skipped: 0,
    failed: 0,
  });
  for (const { answered } of summaries) expect(answered).toBeGreaterThan(3);
  expect(await cloud.keys(bucket, 'out/')).toHaveLength(25);
  expect((await cloud.json(bucket, 'out/day/7.json.json')).outputs[0].data).toEqual([8, 8, 8, 8]);
  expect(await cloud.json(bucket, 'out/wrong.json.error.json')).toMatchObject({ status: 400, model: 'addone' });
});

test('the image does a job by its own entry point, where the first argument says so', async (context) => {
  const { bucket, work } = await setUp(context);
  await cloud.put(bucket, 'in/a.json', addOne(1));
  const { exited, stderr } = await work(['--model', 'addone'], {}, 'server.mjs');
  expect(await exited, stderr()).toEqual({ code: 0, signal: null });
  expect((await cloud.json(bucket, 'out/a.json.json')).outputs[0].data).toEqual([2, 2, 2, 2]);
});

test('a job that was interrupted ends with an error, and the next attempt does what is left', async (context) => {
  const { bucket, work } = await setUp(context, { slow: slowModel() });
  const input = { inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [2_000] }] };
  for (let i = 0; i < 12; i++) await cloud.put(bucket, `in/${i}.json`, JSON.stringify(input));
  const first = await work(['--model', 'slow', '--concurrency', '1']);
  await until('some results are there', async () => (await cloud.keys(bucket, 'out/')).length > 1);
  first.child.kill('SIGTERM');
  expect((await first.exited).code).toBe(1);
  const done = (await cloud.keys(bucket, 'out/')).length;
  expect(done).toBeLessThan(12);
  const second = await work(['--model', 'slow']);
  expect((await second.exited).code).toBe(0);
  expect(await second.waitFor('done')).toMatchObject({ skipped: done, answered: 12 - done, failed: 0 });
});

test('a server that cannot start ends the job, and says why', async (context) => {
  const { work } = await setUp(context);
  const { exited, stderr } = await work(['--model', 'addone'], { SLIPWAY_EXECUTION_PROVIDER: 'abacus' });
  expect((await exited).code).toBe(1);
  expect(stderr()).toContain('ENVIRONMENT_INVALID');
  expect(stderr()).toContain('the server ended with code 1');
});
