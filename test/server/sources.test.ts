import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { BlobServiceClient } from '@azure/storage-blob';
import { expect, onTestFinished, test, vi } from 'vitest';
import { fetchModel } from '../../runtime/server/fetch-model';
import { SourceError } from '../../runtime/sources/model-source';
import { sourceOf } from '../../runtime/sources/source-of';
import { AZURITE_ACCOUNT, azuriteConnection, startAzurite } from '../support/azurite';
import { startFakeGcsServer } from '../support/fake-gcs-server';
import { startMotoServer } from '../support/moto-server';
import { findTool } from '../support/tools';
import { temporaryFolder } from './harness/model-repository';

const signal = new AbortController().signal;
const BYTES = Buffer.from(Array.from({ length: 1_000 }, (_, i) => i % 251));
// What operators and other tools put into names; no store forbids it.
const ODD = 'a b+c%20ü#?.bin';

function variables(values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

async function read(uri: string, options?: Parameters<ReturnType<typeof sourceOf>['open']>[2]): Promise<Buffer> {
  const stream = await sourceOf(uri).open(uri, signal, options);
  return Buffer.concat(await stream.toArray());
}

async function failureOf(act: Promise<unknown>): Promise<string> {
  const error = await act.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SourceError);
  return (error as SourceError).failure;
}

/** What every source does, whatever store it reads: `folder` is empty, `put` writes into it. */
async function expectSource(folder: string, put: (name: string, bytes: Buffer) => unknown): Promise<void> {
  await put('model.onnx', BYTES);
  await put(ODD, BYTES);
  await put('1/model.onnx', BYTES);
  const isEncoded = /^(file|https?):/.test(folder);
  const uri = `${folder}model.onnx`;
  const source = sourceOf(folder);

  const entries = await source.list(folder, signal);
  expect(entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
    { name: '1', isFolder: true },
    { name: ODD, isFolder: false },
    { name: 'model.onnx', isFolder: false },
  ]);
  expect(await failureOf(source.list(`${folder}nothing/`, signal))).toBe('missing');

  const { bytes, tag, hasRanges } = await source.stat(uri, signal);
  expect({ bytes, hasRanges, hasTag: tag !== undefined }).toEqual({ bytes: 1_000, hasRanges: true, hasTag: true });
  expect(await read(uri)).toEqual(BYTES);
  expect(await read(folder + (isEncoded ? encodeURIComponent(ODD) : ODD))).toEqual(BYTES);
  expect(await read(uri, { range: { start: 100, end: 200 }, tag: tag! })).toEqual(BYTES.subarray(100, 200));
  expect(await failureOf(source.stat(`${folder}none.onnx`, signal))).toBe('missing');
  expect(await failureOf(source.open(`${folder}none.onnx`, signal))).toBe('missing');

  await put('model.onnx', BYTES.subarray(1));
  expect((await source.stat(uri, signal)).tag).not.toBe(tag);
}

/** Only stores look at conditions; a directory has no need to. */
async function expectRefusalOfReplaced(folder: string, put: (name: string, bytes: Buffer) => unknown): Promise<void> {
  const uri = `${folder}replaced.onnx`;
  await put('replaced.onnx', BYTES);
  const { tag } = await sourceOf(uri).stat(uri, signal);
  await put('replaced.onnx', Buffer.from(BYTES).reverse());
  expect(await failureOf(read(uri, { range: { start: 0, end: 100 }, tag: tag! }))).toBe('changed');
  expect(await failureOf(read(uri, { tag: tag! }))).toBe('changed');
}

/** A model without a manifest, large enough to be fetched in parts, and only once. */
async function expectLargeModel(folder: string, put: (name: string, bytes: Buffer) => unknown): Promise<void> {
  const model = randomBytes(33 * 2 ** 20);
  await put('large/1/model.onnx', model);
  const cacheDirectory = temporaryFolder();
  const reference = { name: 'large', version: 1, folder: `${folder}large/1/` };
  const fetching = { cacheDirectory, signal, onRetry: (error: Error) => expect.fail(error.message) };
  const first = await fetchModel(reference, fetching);
  expect(readFileSync(first.modelPath).equals(model)).toBe(true);
  expect((await fetchModel(reference, fetching)).folder).toBe(first.folder);
}

test('a directory is listed, sized and read, whole or in part', async () => {
  const directory = temporaryFolder();
  mkdirSync(path.join(directory, '1'));
  await expectSource(`${pathToFileURL(directory).href}/`, (name, bytes) =>
    writeFileSync(path.join(directory, name), bytes),
  );
});

const STORES_LIKE_S3: readonly { store: string; endpoint: string; keys: Readonly<Record<string, string>> }[] = [
  {
    store: 's3',
    endpoint: 'AWS_ENDPOINT_URL_S3',
    keys: { AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's' },
  },
  {
    store: 'oss',
    endpoint: 'OSS_ENDPOINT',
    keys: {
      ALIBABA_CLOUD_ACCESS_KEY_ID: 'k',
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: 's',
    },
  },
  {
    store: 'cos',
    endpoint: 'COS_ENDPOINT',
    keys: { TENCENTCLOUD_SECRET_ID: 'k', TENCENTCLOUD_SECRET_KEY: 's' },
  },
];

test.for(STORES_LIKE_S3)(
  '$store:// is listed, sized and read, whole or in part, with static keys',
  async ({ store, endpoint, keys }, ctx) => {
    const program = findTool('moto_server');
    if (program === undefined) return ctx.skip('moto_server is not on the PATH');
    const moto = await startMotoServer(program);
    onTestFinished(() => moto.stop());
    variables({ AWS_REGION: 'us-east-1', ...keys, [endpoint]: moto.endpoint });
    const credentials = { accessKeyId: 'k', secretAccessKey: 's' };
    const client = new S3Client({ endpoint: moto.endpoint, forcePathStyle: true, region: 'us-east-1', credentials });
    await client.send(new CreateBucketCommand({ Bucket: 'models-1250000000' }));
    const put = (name: string, bytes: Buffer): Promise<unknown> =>
      client.send(new PutObjectCommand({ Bucket: 'models-1250000000', Key: `team/${name}`, Body: bytes }));
    const folder = `${store}://models-1250000000/team/`;
    await expectSource(folder, put);
    await expectRefusalOfReplaced(folder, put);
    await expectLargeModel(folder, put);
  },
);

test('gs:// is listed, sized and read, whole or in part', async (ctx) => {
  const program = findTool('fake-gcs-server');
  if (program === undefined) return ctx.skip('fake-gcs-server is not on the PATH');
  const emulator = await startFakeGcsServer(program);
  onTestFinished(() => emulator.stop());
  const url = `http://127.0.0.1:${emulator.port}`;
  variables({ STORAGE_EMULATOR_HOST: url });
  const post = async (to: string, body: Buffer | string, type: string): Promise<void> => {
    const answer = await fetch(url + to, {
      method: 'POST',
      body: new Uint8Array(Buffer.from(body)),
      headers: { 'Content-Type': type },
    });
    expect(answer.status).toBe(200);
  };
  await post('/storage/v1/b?project=test', JSON.stringify({ name: 'models' }), 'application/json');
  const put = (name: string, bytes: Buffer): Promise<void> =>
    post(
      `/upload/storage/v1/b/models/o?uploadType=media&name=${encodeURIComponent(`team/${name}`)}`,
      bytes,
      'application/octet-stream',
    );
  await expectSource('gs://models/team/', put);
  await expectRefusalOfReplaced('gs://models/team/', put);
  await expectLargeModel('gs://models/team/', put);
});

test('az:// is listed, sized and read, whole or in part', async (ctx) => {
  const program = findTool('azurite-blob');
  if (program === undefined) return ctx.skip('azurite-blob is not on the PATH');
  const azurite = await startAzurite(program, temporaryFolder());
  onTestFinished(() => azurite.stop());
  const connection = azuriteConnection(azurite.port);
  variables({ AZURE_STORAGE_CONNECTION_STRING: connection });
  const container = BlobServiceClient.fromConnectionString(connection).getContainerClient('models');
  await container.create();
  const put = (name: string, bytes: Buffer): Promise<unknown> =>
    container.getBlockBlobClient(`team/${name}`).uploadData(bytes);
  const folder = `az://${AZURITE_ACCOUNT}/models/team/`;
  await expectSource(folder, put);
  await expectRefusalOfReplaced(folder, put);
  await expectLargeModel(folder, put);
});
