import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { slipway } from '../cli/terminal';
import { sha256 } from '../support/fetching';
import { startFileServer, type FileServer } from '../support/file-server';
import { addOneModel, identityModel } from '../support/onnx-models';
import { publishedRepository, temporaryFolder } from './harness/model-repository';
import { request, startServer } from './harness/running-server';

const MODEL = Buffer.from(addOneModel());

/** A web server with a published version, and everything in it by path. */
async function published(): Promise<{ store: FileServer; uri: string; files: Record<string, Buffer> }> {
  const repository = await publishedRepository('m', MODEL);
  const store = await startFileServer();
  const files: Record<string, Buffer> = {};
  for (const entry of readdirSync(path.join(repository, 'm/1'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(path.join(repository, 'm/1'), file);
    files[name] = readFileSync(file);
    store.files.set(`/m/1/${name}`, files[name]);
  }
  return { store, uri: `${store.url}/m/1/`, files };
}

function contentOf(folder: string): Record<string, Buffer> {
  const found: Record<string, Buffer> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path.relative(folder, file)] = readFileSync(file);
  }
  return found;
}

test('a published version comes from the web, byte for byte, leaves nothing beside it, and a server serves it', async () => {
  const { uri, files } = await published();
  const folder = temporaryFolder();
  const pulled = await slipway('model', 'pull', uri, folder, '--manifest-sha256', sha256(files['manifest.json']!));
  expect(pulled).toEqual({
    status: 0,
    stdout: `${path.join(folder, 'm/1/')}\n`,
    stderr: 'm version 1: every file has its digest\n',
  });
  expect(contentOf(path.join(folder, 'm/1'))).toEqual(files);
  expect(contentOf(folder)).toEqual(
    Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`m/1/${name}`, bytes])),
  );
  const { url } = await startServer({ modelRepository: pathToFileURL(folder).href });
  const answer = await request(`${url}/v2/models/m/versions/1`);
  expect(answer.status).toBe(200);
});

test('a version comes from a folder of this machine, too, and a second pull fetches nothing', async () => {
  const repository = await publishedRepository('m', MODEL);
  const folder = temporaryFolder();
  const uri = pathToFileURL(path.join(repository, 'm/1')).href;
  expect((await slipway('model', 'pull', uri, folder)).status).toBe(0);
  const again = await slipway('model', 'pull', uri, folder);
  expect(again).toMatchObject({ status: 0, stderr: 'm version 1: was there already\n' });
});

test('a file that is not what its manifest says is refused by its digest, and no version appears', async () => {
  const { store, uri, files } = await published();
  const other = Buffer.from(files['model.onnx']!);
  other[other.length - 1]! ^= 1;
  store.files.set('/m/1/model.onnx', other);
  const folder = temporaryFolder();
  const { status, stdout, stderr } = await slipway('model', 'pull', uri, folder);
  expect([status, stdout]).toEqual([3, '']);
  expect(stderr).toContain(
    `file 'model.onnx' has SHA-256 ${sha256(other)}, expected ${sha256(files['model.onnx']!)}: it is not what was published`,
  );
  expect(existsSync(path.join(folder, 'm/1'))).toBe(false);
});

test('with --manifest-only the manifest is read, and nothing is written', async () => {
  const { store, uri } = await published();
  const folder = temporaryFolder();
  expect(await slipway('model', 'pull', uri, folder, '--manifest-only')).toEqual({
    status: 0,
    stdout: 'm version 1 can be read\n',
    stderr: '',
  });
  expect(store.requests.map((one) => one.path)).toEqual(['/m/1/manifest.json']);
  expect(readdirSync(folder)).toEqual([]);
});

test('with --json, which version it is and where it lies is JSON', async () => {
  const { uri } = await published();
  const folder = temporaryFolder();
  const pull = async (...flags: readonly string[]): Promise<unknown> =>
    JSON.parse((await slipway('model', 'pull', uri, folder, '--json', ...flags)).stdout);
  expect(await pull('--manifest-only')).toEqual({ name: 'm', version: 1, isSigned: false });
  const pulled = { name: 'm', version: 1, folder: `${path.join(folder, 'm/1')}/`, isSigned: false };
  expect(await pull()).toEqual({ ...pulled, isNew: true });
  expect(await pull()).toEqual({ ...pulled, isNew: false });
});

test('another manifest than the one that was asked for is refused before any file is fetched', async () => {
  const { store, uri } = await published();
  const folder = temporaryFolder();
  const { status, stderr } = await slipway('model', 'pull', uri, folder, '--manifest-sha256', 'a'.repeat(64));
  expect(status).toBe(3);
  expect(stderr).toContain(`, expected ${'a'.repeat(64)}`);
  expect(store.requests.map((one) => one.path)).toEqual(['/m/1/manifest.json']);
  expect(readdirSync(folder)).toEqual([]);
});

test('what an ended pull had fetched is kept, and only the rest is fetched', async () => {
  const { store, uri, files } = await published();
  store.files.delete('/m/1/model.onnx');
  const folder = temporaryFolder();
  expect((await slipway('model', 'pull', uri, folder)).status).toBe(3);
  expect(existsSync(path.join(folder, 'm/1'))).toBe(false);
  const kept = readdirSync(path.join(folder, '.slipway-pull'), { recursive: true, encoding: 'utf8' }).flatMap((name) =>
    Object.keys(files).filter((file) => name.endsWith(`files/${file}`)),
  );
  expect(kept.length).toBeGreaterThan(0);

  store.files.set('/m/1/model.onnx', files['model.onnx']!);
  store.requests.length = 0;
  expect((await slipway('model', 'pull', uri, folder)).status).toBe(0);
  expect(contentOf(path.join(folder, 'm/1'))).toEqual(files);
  const asked = store.requests.map((one) => path.posix.relative('/m/1', one.path));
  expect(asked.filter((file) => kept.includes(file))).toEqual([]);
});

test('a version that is there with another content is never changed', async () => {
  const { uri } = await published();
  const folder = await publishedRepository('m', identityModel());
  const before = contentOf(folder);
  const { status, stderr } = await slipway('model', 'pull', uri, folder);
  expect(status).toBe(3);
  expect(stderr).toContain('is there already, and holds another model: a version never changes, publish the next one');
  expect(contentOf(folder)).toEqual(before);
});

test('a file of the version that was damaged since, or is gone, is named with what mends it', async () => {
  const { uri, files } = await published();
  const folder = temporaryFolder();
  await slipway('model', 'pull', uri, folder);
  const damaged = path.join(folder, 'm/1/model.onnx');
  cpSync(damaged, `${damaged}.kept`);
  writeFileSync(damaged, 'x');
  expect((await slipway('model', 'pull', uri, folder)).stderr).toContain(
    `${damaged} has SHA-256 ${sha256(Buffer.from('x'))}, expected ${sha256(files['model.onnx']!)}; remove ${path.join(folder, 'm/1/')} and pull it again`,
  );
  rmSync(damaged);
  expect((await slipway('model', 'pull', uri, folder)).stderr).toContain(`${damaged} is missing; remove`);
});

test.each([
  ['no manifest', '/m/1/', 'manifest.json; slipway model publish writes one'],
  ['nothing at all', '/nowhere/', 'manifest.json; slipway model publish writes one'],
])('a folder with %s is not pulled', async (_, at, message) => {
  const { store } = await published();
  store.files.delete('/m/1/manifest.json');
  const folder = temporaryFolder();
  const { status, stderr } = await slipway('model', 'pull', store.url + at, folder);
  expect(status).toBe(3);
  expect(stderr).toContain(message);
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  [['--manifest-sha256', 'abc'], "--manifest-sha256 must be 64 lower-case hexadecimal digits, got 'abc'"],
  [['--timeout-seconds', '0'], "--timeout-seconds must be a whole number from 1 to 86400, got '0'"],
])('%s is refused before anything is asked', async (flags, message) => {
  expect(await slipway('model', 'pull', 'http://127.0.0.1:1/m/1/', '/nowhere', ...flags)).toEqual({
    status: 2,
    stdout: '',
    stderr: `error: ${message}\n`,
  });
});

test('a source that does not answer in time ends the pull, and says that it can go on', async () => {
  const folder = temporaryFolder();
  const { status, stderr } = await slipway(
    'model',
    'pull',
    'http://127.0.0.1:1/m/1/',
    folder,
    '--timeout-seconds',
    '1',
  );
  expect(status).toBe(6);
  expect(stderr).toContain('error: not there after 1 s; started again, it goes on from here');
});

test('files of the same content are all there', async () => {
  const { store, uri, files } = await published();
  const manifest = JSON.parse(files['manifest.json']!.toString()) as { files: { path: string }[] };
  const names = Array.from({ length: 12 }, (_, i) => `same-${i}.bin`);
  const content = Buffer.alloc(100_000, 'x');
  for (const name of names) {
    store.files.set(`/m/1/${name}`, content);
    manifest.files.push({ ...{ bytes: content.byteLength, sha256: sha256(content) }, path: name });
  }
  store.files.set('/m/1/manifest.json', Buffer.from(JSON.stringify(manifest)));
  const folder = temporaryFolder();
  expect(await slipway('model', 'pull', uri, folder)).toMatchObject({ status: 0 });
  const got = contentOf(path.join(folder, 'm/1'));
  expect(names.filter((name) => got[name]?.equals(content) !== true)).toEqual([]);
});

test('what keeps a version from being pulled has the status of its kind', async () => {
  const { store, uri } = await published();
  const folder = temporaryFolder();
  const isFile = path.join(folder, 'file');
  writeFileSync(isFile, '');
  expect(await slipway('model', 'pull', uri, isFile)).toMatchObject({
    status: 6,
    stderr: expect.stringMatching(/^error: (ENOTDIR|EEXIST|ENOENT)/),
  });
  const place = path.join(folder, 'm/1');
  expect(await slipway('model', 'pull', place, folder)).toEqual({
    status: 2,
    stdout: '',
    stderr: `error: version must be a URI as slipway model publish prints it, got '${place}'; a folder of this machine is ${pathToFileURL(place).href}\n`,
  });
  store.files.set('/m/1/manifest.json', Buffer.from('{}'));
  expect(await slipway('model', 'pull', uri, folder)).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('MANIFEST_INVALID'),
  });
});
