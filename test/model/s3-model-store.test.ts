import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi, type TestContext } from 'vitest';
import type { ModelStore, StoredFile } from '../../runtime/model/model-store';
import { publishModel } from '../../runtime/model/publish-model';
import { objectModelStore } from '../../runtime/model/stores/object-model-store';
import { s3ObjectStore } from '../../runtime/model/stores/s3-object-store';
import { parseRepositoryIndex } from '../../runtime/spec/repository-index';
import { slipway } from '../cli/terminal';
import { startMotoServer, type MotoServer } from '../support/moto-server';
import { toolOnPath } from '../support/tools';
import { refusal } from './refusal';

const DIGITS = 'models/digits/model.onnx';
const program = toolOnPath('moto_server');
let moto: MotoServer | undefined;
let client: S3Client;
let folder: string;
let bucket: string;
let buckets = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-s3-'));
  moto = program === undefined ? undefined : await startMotoServer(program);
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await moto?.stop();
});

beforeEach(async (ctx: TestContext) => {
  if (moto === undefined) return ctx.skip('moto_server is not on the PATH');
  vi.stubEnv('AWS_ENDPOINT_URL', moto.endpoint);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  vi.stubEnv('AWS_REGION', 'us-east-1');
  client = new S3Client({ forcePathStyle: true });
  bucket = `models-${++buckets}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
});
afterEach(() => vi.unstubAllEnvs());

async function s3ModelStore(uri: string, options: { readonly partBytes?: number } = {}): Promise<ModelStore> {
  return objectModelStore(await s3ObjectStore('s3', uri, options));
}

async function keys(): Promise<string[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
  return Contents.map(({ Key }) => Key!);
}

async function content(key: string): Promise<Uint8Array> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Body!.transformToByteArray();
}

function stored(path: string, text: string): StoredFile {
  const bytes = Buffer.from(text);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { path, bytes: bytes.byteLength, sha256, content: bytes };
}

function onDisk(path: string, bytes: Uint8Array): StoredFile {
  const localPath = join(folder, `${bucket}-${path}`);
  writeFileSync(localPath, bytes);
  return { path, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex'), localPath };
}

test('a model is published below the prefix, with the digests that its manifest lists', async () => {
  const { manifest, manifestSha256, uri } = await publishModel({
    source: DIGITS,
    name: 'digits',
    repository: `s3://${bucket}/team/models`,
  });
  expect(uri).toBe(`s3://${bucket}/team/models/digits/1/`);
  expect(await keys()).toEqual([
    ...['golden/input-0.bin', 'golden/output-0.bin', 'manifest.json', 'model.onnx'].map(
      (path) => `team/models/digits/1/${path}`,
    ),
    'team/models/slipway-index.json',
  ]);
  for (const { path, sha256 } of [...manifest.files, { path: 'manifest.json', sha256: manifestSha256 }]) {
    const bytes = await content(`team/models/digits/1/${path}`);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
    const object = { Bucket: bucket, Key: `team/models/digits/1/${path}`, ChecksumMode: 'ENABLED' as const };
    const { ChecksumSHA256 } = await client.send(new HeadObjectCommand(object));
    expect(Buffer.from(ChecksumSHA256!, 'base64').toString('hex')).toBe(sha256);
  }
});

async function index(key = 'slipway-index.json'): Promise<string[]> {
  const { versions } = parseRepositoryIndex(Buffer.from(await content(key)).toString(), key);
  return versions.map(({ name, version }) => `${name}/${version}`);
}

test('the index of a bucket names every published version, those of publishers that came at the same moment too', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const repository = `s3://${bucket}`;
  const publish = (name: string) => publishModel({ source: DIGITS, name, repository, golden: false });
  const published = await Promise.all(names.map(publish));
  expect(published.map(({ indexFailure }) => indexFailure)).toEqual(names.map(() => undefined));
  expect(await index()).toEqual(names.map((name) => `${name}/1`));
  await publish('a');
  expect(await index()).toEqual(['a/1', 'a/2', 'b/1', 'c/1', 'd/1', 'e/1', 'f/1']);
});

test('a version is published all the same where the index cannot be written, and the publisher is told', async () => {
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'slipway-index.json', Body: 'not ours' }));
  const { indexFailure } = await publishModel({
    source: DIGITS,
    name: 'digits',
    repository: `s3://${bucket}`,
    golden: false,
  });
  expect(indexFailure).toMatch(/REPOSITORY_INDEX_INVALID .*slipway-index\.json: must be JSON/);
  expect(await keys()).toContain('digits/1/manifest.json');
  expect(Buffer.from(await content('slipway-index.json')).toString()).toBe('not ours');
});

test('the command says that the index could not be written, and ends well', async () => {
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'slipway-index.json', Body: 'not ours' }));
  const { status, stdout, stderr } = await slipway('model', 'publish', DIGITS, `s3://${bucket}`, '--no-golden');
  expect([status, stdout]).toEqual([0, `s3://${bucket}/digits/1/\n`]);
  expect(stderr).toMatch(
    /\nwarning: published, and not entered in the repository's index, so .*: REPOSITORY_INDEX_INVALID .*must be JSON/,
  );
});

test('a version is numbered after the highest in the bucket, and a published one is refused', async () => {
  const publish = (version?: number) =>
    publishModel({
      source: DIGITS,
      name: 'digits',
      repository: `s3://${bucket}`,
      golden: false,
      ...(version === undefined ? {} : { version }),
    });
  expect((await publish()).manifest.version).toBe(1);
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'digits/41/model.onnx', Body: 'left by a crash' }));
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'digits-large/77/model.onnx', Body: 'another model' }));
  expect((await publish()).manifest.version).toBe(42);
  expect((await refusal(publish(1))).message).toContain(`VERSION_EXISTS s3://${bucket}/digits/1/: `);
});

test('a version that somebody else began in the meantime is refused, and nothing of theirs is touched', async () => {
  const theirs = { Bucket: bucket, Key: 'm/1/model.onnx', Body: 'theirs' };
  await client.send(new PutObjectCommand(theirs));
  const store = await s3ModelStore(`s3://${bucket}`);
  const error = await refusal(store.write('m', 1, [stored('model.onnx', 'ours')], stored('manifest.json', '{}')));
  expect(error.code).toBe('VERSION_EXISTS');
  expect(await keys()).toEqual(['m/1/model.onnx']);
  expect(Buffer.from(await content('m/1/model.onnx')).toString()).toBe('theirs');
});

test('a version whose manifest somebody else put first is refused before anything is sent', async () => {
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'm/1/manifest.json', Body: 'theirs' }));
  const store = await s3ModelStore(`s3://${bucket}`);
  const error = await refusal(store.write('m', 1, [stored('model.onnx', 'ours')], stored('manifest.json', '{}')));
  expect(error.code).toBe('VERSION_EXISTS');
  expect(await keys()).toEqual(['m/1/manifest.json']);
});

test('a file that changes on the way leaves no manifest, and no byte of it', async () => {
  const store = await s3ModelStore(`s3://${bucket}`);
  const weights = onDisk('weights.bin', Buffer.from('as it was'));
  onDisk('weights.bin', Buffer.from('as it is!'));
  const error = await refusal(
    store.write('m', 1, [stored('model.onnx', 'model'), weights], stored('manifest.json', '{}')),
  );
  expect(error.code).toBe('FILE_CHANGED');
  expect(await keys()).toEqual(['m/1/model.onnx']);
});

test('a file larger than one part arrives whole, and a changed one leaves no unfinished upload', async () => {
  const partBytes = 5 * 1024 * 1024;
  const store = await s3ModelStore(`s3://${bucket}/big`, { partBytes });
  const bytes = Buffer.alloc(2 * partBytes + 12_345, 'slipway ');
  const weights = onDisk('weights.bin', bytes);
  await store.write('m', 1, [stored('model.onnx', 'model'), weights], stored('manifest.json', '{}'));
  expect(Buffer.from(await content('big/m/1/weights.bin')).equals(bytes)).toBe(true);

  bytes[7_000_000] = 0;
  onDisk('weights.bin', bytes);
  const error = await refusal(store.write('m', 2, [weights], stored('manifest.json', '{}')));
  expect(error.code).toBe('FILE_CHANGED');
  expect((await keys()).filter((key) => key.startsWith('big/m/2/'))).toEqual([]);
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  expect(Uploads).toEqual([]);
});

test('a bucket that is not there is named with what S3 says', async () => {
  const error = await refusal(
    publishModel({ source: DIGITS, name: 'digits', repository: 's3://no-such-bucket/models', golden: false }),
  );
  expect(error.message).toMatch(/^REPOSITORY_UNREACHABLE s3:\/\/no-such-bucket\/models\/: NoSuchBucket: /);
});
