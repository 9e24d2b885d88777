import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, onTestFinished, test, vi } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import { addOneModel, matmulModel } from '../support/onnx-models';
import { startMotoServer } from '../support/moto-server';
import { toolOnPath } from '../support/tools';
import { temporaryFolder } from './harness/model-repository';
import { floats, request } from './harness/running-server';
import { startServerProcess } from './harness/server-process';

const GOOD = JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4]));
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };

function infer(url: string, model: string): ReturnType<typeof request> {
  return request(`${url}/v2/models/${model}/infer`, { method: 'POST', body: GOOD });
}

test('serves models from an S3 bucket, each file checked, and refuses one that was changed there', async (ctx) => {
  const program = toolOnPath('moto_server');
  if (program === undefined) return ctx.skip('moto_server is not on the PATH');
  const moto = await startMotoServer(program);
  onTestFinished(() => moto.stop());
  const aws = { ...CREDENTIALS, AWS_ENDPOINT_URL: moto.endpoint };
  for (const [name, value] of Object.entries(aws)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const client = new S3Client({ forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: 'models' }));
  const repository = 's3://models/team';
  await publishModel({ source: 'models/digits/model.onnx', name: 'digits', repository });
  const put = (key: string, body: Uint8Array): Promise<unknown> =>
    client.send(new PutObjectCommand({ Bucket: 'models', Key: key, Body: body }));
  await put('team/addone/1/model.onnx', addOneModel());
  await put('team/addone/2/model.onnx', matmulModel());

  const whole = await startServerProcess({ ...aws, SLIPWAY_MODEL_REPOSITORY: repository });
  await whole.waitFor('ready');
  const index = await request(`${await whole.url()}/v2/repository/index`, { method: 'POST' });
  expect(index.json).toMatchObject([
    { name: 'addone', version: '2', state: 'READY' },
    { name: 'digits', version: '1', state: 'READY' },
  ]);
  expect((await infer(await whole.url(), 'addone')).json.outputs[0].shape).toEqual([1, 3]);

  const folder = JSON.stringify([{ name: 'digits', version: 1, folder: `${repository}/digits/1/` }]);
  const named = await startServerProcess({ ...aws, SLIPWAY_MODELS: folder });
  await named.waitFor('ready');
  expect(named.log.find(({ msg }) => msg === 'model proven and warm')).toMatchObject({ golden: true });

  await put('team/digits/1/model.onnx', addOneModel());
  const changed = await startServerProcess({ ...aws, SLIPWAY_MODELS: folder });
  await changed.waitFor('not ready');
  expect((await request(`${await changed.url()}/readyz`)).json.reason).toMatch(
    /file 'model\.onnx' is \d+ bytes, expected \d+/,
  );

  await client.send(new DeleteObjectCommand({ Bucket: 'models', Key: 'team/digits/1/model.onnx' }));
  const missing = await startServerProcess({ ...aws, SLIPWAY_MODELS: folder });
  await missing.waitFor('not ready');
  expect((await request(`${await missing.url()}/readyz`)).json.reason).toContain(
    's3://models/team/digits/1/model.onnx does not exist (NoSuchKey)',
  );
});

/** A store that knows GetObject only, and answers as it is told. */
async function objectStore(answer: RequestListener): Promise<Record<string, string>> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { ...CREDENTIALS, AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function reference(bytes: Uint8Array): string {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const file = { path: 'model.onnx', uri: 's3://bucket/assets/f00d.onnx', bytes: bytes.byteLength, sha256 };
  return JSON.stringify([{ name: 'addone', version: 1, files: [file] }]);
}

test('asks again when the store is overloaded or breaks off, and never keeps half a file', async () => {
  const model = addOneModel();
  const asked: (string | undefined)[] = [];
  const store = await objectStore((incoming, response) => {
    asked.push(incoming.url);
    // The SDK itself asks three times; what it gives up on, we ask for again.
    if (asked.length <= 4) {
      response.writeHead(503).end();
    } else if (asked.length <= 6) {
      response.writeHead(200, { 'Content-Length': model.byteLength });
      response.write(model.subarray(0, model.byteLength / 2), () => response.destroy());
    } else {
      response.end(model);
    }
  });
  const cache = temporaryFolder();
  const server = await startServerProcess({
    ...store,
    SLIPWAY_MODELS: reference(model),
    SLIPWAY_CACHE_DIRECTORY: cache,
  });
  await server.waitFor('ready');
  expect(asked.at(-1)).toBe('/bucket/assets/f00d.onnx?x-id=GetObject');
  expect(server.log.filter(({ msg }) => msg === 'fetching the model again').length).toBeGreaterThanOrEqual(2);
  expect((await infer(await server.url(), 'addone')).json.outputs[0].data).toEqual([2, 3, 4, 5]);
  const cached = readdirSync(cache, { recursive: true }).filter((name) => /onnx/.test(String(name)));
  expect(cached).toEqual([expect.stringMatching(/^models\/addone@1-[0-9a-f]{16}\/files\/model\.onnx$/)]);
});

test('finds the region of a bucket by itself where nobody names one', async () => {
  const model = addOneModel();
  const regions: (string | undefined)[] = [];
  const store = await objectStore((incoming, response) => {
    const region = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(incoming.headers.authorization ?? '')?.[1];
    regions.push(region);
    if (region === 'eu-central-1') return response.end(model);
    response.writeHead(301, { 'x-amz-bucket-region': 'eu-central-1', 'Content-Type': 'application/xml' });
    return response.end('<Error><Code>PermanentRedirect</Code><Message>use the right endpoint</Message></Error>');
  });
  const unnamed = {
    AWS_REGION: '',
    AWS_DEFAULT_REGION: '',
    AWS_CONFIG_FILE: '/none',
    AWS_SHARED_CREDENTIALS_FILE: '/none',
  };
  const server = await startServerProcess({ ...store, ...unnamed, SLIPWAY_MODELS: reference(model) });
  await server.waitFor('ready');
  expect((await infer(await server.url(), 'addone')).json.outputs[0].data).toEqual([2, 3, 4, 5]);
  expect(regions).toEqual(['us-east-1', 'eu-central-1']);
});

test('a model repository that does not answer yet is asked again, and the log says why', async () => {
  let asked = 0;
  const store = await objectStore((_, response) => {
    asked += 1;
    response.writeHead(asked <= 3 ? 503 : 403).end();
  });
  const server = await startServerProcess({ ...store, SLIPWAY_MODEL_REPOSITORY: 's3://models' });
  const { reason } = await server.waitFor('asking the model repository again');
  expect(reason).toMatch(/^s3:\/\/models\/ cannot be read: /);
  expect(await server.exited).toEqual({ code: 1, signal: null });
});

test('what comes from the store with another digest is not loaded and not kept', async () => {
  const model = addOneModel();
  const forged = Buffer.from(model);
  forged[forged.length - 20]! ^= 1;
  const store = await objectStore((_, response) => response.end(forged));
  const cache = temporaryFolder();
  const server = await startServerProcess({
    ...store,
    SLIPWAY_MODELS: reference(model),
    SLIPWAY_CACHE_DIRECTORY: cache,
  });
  await server.waitFor('not ready');
  expect((await request(`${await server.url()}/readyz`)).json.reason).toMatch(
    /file 'model\.onnx' has SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}: it is not what was published/,
  );
  expect(readdirSync(cache, { recursive: true }).filter((name) => /onnx/.test(String(name)))).toEqual([]);
});

test('a store that refuses is not asked again', async () => {
  let asked = 0;
  const store = await objectStore((_, response) => {
    asked += 1;
    response.writeHead(403).end();
  });
  const server = await startServerProcess({ ...store, SLIPWAY_MODELS: reference(addOneModel()) });
  await server.waitFor('not ready');
  expect((await request(`${await server.url()}/readyz`)).json.reason).toContain('does not exist or may not be read (');
  expect(asked).toBe(1);
});

test('takes the credentials of an ECS task role or an EKS pod identity from their endpoint', async () => {
  const model = addOneModel();
  const authorizations: (string | undefined)[] = [];
  const store = await objectStore((incoming, response) => {
    authorizations.push(incoming.headers.authorization);
    response.end(model);
  });
  const agent = createServer((_, response) => {
    const Expiration = new Date(Date.now() + 3_600_000).toISOString();
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ AccessKeyId: 'FROMTHEROLE', SecretAccessKey: 's', Token: 't', Expiration }));
  }).listen(0, '127.0.0.1');
  await once(agent, 'listening');
  onTestFinished(() => void agent.close());
  const server = await startServerProcess({
    SLIPWAY_MODELS: reference(model),
    AWS_ENDPOINT_URL_S3: store['AWS_ENDPOINT_URL_S3']!,
    AWS_REGION: 'us-east-1',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${(agent.address() as AddressInfo).port}/credentials`,
  });
  await server.waitFor('ready');
  expect(authorizations[0]).toContain('Credential=FROMTHEROLE/');
});
