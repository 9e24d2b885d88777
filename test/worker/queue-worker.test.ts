import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import { plainRepository } from '../server/harness/model-repository';
import { floats, request, startServer, type RunningServer } from '../server/harness/running-server';
import { until } from '../server/harness/until';
import { addOneModel, identityModel, slowModel } from '../support/onnx-models';
import { toolOnPath } from '../support/tools';
import { Cloud } from './support/cloud';
import { startWorker, type WorkerProcess } from './support/worker-process';

const program = toolOnPath('moto_server');
let cloud: Cloud;
beforeAll(async () => {
  if (program !== undefined) cloud = await Cloud.start(program);
});
afterAll(() => cloud?.stop());

interface Setup {
  readonly bucket: string;
  readonly url: string;
  readonly deadLetterUrl: string;
  readonly server: RunningServer;
  readonly work: (...more: readonly string[]) => Promise<WorkerProcess>;
}

async function setUp(
  context: TestContext,
  {
    models = { addone: addOneModel() },
    settings = {},
    visibilitySeconds = 60,
    maxReceives = 3,
  }: {
    models?: Readonly<Record<string, Uint8Array>>;
    settings?: Parameters<typeof startServer>[0];
    visibilitySeconds?: number;
    maxReceives?: number;
  } = {},
): Promise<Setup> {
  if (program === undefined) context.skip('moto_server is not on the PATH');
  const server = await startServer({ modelRepository: plainRepository(models), ...settings });
  const bucket = await cloud.newBucket();
  const queue = await cloud.newQueue(visibilitySeconds, maxReceives);
  const args = [
    ...['queue', '--queue', queue.url, '--server', server.url],
    ...['--results', `s3://${bucket}/results`, '--inputs', `s3://${bucket}/inputs/`],
    ...['--visibility-seconds', String(visibilitySeconds)],
  ];
  return { bucket, ...queue, server, work: (...more) => startWorker([...args, ...more], cloud.environment) };
}

const addOne = (value: number) => floats('input', [1, 4], [value, value, value, value]);

test('each of many messages has one result, though a replica dies among them; what nobody can read is put aside', async (context) => {
  const { bucket, url, deadLetterUrl, work } = await setUp(context, { visibilitySeconds: 4 });
  await cloud.put(bucket, 'inputs/by-uri.json', JSON.stringify(addOne(1_000)));
  const poison = ['{', JSON.stringify({ model: '../x', input: { json: {} } }), '"text"'];
  for (let i = 0; i < 46; i++) await cloud.send(url, { id: `n${i}`, model: 'addone', input: { json: addOne(i) } });
  await cloud.send(url, { id: 'n1000', model: 'addone', input: { uri: `s3://${bucket}/inputs/by-uri.json` } });
  for (const text of poison) await cloud.send(url, text);

  const first = await work('--concurrency', '8');
  await until('some results are there', async () => (await cloud.keys(bucket, 'results/')).length > 5);
  first.child.kill('SIGKILL');
  await first.exited;
  await work('--concurrency', '8');
  await until('nothing waits', async () => {
    const { waiting, held } = await cloud.counts(url);
    return waiting + held === 0 && (await cloud.counts(deadLetterUrl)).waiting === poison.length;
  });

  const expected = [...Array(46).keys(), 1_000];
  expect([...(await cloud.keys(bucket, 'results/'))].sort()).toEqual(
    expected.map((i) => `results/addone/n${i}.json`).sort(),
  );
  for (const i of expected) {
    const { outputs } = await cloud.json(bucket, `results/addone/n${i}.json`);
    expect(outputs[0].data).toEqual([i + 1, i + 1, i + 1, i + 1]);
  }
});

test('a replica that is told to stop answers what it holds, receives no more and ends well', async (context) => {
  const { bucket, url, work } = await setUp(context, { models: { slow: slowModel() } });
  for (let i = 0; i < 6; i++) {
    const json = { inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [8_000] }] };
    await cloud.send(url, { id: `n${i}`, model: 'slow', input: { json } });
  }
  const { child, exited, log } = await work('--concurrency', '2');
  await until('two are held', async () => (await cloud.counts(url)).held === 2);
  child.kill('SIGTERM');
  expect(await exited).toEqual({ code: 0, signal: null });
  expect(log.at(-1)).toMatchObject({ msg: 'nothing is held any more' });
  expect(await cloud.keys(bucket, 'results/')).toHaveLength(2);
  expect(await cloud.counts(url)).toEqual({ waiting: 4, held: 0 });
});

test('a server that is busy costs a message none of its deliveries', async (context) => {
  const { bucket, url, deadLetterUrl, work, server } = await setUp(context, {
    models: { slow: slowModel() },
    settings: { queueDepthRows: 1, maxBatchSize: 1 },
    maxReceives: 1,
  });
  for (let i = 0; i < 8; i++) {
    const json = { inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [1_000] }] };
    await cloud.send(url, { id: `n${i}`, model: 'slow', input: { json } });
  }
  await work('--concurrency', '8');
  await until('all are answered', async () => (await cloud.keys(bucket, 'results/')).length === 8);
  const { text } = await request(`${server.metricsUrl}/metrics`);
  expect(text).toMatch(/slipway_requests_total\{.*outcome="queue_full"\} [1-9]/);
  expect(await cloud.counts(deadLetterUrl)).toEqual({ waiting: 0, held: 0 });
});

test('a message that takes longer than it is hidden stays hidden while it is answered', async (context) => {
  const { bucket, url, deadLetterUrl, work } = await setUp(context, {
    models: { slow: slowModel() },
    visibilitySeconds: 1,
    maxReceives: 1,
  });
  const json = { inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [15_000] }] };
  await cloud.send(url, { id: 'n', model: 'slow', input: { json } });
  const { log } = await work();
  await until('it is answered', async () => (await cloud.keys(bucket, 'results/')).length === 1);
  // Delivered once more, it would have been put aside.
  expect(await cloud.counts(deadLetterUrl)).toEqual({ waiting: 0, held: 0 });
  expect(log.filter(({ level }) => level !== 'info')).toEqual([]);
});

test('a request that is at fault itself has its reason for a result, and does not come again', async (context) => {
  const { bucket, url, deadLetterUrl, work } = await setUp(context);
  await cloud.put(bucket, 'secrets/key.json', JSON.stringify(addOne(1)));
  const messages = {
    unknown: { model: 'nobody', input: { json: addOne(1) } },
    wrong: { model: 'addone', input: { json: floats('input', [1, 3], [1, 2, 3]) } },
    missing: { model: 'addone', input: { uri: `s3://${bucket}/inputs/nothing.json` } },
    elsewhere: { model: 'addone', input: { uri: `s3://${bucket}/secrets/key.json` } },
    large: { model: 'addone', input: { uri: `s3://${bucket}/inputs/large.json` } },
  };
  await cloud.put(bucket, 'inputs/large.json', Buffer.alloc(3_000, ' '));
  for (const [id, message] of Object.entries(messages)) await cloud.send(url, { id, ...message });
  await work('--max-body-mib', '0.002');
  await until('all have a result', async () => (await cloud.keys(bucket, 'results/')).length === 5);
  await until('none comes again', async () => {
    const { waiting, held } = await cloud.counts(url);
    return waiting + held === 0;
  });
  expect(await cloud.counts(deadLetterUrl)).toEqual({ waiting: 0, held: 0 });
  const error = (model: string, id: string): Promise<any> => cloud.json(bucket, `results/${model}/${id}.error.json`);
  expect(await error('nobody', 'unknown')).toMatchObject({ id: 'unknown', model: 'nobody', status: 404 });
  expect(await error('addone', 'wrong')).toMatchObject({
    status: 400,
    error: expect.stringContaining('input') as string,
  });
  expect(await error('addone', 'missing')).toMatchObject({ status: 404, error: 'the input does not exist' });
  expect(await error('addone', 'elsewhere')).toMatchObject({
    status: 403,
    error: 'the input lies in no place that this service takes inputs from',
  });
  expect(await error('addone', 'large')).toMatchObject({
    status: 413,
    error: 'the input has 3000 bytes, at most 2097 are taken',
  });
});

test('a message whose answer does not come in time has no result, and is put aside after its last delivery', async (context) => {
  const { bucket, url, deadLetterUrl, work } = await setUp(context, {
    models: { slow: slowModel() },
    settings: { requestDeadlineSeconds: 0.3 },
    maxReceives: 1,
    visibilitySeconds: 2,
  });
  const json = { inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [15_000] }] };
  await cloud.send(url, { id: 'n', model: 'slow', input: { json } });
  const { log } = await work();
  await until('it is put aside', async () => (await cloud.counts(deadLetterUrl)).waiting === 1);
  expect(await cloud.keys(bucket, 'results/')).toEqual([]);
  expect(log.find(({ msg }) => msg === 'a message was not answered')).toMatchObject({
    deliveries: 1,
    reason: 'the server answered 504',
  });
});

test('binary tensors go in and out, by a message or by what the object says of itself, and whole numbers lose nothing', async (context) => {
  const { bucket, url, work } = await setUp(context, {
    models: { addone: addOneModel(), same: identityModel({ datatype: 'INT64', shape: [1] }) },
  });
  const header = JSON.stringify({
    inputs: [{ name: 'input', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } }],
    parameters: { binary_data_output: true },
  });
  const body = Buffer.concat([Buffer.from(header), Buffer.from(new Float32Array([1, 2, 3, 4]).buffer)]);
  const length = String(header.length);
  await cloud.put(bucket, 'inputs/told.bin', body);
  await cloud.put(bucket, 'inputs/tells.bin', body, { 'inference-header-content-length': length });
  const told = { uri: `s3://${bucket}/inputs/told.bin` };
  const octets = { contentType: 'application/octet-stream', inferenceHeaderLength: header.length };
  await cloud.send(url, { id: 'told', model: 'addone', input: told, ...octets });
  await cloud.send(url, {
    id: 'tells',
    model: 'addone',
    version: 1,
    input: { uri: `s3://${bucket}/inputs/tells.bin` },
  });
  const inputs = '[{"name":"input","shape":[1],"datatype":"INT64","data":[9007199254740993]}]';
  await cloud.send(url, `{"id":"whole","model":"same","input":{"json":{"inputs":${inputs}}}}`);
  await work();
  await until('all are answered', async () => (await cloud.keys(bucket, 'results/')).length === 3);
  for (const id of ['told', 'tells']) {
    const { bytes, contentType, metadata } = await cloud.get(bucket, `results/addone/${id}.bin`);
    const at = Number(metadata!['inference-header-content-length']);
    expect(contentType).toBe('application/octet-stream');
    expect([...new Float32Array(bytes.slice(at).buffer)]).toEqual([2, 3, 4, 5]);
  }
  const whole = Buffer.from((await cloud.get(bucket, 'results/same/whole.json')).bytes).toString();
  expect(whole).toContain('9007199254740993');
});

test('a replica whose model is not ready leaves messages to others', async (context) => {
  if (program === undefined) context.skip('moto_server is not on the PATH');
  const { url, deadLetterUrl } = await cloud.newQueue(30, 1);
  const server = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }) }, { load: false });
  const bucket = await cloud.newBucket();
  await cloud.send(url, { id: 'n', model: 'addone', input: { json: addOne(1) } });
  const args = ['queue', '--queue', url, '--server', server.url, '--results', `s3://${bucket}/r/`];
  const worker = await startWorker([...args, '--visibility-seconds', '30'], cloud.environment);
  await worker.waitFor('waiting for messages');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await cloud.counts(url)).toEqual({ waiting: 1, held: 0 });
  await server.server.load();
  await until('it is answered', async () => (await cloud.keys(bucket)).length === 1);
  expect(await cloud.counts(deadLetterUrl)).toEqual({ waiting: 0, held: 0 });
});

test('the log of a worker has nothing of what messages hold', async (context) => {
  const { url, deadLetterUrl, work } = await setUp(context, { maxReceives: 1 });
  await cloud.send(url, { id: 'SECRET/', model: 'addone', input: { json: {} } });
  const { log } = await work();
  await until('it is put aside', async () => (await cloud.counts(deadLetterUrl)).waiting === 1);
  expect(JSON.stringify(log)).not.toContain('SECRET');
  expect(log.find(({ msg }) => msg === 'a message cannot be read')).toMatchObject({ level: 'warn', deliveries: 1 });
});

test.each([
  [[], "must begin with 'queue' or 'batch', got ''"],
  [['queue'], '--results is missing'],
  [['queue', '--results', 's3://b/r'], '--queue is missing'],
  [['queue', '--results', 'b/r'], "--results must be s3://<bucket>/<prefix>, got 'b/r'"],
  [['queue', '--results', 's3://b/r', '--queue', 'q'], '--visibility-seconds is missing'],
  [['queue', '--results', 's3://b/r', '--concurrency', '0'], "--concurrency must be from 1 to 10000, got '0'"],
  [['queue', '--results', 's3://b/r', '--surprise'], "Unknown option '--surprise'"],
])('with %j the worker ends at once and says how it is used', async (args, reason) => {
  const { exited, stderr } = await startWorker(args, {});
  expect(await exited).toEqual({ code: 2, signal: null });
  expect(stderr()).toContain(`error: ${reason}`);
  expect(stderr()).toContain('usage:');
});
