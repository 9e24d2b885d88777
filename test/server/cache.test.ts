import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { ModelFileReference, ModelReference } from '../../runtime/spec/model-reference';
import { MIB, MODEL, fetchIt, sha256, referenceTo, filesIn, bytesRead } from '../support/fetching';
import { startFileServer, type FileServer } from '../support/file-server';
import { temporaryFolder } from './harness/model-repository';
import { startServerProcess } from './harness/server-process';

test('a local model is hashed once, and used where it lies', async () => {
  const folder = temporaryFolder();
  const weights = randomBytes(8 * MIB);
  const file = (at: string, bytes: Buffer): ModelFileReference => {
    writeFileSync(path.join(folder, at), bytes);
    const uri = pathToFileURL(path.join(folder, at)).href;
    return { path: at, uri, bytes: bytes.byteLength, sha256: sha256(bytes) };
  };
  const reference = { name: 'm', version: 1, files: [file('model.onnx', MODEL), file('weights.bin', weights)] };
  const cache = temporaryFolder();
  expect((await fetchIt(reference, cache)).folder).toBe(`${folder}/`);
  const before = bytesRead();
  await fetchIt(reference, cache);
  expect(bytesRead() - before).toBeLessThan(MIB);
  writeFileSync(path.join(folder, 'weights.bin'), Buffer.from(weights).reverse());
  await expect(fetchIt(reference, cache)).rejects.toThrow(/'weights\.bin' has SHA-256/);
});

test('a cached file that was changed is hashed again and fetched anew', async () => {
  const store = await startFileServer();
  const weights = randomBytes(2 * MIB);
  const reference = referenceTo(store, weights);
  const cache = temporaryFolder();
  const { folder } = await fetchIt(reference, cache);
  const file = path.join(folder, 'weights.bin');
  const { atime, mtime } = statSync(file);
  const changed = Buffer.from(weights);
  changed[MIB]! ^= 1;
  writeFileSync(file, changed);
  utimesSync(file, atime, mtime);
  const asked = store.requests.length;
  expect(readFileSync(path.join((await fetchIt(reference, cache)).folder, 'weights.bin')).equals(weights)).toBe(true);
  expect(store.requests.slice(asked).map(({ path: at }) => at)).toEqual(['/m/1/weights.bin']);
});

test('files without digests are known again by their tags, and fetched again where there are none', async () => {
  const cache = temporaryFolder();
  for (const hasTags of [true, false]) {
    const store = await startFileServer({ hasTags });
    store.files.set('/m/1/model.onnx', MODEL);
    const reference: ModelReference = { name: `tags-${hasTags}`, version: 1, folder: `${store.url}/m/1/` };
    const first = await fetchIt(reference, cache);
    const bytes = store.bytes;
    const second = await fetchIt(reference, cache);
    expect(second.folder === first.folder).toBe(hasTags);
    expect(store.bytes - bytes < MODEL.byteLength).toBe(hasTags);
    store.files.set('/m/1/model.onnx', Buffer.concat([MODEL, MODEL]));
    const third = await fetchIt(reference, cache);
    expect(readFileSync(third.modelPath)).toHaveLength(2 * MODEL.byteLength);
    expect(readFileSync(first.modelPath)).toEqual(MODEL);
  }
});

test('a bounded cache removes what was used longest ago, and never what is in use', async () => {
  const store = await startFileServer();
  const cache = temporaryFolder();
  const models = ['a', 'b', 'c', 'd'].map((name) => referenceTo(store, randomBytes(3 * MIB), name));
  const bounded = { cacheMiB: 8 };
  const [a, b] = [await fetchIt(models[0]!, cache, bounded), await fetchIt(models[1]!, cache, bounded)];
  const cached = (): string[] =>
    readdirSync(path.join(cache, 'models'))
      .map((name) => name[0]!)
      .toSorted();

  await expect(fetchIt(models[2]!, cache, bounded)).rejects.toThrow(
    /need 4 MiB, the cache may hold 8 MiB, of which models that are being served hold 7 MiB; set SLIPWAY_CACHE_MIB higher/,
  );
  await a.release();
  await (await fetchIt(models[2]!, cache, bounded)).release();
  expect(cached()).toEqual(['b', 'c']);
  await b.release();
  // Used again, so that c is the one that was used longest ago.
  await (await fetchIt(models[1]!, cache, bounded)).release();
  await (await fetchIt(models[3]!, cache, bounded)).release();
  expect(cached()).toEqual(['b', 'd']);
  await expect(fetchIt(models[3]!, cache, { cacheMiB: 2 })).rejects.toThrow(
    /need 4 MiB, the cache may hold 2 MiB; set/,
  );
  await expect(fetchIt(models[0]!, cache, { cacheMiB: 2 })).rejects.toThrow(
    /need 4 MiB, the cache may hold 2 MiB; set/,
  );
});

test('users that come and go never lose a file that they use, and leave no more than the bound', async () => {
  const store = await startFileServer();
  const models = ['a', 'b', 'c', 'd', 'e'].map((name) => {
    const weights = randomBytes(MIB + 100 * name.charCodeAt(0));
    return { reference: referenceTo(store, weights, name), weights };
  });
  const cache = temporaryFolder();
  mkdirSync(path.join(cache, 'volume'));
  let served = 0;
  let refused = 0;
  const user = async (i: number): Promise<void> => {
    // By another path each is a user of its own, as another process would be.
    const mount = path.join(cache, `mount-${i}`);
    symlinkSync(path.join(cache, 'volume'), mount);
    for (let round = 0; round < 15; round++) {
      const { reference, weights } = models[(i * 7 + round * round) % models.length]!;
      try {
        const model = await fetchIt(reference, mount, { cacheMiB: 4 });
        await wait(5 * (round % 4));
        expect(readFileSync(path.join(model.folder, 'weights.bin')).equals(weights)).toBe(true);
        await model.release();
        served += 1;
      } catch (error) {
        expect((error as Error).message).toMatch(/of which models that are being served hold/);
        refused += 1;
      }
    }
  };
  await Promise.all([0, 1, 2, 3].map(user));
  expect({ all: served + refused, isMostServed: served > refused }).toEqual({ all: 60, isMostServed: true });
  expect(readdirSync(path.join(cache, 'volume', 'models')).filter((name) => /^(lock|removing)/.test(name))).toEqual([]);
  const bytes = filesIn(path.join(cache, 'volume')).map((name) => statSync(path.join(cache, 'volume', name)).size);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(4 * MIB + 10_000);
});

test('what is written down of digests counts for nothing where others could have written it', async () => {
  const store = await startFileServer();
  const reference = referenceTo(store, randomBytes(8 * MIB));
  const cache = temporaryFolder();
  await fetchIt(reference, cache);
  const readBy = async (): Promise<number> => {
    const before = bytesRead();
    await fetchIt(reference, cache);
    return bytesRead() - before;
  };
  expect(await readBy()).toBeLessThan(MIB);
  chmodSync(path.join(cache, 'digests'), 0o777);
  expect(await readBy()).toBeGreaterThan(8 * MIB);
});

test('a lock of another container holds as long as its process says that it lives', async () => {
  const store = await startFileServer();
  const reference = referenceTo(store, randomBytes(10));
  const cache = temporaryFolder();
  await (await fetchIt(reference, cache)).release();
  const [entry] = readdirSync(path.join(cache, 'models'));
  rmSync(path.join(cache, 'models', entry!, 'files', 'weights.bin'));
  const user = path.join(cache, 'users', 'other.json');
  writeFileSync(user, JSON.stringify({ pid: 1, start: '1', space: 'another container', entries: [entry] }));
  const then = Date.now() / 1_000 - 17;
  utimesSync(user, then, then);
  writeFileSync(path.join(cache, 'models', entry!, 'lock-other-0'), '');
  const asked = store.requests.length;
  const fetching = fetchIt(reference, cache);
  await wait(500);
  expect(store.requests).toHaveLength(asked);
  await fetching;
  expect(store.requests.slice(asked).map(({ path: at }) => at)).toEqual(['/m/1/weights.bin']);
  expect(readdirSync(path.join(cache, 'models', entry!))).toEqual(['entry.json', 'files']);
  expect(existsSync(user)).toBe(false);
});

test('what ended processes left is cleared away, but not what another goes on with', async () => {
  const store = await startFileServer();
  const cache = temporaryFolder();
  const leave = (name: string, hoursAgo: number): void => {
    const entry = path.join(cache, 'models', name);
    mkdirSync(path.join(entry, 'partial'), { recursive: true });
    writeFileSync(path.join(entry, 'partial', 'model.onnx'), 'half');
    writeFileSync(path.join(entry, 'entry.json'), JSON.stringify({ bytes: 8, isComplete: false, files: [] }));
    const then = Date.now() / 1_000 - hoursAgo * 3_600;
    utimesSync(path.join(entry, 'entry.json'), then, then);
  };
  leave('old@1-0123456789abcdef', 30);
  leave('new@1-0123456789abcdef', 1);
  leave('removing-0123', 0);
  await fetchIt(referenceTo(store, randomBytes(10)), cache);
  expect(readdirSync(path.join(cache, 'models')).map((name) => name.split('@')[0])).toEqual(['m', 'new']);
});

test('a full disk is told as such, after what is not in use has made room', async (ctx) => {
  const cache = temporaryFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', cache], { stdio: 'ignore' });
  } catch {
    return ctx.skip('no right to mount a small file system');
  }
  onTestFinished(() => void execFileSync('umount', ['-l', cache]));
  const store = await startFileServer();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => referenceTo(store, randomBytes(10 * MIB), name));
  await (await fetchIt(a!, cache)).release();
  await fetchIt(b!, cache);
  expect(readdirSync(path.join(cache, 'models')).map((name) => name[0])).toEqual(['b']);
  await expect(fetchIt(c!, cache)).rejects.toMatchObject({
    code: 'NO_DISK_SPACE',
    message: expect.stringMatching(/^the models need 11 MiB in .*, [56] MiB are free; give the replica more storage/),
  });

  // Nobody said how large it is, so it is found out on the way.
  store.files.set('/d/1/model.onnx', randomBytes(10 * MIB));
  const unsized: ModelReference = { name: 'd', version: 1, folder: `${(await withoutSizes(store)).url}/d/1/` };
  await expect(fetchIt(unsized, cache)).rejects.toMatchObject({
    code: 'NO_DISK_SPACE',
    message: expect.stringContaining('no space left in'),
  });
});

/** The same files from a server that tells no sizes. */
function withoutSizes(store: FileServer): Promise<FileServer> {
  return startFileServer({
    fault: (request, response) => {
      const file = store.files.get(request.url!);
      if (file === undefined) return false;
      response.writeHead(200, { ETag: '"d"' });
      response.end(file);
      return true;
    },
  });
}

test('servers that share a cache share one download', async () => {
  const store = await startFileServer({ pauseMs: 2 });
  const weights = randomBytes(40 * MIB);
  const models = JSON.stringify([referenceTo(store, weights)]);
  const environment = { SLIPWAY_MODELS: models, SLIPWAY_CACHE_DIRECTORY: temporaryFolder() };
  const servers = await Promise.all([startServerProcess(environment), startServerProcess(environment)]);
  await Promise.all(servers.map((server) => server.waitFor('ready')));
  expect(store.bytes).toBeLessThan(41 * MIB);
});
