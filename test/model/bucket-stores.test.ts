import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import type { ModelStore, StoredFile } from '../../runtime/model/model-store';
import { publishModel } from '../../runtime/model/publish-model';
import { azureObjectStore } from '../../runtime/model/stores/azure-object-store';
import { gcsObjectStore } from '../../runtime/model/stores/gcs-object-store';
import { objectModelStore } from '../../runtime/model/stores/object-model-store';
import { openRemoteStore } from '../../runtime/model/stores/remote-store';
import { s3ObjectStore } from '../../runtime/model/stores/s3-object-store';
import { sourceOf } from '../../runtime/sources/source-of';
import { parseRepositoryIndex } from '../../runtime/spec/repository-index';
import { temporaryFolder } from '../server/harness/model-repository';
import { startBucket, stopBuckets, STORE_KINDS } from '../support/bucket-stores';
import type { StoreKind } from '../support/store-proxy';
import { refusal } from './refusal';

const DIGITS = 'models/digits/model.onnx';
/** S3's smallest part, and a multiple of what Google's chunks are made of. */
const PART_BYTES = 5 * 2 ** 20;
const signal = new AbortController().signal;

afterAll(stopBuckets);

/** The store with parts so small that a file of a test has several. */
async function storeOfParts(kind: StoreKind, uri: string): Promise<ModelStore> {
  if (kind === 'gs') return objectModelStore(gcsObjectStore(uri, { chunkBytes: PART_BYTES }));
  if (kind === 'az') return objectModelStore(await azureObjectStore(uri, { blockBytes: PART_BYTES }));
  return objectModelStore(await s3ObjectStore(kind, uri, { partBytes: PART_BYTES }));
}

function inMemory(file: string, text: string): StoredFile {
  const content = Buffer.from(text);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { path: file, bytes: content.byteLength, sha256, content };
}

function onDisk(name: string, bytes: Uint8Array): StoredFile {
  const localPath = path.join(temporaryFolder(), name);
  writeFileSync(localPath, bytes);
  return { path: name, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex'), localPath };
}

async function contentOf(uri: string): Promise<Buffer> {
  return Buffer.concat(await (await sourceOf(uri).open(uri, signal)).toArray());
}

const manifest = inMemory('manifest.json', '{"schema": "any"}');

test.for(STORE_KINDS)('%s:// takes a published model, and the server reads every byte of it', async (kind, ctx) => {
  const { uri } = await startBucket(kind, ctx);
  const published = await publishModel({ source: DIGITS, name: 'digits', repository: uri });
  expect(published.uri).toBe(`${uri}digits/1/`);
  expect(published.indexFailure).toBeUndefined();
  for (const { path: name, sha256 } of published.manifest.files) {
    const bytes = await contentOf(published.uri + name);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
  }
  const index = parseRepositoryIndex((await contentOf(`${uri}slipway-index.json`)).toString(), 'index');
  expect(index.versions).toEqual([{ name: 'digits', version: 1, manifestSha256: published.manifestSha256 }]);

  const store = await openRemoteStore(uri);
  expect(await store.models()).toEqual(['digits']);
  expect(await store.versions('digits')).toEqual([1]);
  const files = await store.files('digits/1/');
  expect(files.map((file) => file.path).sort()).toEqual(
    ['golden/input-0.bin', 'golden/output-0.bin', 'manifest.json', 'model.onnx'].sort(),
  );
  expect(files.every(({ modified }) => Math.abs(Date.now() - modified.getTime()) < 3_600_000)).toBe(true);
  expect((await publishModel({ source: DIGITS, name: 'digits', repository: uri })).manifest.version).toBe(2);
  const again = await refusal(publishModel({ source: DIGITS, name: 'digits', repository: uri, version: 1 }));
  expect(again.code).toBe('VERSION_EXISTS');
});

test.for(STORE_KINDS)(
  'of publishers of one version to %s:// one wins, and its files are untouched',
  async (kind, ctx) => {
    const { uri } = await startBucket(kind, ctx);
    const store = await openRemoteStore(uri);
    const contenders = Array.from({ length: 6 }, (_, i) => [
      inMemory('model.onnx', `model of ${i}`),
      inMemory('manifest.json', `{"of": ${i}}`),
    ]);
    const outcomes = await Promise.allSettled(contenders.map(([model, last]) => store.write('m', 1, [model!], last!)));
    const winners = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
    expect(winners).toHaveLength(1);
    expect((await contentOf(`${uri}m/1/model.onnx`)).toString()).toBe(`model of ${winners[0]}`);
    expect((await contentOf(`${uri}m/1/manifest.json`)).toString()).toBe(`{"of": ${winners[0]}}`);
  },
);

test.for(STORE_KINDS)('of twins who publish the same files to %s:// one wins as well', async (kind, ctx) => {
  const { uri } = await startBucket(kind, ctx);
  const store = await openRemoteStore(uri);
  const model = inMemory('model.onnx', 'the same');
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => store.write('m', 1, [model], manifest)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect((await contentOf(`${uri}m/1/model.onnx`)).toString()).toBe('the same');
});

test.for(STORE_KINDS)(
  'an interrupted publish to %s:// is finished without sending again what is there',
  async (kind, ctx) => {
    const { uri, proxy } = await startBucket(kind, ctx);
    const weights = onDisk('weights.bin', randomBytes(4 * PART_BYTES + 1_234));
    const files = [inMemory('model.onnx', 'graph'), weights];
    let parts = 0;
    const dying = (await storeOfParts(kind, uri)).write('m', 1, files, manifest, (file) => {
      if (file === 'weights.bin' && ++parts === 3) throw new Error('killed');
    });
    await expect(dying).rejects.toThrow('killed');
    const store = await storeOfParts(kind, uri);
    expect(await store.read('m/1/manifest.json')).toBeUndefined();
    expect(await store.isBegun('m', 1, files)).toBe(true);
    expect(await store.isBegun('m', 1, [inMemory('model.onnx', 'another'), weights])).toBe(false);

    proxy.takeSentBytes();
    const there: boolean[] = [];
    await store.write('m', 1, files, manifest, (file, _, wereThere) => {
      if (file === 'weights.bin') there.push(wereThere);
    });
    expect(there).toEqual([true, true, true, false, false]);
    // Two of five parts, and what requests say besides.
    expect(proxy.takeSentBytes()).toBeLessThan(PART_BYTES + 1_234 + 64 * 1024);
    expect((await contentOf(`${uri}m/1/weights.bin`)).equals(await contentOfFile(weights))).toBe(true);
    expect(await store.isBegun('m', 1, files)).toBe(false);
  },
);

test.for(STORE_KINDS)('another file of the same name does not continue an upload to %s://', async (kind, ctx) => {
  const { uri } = await startBucket(kind, ctx);
  let parts = 0;
  const first = onDisk('weights.bin', randomBytes(3 * PART_BYTES));
  const dying = (await storeOfParts(kind, uri)).write('m', 1, [first], manifest, () => {
    if (++parts === 2) throw new Error('killed');
  });
  await expect(dying).rejects.toThrow('killed');
  const second = onDisk('weights.bin', randomBytes(3 * PART_BYTES));
  await (await storeOfParts(kind, uri)).write('m', 1, [second], manifest);
  expect((await contentOf(`${uri}m/1/weights.bin`)).equals(await contentOfFile(second))).toBe(true);
});

test.for(STORE_KINDS)('a small file of %s:// is replaced only by who knows what is there', async (kind, ctx) => {
  const { uri } = await startBucket(kind, ctx);
  const store = await openRemoteStore(uri);
  expect(await store.read('m/version-labels.json')).toBeUndefined();
  expect(await store.replace('m/version-labels.json', Buffer.from('one'), undefined)).toBe(true);
  expect(await store.replace('m/version-labels.json', Buffer.from('two'), undefined)).toBe(false);
  const { tag } = (await store.read('m/version-labels.json'))!;
  const outcomes = await Promise.all(
    ['a', 'b', 'c', 'd'].map((text) => store.replace('m/version-labels.json', Buffer.from(text), tag)),
  );
  expect(outcomes.filter((isOurs) => isOurs)).toHaveLength(1);
  const { content } = (await store.read('m/version-labels.json'))!;
  expect(content.toString()).toBe(['a', 'b', 'c', 'd'][outcomes.indexOf(true)]);
  await store.delete('m/version-labels.json');
  await store.delete('m/version-labels.json');
  expect(await store.files('m/')).toEqual([]);
});

test.for(['s3', 'gs'] as const)(
  'a publisher to %s:// who may not list the whole bucket is told nothing of what is missing, and publishes all the same',
  async (kind, ctx) => {
    const { uri, proxy } = await startBucket(kind, ctx);
    const store = await openRemoteStore(uri);
    proxy.hideMissing();
    await store.write('m', 1, [inMemory('model.onnx', 'graph')], manifest);
    expect((await contentOf(`${uri}m/1/model.onnx`)).toString()).toBe('graph');
    const error = await refusal(store.write('m', 1, [inMemory('model.onnx', 'another')], manifest));
    expect(error.code).toBe('VERSION_EXISTS');
  },
);

test.for(STORE_KINDS)(
  'a network that is lost on the way to %s:// is one sentence, and nothing is published',
  async (kind, ctx) => {
    const { uri, proxy } = await startBucket(kind, ctx);
    const store = await openRemoteStore(uri);
    await store.versions('m');
    proxy.loseNetwork(true);
    const error = await refusal(store.write('m', 1, [inMemory('model.onnx', 'graph')], manifest));
    expect(error.code).toBe('REPOSITORY_UNREACHABLE');
    expect(error.message.startsWith(`REPOSITORY_UNREACHABLE ${uri}: `)).toBe(true);
    expect(error.message).not.toContain('\n');
    proxy.loseNetwork(false);
    expect(await store.versions('m')).toEqual([]);
  },
);

test.for(STORE_KINDS)('a network that is back after two seconds ends no publish to %s://', async (kind, ctx) => {
  const { uri, proxy } = await startBucket(kind, ctx);
  const store = await openRemoteStore(uri);
  await store.versions('m');
  proxy.loseNetwork(true);
  const back = setTimeout(() => proxy.loseNetwork(false), 2_000);
  onTestFinished(() => clearTimeout(back));
  await store.write('m', 1, [inMemory('model.onnx', 'graph')], manifest);
  expect(await store.versions('m')).toEqual([1]);
});

test('what Google says of a request that it refuses is said', async () => {
  const server = createServer((request, response) => {
    const [status, message] =
      request.method === 'GET' ? [404, 'The specified bucket\n does not exist.'] : [403, 'no right'];
    response.writeHead(status).end(JSON.stringify({ error: { code: status, message } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  vi.stubEnv('STORAGE_EMULATOR_HOST', `127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    server.close();
  });
  const store = await openRemoteStore('gs://models/x');
  expect((await refusal(store.versions('m'))).message).toMatch(
    /Google answers 404 to GET \/storage\/v1\/b\/models\/o: The specified bucket\\n does not exist\.$/,
  );
  const written = await refusal(store.write('m', 1, [inMemory('model.onnx', 'graph')], manifest));
  expect(written.message).toMatch(/Google answers 403 to POST .*: no right$/);
});

test.for([
  ['s3', 's3://UPPER', 'must be s3://<bucket>'],
  ['oss', 'oss://', 'must be oss://<bucket>'],
  ['gs', 'gs://a', 'must be gs://<bucket>'],
  ['az', 'az://account', 'must be az://<account>/<container>'],
  ['ftp', 'ftp://host/models', "got the scheme 'ftp'"],
] as const)('a repository of %s that is no bucket is refused in one sentence', async ([, uri, text]) => {
  const error = await refusal(openRemoteStore(uri));
  expect(error.code).toBe('REPOSITORY_INVALID');
  expect(error.message).toContain(text);
});

async function contentOfFile(file: StoredFile): Promise<Buffer> {
  return contentOf(`file://${(file as { localPath: string }).localPath}`);
}
