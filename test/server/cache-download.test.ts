import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { ModelReference } from '../../runtime/spec/model-reference';
import { MIB, PART_BYTES, fetchIt, referenceTo, filesIn, bytesRead } from '../support/fetching';
import { startFileServer, type FileServer } from '../support/file-server';
import { temporaryFolder } from './harness/model-repository';
import { startServerProcess } from './harness/server-process';
import { until } from './harness/until';

test('a large file comes in parts of one object, and a hit reads none of it again', async () => {
  const store = await startFileServer();
  const weights = randomBytes(40 * MIB + 123);
  const reference = referenceTo(store, weights);
  const cache = temporaryFolder();
  const first = await fetchIt(reference, cache);
  expect(readFileSync(path.join(first.folder, 'weights.bin')).equals(weights)).toBe(true);
  const parts = store.requests.filter(({ path: at }) => at === '/m/1/weights.bin').map(({ range }) => range);
  expect(parts.filter((range) => range !== 'bytes=0-0')).toHaveLength(6);
  expect(parts).toContain(`bytes=${5 * PART_BYTES}-${40 * MIB + 122}`);
  const entry = path.dirname(path.relative(cache, first.folder));
  const kept = ['entry.json', 'files/model.onnx', 'files/weights.bin'];
  expect(filesIn(cache)).toEqual(kept.map((name) => path.join(entry, name)));

  const asked = store.requests.length;
  const before = bytesRead();
  const second = await fetchIt(reference, cache);
  expect(second.folder).toBe(first.folder);
  expect(store.requests).toHaveLength(asked);
  expect(bytesRead() - before).toBeLessThan(MIB);
});

test('parts that break off or are refused are asked for again, and only they', async () => {
  let cut = 0;
  const store = await startFileServer({
    fault: (request, response, count) => {
      if (count % 3 === 0 && count < 10) return response.writeHead(503).end() !== undefined;
      const { range = '' } = request.headers;
      if (!range.startsWith(`bytes=${2 * PART_BYTES}-`) || cut >= 2) return false;
      cut += 1;
      response.writeHead(206, {
        'Content-Range': `${range.replace('=', ' ')}/${48 * MIB}`,
        'Content-Length': PART_BYTES,
      });
      response.write(Buffer.alloc(MIB), () => response.destroy());
      return true;
    },
    hasTags: false,
  });
  const weights = randomBytes(48 * MIB);
  const retries: string[] = [];
  const { folder } = await fetchIt(referenceTo(store, weights), temporaryFolder(), { retries });
  expect(readFileSync(path.join(folder, 'weights.bin')).equals(weights)).toBe(true);
  expect(cut).toBe(2);
  expect(retries.filter((reason) => /cannot be read to its end/.test(reason))).toHaveLength(2);
  expect(retries.filter((reason) => /\(503\)/.test(reason)).length).toBeGreaterThanOrEqual(2);
  expect(store.bytes).toBeLessThan(48 * MIB + MIB);
});

test('a server that sends files whole only is taken as it is', async () => {
  const store = await startFileServer({ hasRanges: false });
  const weights = randomBytes(33 * MIB);
  const { folder } = await fetchIt(referenceTo(store, weights), temporaryFolder());
  expect(readFileSync(path.join(folder, 'weights.bin')).equals(weights)).toBe(true);
});

test('what is replaced while it is fetched is fetched anew, and never mixed', async () => {
  const before = randomBytes(40 * MIB);
  const after = randomBytes(40 * MIB);
  const store: FileServer = await startFileServer({
    fault: (request) => {
      if (request.headers.range?.startsWith(`bytes=${4 * PART_BYTES}-`)) store.files.set('/m/1/model.onnx', after);
      return false;
    },
  });
  store.files.set('/m/1/model.onnx', before);
  const reference: ModelReference = { name: 'm', version: 1, folder: `${store.url}/m/1/` };
  const retries: string[] = [];
  const cache = temporaryFolder();
  const { modelPath } = await fetchIt(reference, cache, { retries });
  expect(readFileSync(modelPath).equals(after)).toBe(true);
  expect(retries[0]).toMatch(/m\/1\/model\.onnx cannot be read \(412\)|was replaced/);
});

test('what is not what was published is refused, and nothing of it is kept', async () => {
  const store = await startFileServer();
  const weights = randomBytes(40 * MIB);
  const reference = referenceTo(store, weights);
  const cache = temporaryFolder();
  const forged = Buffer.from(weights);
  forged[39 * MIB]! ^= 1;
  store.files.set('/m/1/weights.bin', forged);
  await expect(fetchIt(reference, cache)).rejects.toThrow(/'weights\.bin' has SHA-256 [0-9a-f]{64}, expected/);
  store.files.set('/m/1/weights.bin', weights.subarray(0, 39 * MIB));
  await expect(fetchIt(reference, cache)).rejects.toThrow(/'weights\.bin' is 40894464 bytes, expected 41943040/);
  expect(filesIn(cache).filter((name) => /weights/.test(name))).toEqual([]);
});

test('parts that were kept and are not what they should be are fetched anew', async () => {
  const store = await startFileServer();
  const weights = randomBytes(40 * MIB);
  const reference = referenceTo(store, weights);
  const cache = temporaryFolder();
  const stop = new AbortController();
  const broken = await startFileServer({
    fault: (request, response) => {
      if (!request.headers.range?.startsWith(`bytes=${4 * PART_BYTES}-`)) return false;
      response.writeHead(400).end();
      return true;
    },
  });
  for (const [name, bytes] of store.files) broken.files.set(name, bytes);
  const elsewhere = {
    ...reference,
    files: reference.files!.map((file) => ({ ...file, uri: file.uri.replace(store.url, broken.url) })),
  };
  await expect(fetchIt(elsewhere, cache, { signal: stop.signal })).rejects.toThrow('(400)');
  const [partial] = filesIn(cache).filter((name) => name.endsWith('partial/weights.bin'));
  const bytes = readFileSync(path.join(cache, partial!));
  expect(readFileSync(path.join(cache, `${partial}.journal`), 'utf8')).toMatch(/\n[0-3]\n/);
  writeFileSync(path.join(cache, partial!), Buffer.alloc(bytes.byteLength));
  const retries: string[] = [];
  const { folder } = await fetchIt(reference, cache, { retries });
  expect(readFileSync(path.join(folder, 'weights.bin')).equals(weights)).toBe(true);
  expect(retries).toEqual([expect.stringMatching(/what was kept of .* is not part of it$/)]);
});

test('a server that was killed while it fetched goes on where it was', async () => {
  const store = await startFileServer({ pauseMs: 4 });
  const weights = randomBytes(64 * MIB);
  const models = JSON.stringify([referenceTo(store, weights)]);
  const environment = { SLIPWAY_MODELS: models, SLIPWAY_CACHE_DIRECTORY: temporaryFolder() };
  const killed = await startServerProcess(environment);
  await until('half of it is there', () => store.bytes > 40 * MIB);
  killed.child.kill('SIGKILL');
  await killed.exited;
  const [journal] = filesIn(environment.SLIPWAY_CACHE_DIRECTORY).filter((name) => name.endsWith('weights.bin.journal'));
  const there =
    readFileSync(path.join(environment.SLIPWAY_CACHE_DIRECTORY, journal!), 'utf8').trim().split('\n').length - 1;
  expect(there).toBeGreaterThanOrEqual(1);
  store.bytes = 0;
  const second = await startServerProcess(environment);
  await second.waitFor('ready');
  expect(store.bytes).toBeLessThan((8 - there) * PART_BYTES + MIB);
});

test('a download whose server is killed is taken over by the one that waits for it', async () => {
  const store = await startFileServer({ pauseMs: 4 });
  const models = JSON.stringify([referenceTo(store, randomBytes(40 * MIB))]);
  const environment = { SLIPWAY_MODELS: models, SLIPWAY_CACHE_DIRECTORY: temporaryFolder() };
  const killed = await startServerProcess(environment);
  await until('it fetches', () => store.bytes > 8 * MIB);
  const waiting = await startServerProcess(environment);
  await waiting.waitFor('loading models');
  killed.child.kill('SIGKILL');
  await waiting.waitFor('ready');
  expect(store.bytes).toBeLessThan(80 * MIB);
});
