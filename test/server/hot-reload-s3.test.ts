import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, test, vi, type TestContext } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import { startMotoServer, type MotoServer } from '../support/moto-server';
import { externalDataModel } from '../support/onnx-models';
import { toolOnPath } from '../support/tools';
import { temporaryFolder } from './harness/model-repository';
import { startServer, type RunningServer } from './harness/running-server';
import { until } from './harness/until';
import { addModel, indexOf, stepOf } from './harness/versions';

const POLL_SECONDS = 0.1;
const INFER = '/v2/models/m/infer';
const program = toolOnPath('moto_server');
let moto: MotoServer | undefined;
let client: S3Client;
/** What the server and the publisher asked of the store, as `GET /bucket/key`. */
let asked: string[] = [];
/** What the store answers instead. */
let outage: number | undefined;
let bucket = '';
let buckets = 0;

// In front of the emulator stands one that counts, and that can fail. One endpoint for all tests: the SDK is asked for it once.
const front = createServer((incoming, response) => {
  asked.push(`${incoming.method} ${incoming.url}`);
  if (outage !== undefined) return void response.writeHead(outage).end();
  const { hostname, port } = new URL(moto!.endpoint);
  const { method, url, headers } = incoming;
  const onward = forward({ hostname, port, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  incoming.pipe(onward);
});

beforeAll(async () => {
  if (program === undefined) return;
  moto = await startMotoServer(program);
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(front.address() as AddressInfo).port}`);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  vi.stubEnv('AWS_REGION', 'us-east-1');
  vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
  client = new S3Client({ forcePathStyle: true });
});
afterAll(async () => {
  front.close();
  front.closeAllConnections();
  await moto?.stop();
});

beforeEach(async (ctx: TestContext) => {
  if (moto === undefined) return ctx.skip('moto_server is not on the PATH');
  outage = undefined;
  bucket = `models-${++buckets}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
});

function start(): Promise<RunningServer> {
  return startServer({ modelRepository: `s3://${bucket}/team`, hotReload: true, reloadSeconds: POLL_SECONDS });
}

async function publish(step: number): Promise<void> {
  const source = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(source, addModel(step));
  await publishModel({ source, name: 'm', repository: `s3://${bucket}/team` });
}

function put(key: string, body: Uint8Array): Promise<unknown> {
  return client.send(new PutObjectCommand({ Bucket: bucket, Key: `team/${key}`, Body: body }));
}

function serves(server: RunningServer, step: number): Promise<void> {
  return until(`version with step ${step} serves`, async () => (await stepOf(server, INFER)) === step);
}

function polls(): Promise<void> {
  return wait(POLL_SECONDS * 1_000 * 8);
}

test('a published version is noticed by the index alone, and takes over without a failed request', async () => {
  await publish(1);
  const server = await start();
  await polls();
  asked = [];
  await polls();
  const index = asked.filter((request) => request === `GET /${bucket}/team/slipway-index.json?x-id=GetObject`);
  const listings = asked.filter((request) => request.endsWith('prefix=team%2F'));
  expect(index.length).toBeGreaterThan(2);
  // Now and then it lists all the same: not everybody writes the index.
  expect(listings.length).toBeLessThanOrEqual(1);

  const answers = new Set<number | string>();
  let isStopped = false;
  const clients = (async () => {
    while (!isStopped) answers.add(await stepOf(server, INFER));
  })();
  await publish(2);
  await until('the new version serves', () => answers.has(2));
  isStopped = true;
  await clients;
  expect([...answers]).toEqual([1, 2]);
  await until('the old version is gone', async () => Object.keys(await indexOf(server, 'm')).join() === '2');
});

test('where nobody wrote an index, versions are noticed by listing, and loaded when they are whole', async () => {
  await put('m/1/model.onnx', addModel(1));
  const server = await start();
  const { model, weights } = externalDataModel();
  await put('m/2/model.onnx', model);
  await until(
    'half a version is refused',
    async () => (await indexOf(server, 'm'))['2']?.startsWith('UNAVAILABLE') === true,
  );
  expect(await stepOf(server, INFER)).toBe(1);
  await put('m/2/weights.bin', weights);
  await until('the whole version serves', async () => (await indexOf(server, 'm'))['2'] === 'READY');
  expect((await server.get('/v2/models/m')).json.versions).toEqual(['2']);
});

test.each([503, 403, 404])(
  'a store that answers %i unloads nothing, and is followed again when it is back',
  async (status) => {
    await publish(1);
    const server = await start();
    await polls();
    outage = status;
    await polls();
    expect(await stepOf(server, INFER)).toBe(1);
    expect(await indexOf(server, 'm')).toEqual({ '1': 'READY' });
    expect((await server.get('/readyz')).status).toBe(200);
    outage = undefined;
    await publish(2);
    await serves(server, 2);
  },
);
