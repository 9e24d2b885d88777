import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { SpecError } from '../spec/errors';
import { parseManifest, type ModelManifest } from '../spec/model-manifest';
import type { ModelReference } from '../spec/model-reference';
import { MANIFEST_FILE, MODEL_FILE } from '../spec/model-repository';
import { StartupError } from './errors';
import { forEachLimited } from './for-each-limited';
import { ModelError } from './model-error';
import { SourceError } from './model-source';
import { retry } from './retry';
import { sourceOf } from './source-of';

/** A model version on this machine, every file of a known digest checked. */
export interface FetchedModel {
  readonly folder: string;
  readonly modelPath: string;
  readonly manifest?: ModelManifest;
}

export interface FetchOptions {
  readonly cacheDirectory: string;
  readonly signal: AbortSignal;
  readonly onRetry: (error: SourceError) => void;
}

/** A file to fetch; without a digest when nothing states one. */
interface WantedFile {
  readonly path: string;
  readonly uri: string;
  readonly bytes?: number;
  readonly sha256?: string;
}

const DOWNLOADS_AT_ONCE = 4;
const PARTIAL = '.partial';
/** Nobody fetches into a file that has not grown for so long: a store that sends nothing is given up sooner. */
const ABANDONED_MS = 120_000;

/**
 * Makes a model version available as a folder. Files of a local folder are used where they lie, others are downloaded into the cache.
 * @throws ModelError when a file is missing or its digest differs, StartupError NO_DISK_SPACE or
 * CACHE_UNUSABLE.
 */
export async function fetchModel(reference: ModelReference, options: FetchOptions): Promise<FetchedModel> {
  try {
    const wanted = reference.files ?? (await filesOfFolder(reference, options));
    if (!wanted.some((file) => file.path === MODEL_FILE)) throw new ModelError(`${MODEL_FILE} is not among its files`);
    const local = localFolder(wanted);
    if (local !== undefined) await Promise.all(wanted.map((file) => checkFile(file, path.join(local, file.path))));
    const folder = local ?? (await download(reference, wanted, options));
    const hasManifest = wanted.some((file) => file.path === MANIFEST_FILE);
    const manifest = hasManifest ? await readManifest(folder, reference) : undefined;
    return { folder, modelPath: path.join(folder, MODEL_FILE), ...(manifest === undefined ? {} : { manifest }) };
  } catch (error) {
    throw error instanceof SourceError || SpecError.is(error) ? new ModelError(error.message) : error;
  }
}

/** What a version's folder holds: what its manifest lists; without one, the files that lie there. */
async function filesOfFolder(reference: ModelReference, options: FetchOptions): Promise<readonly WantedFile[]> {
  const folder = reference.folder!;
  const text = await readText(`${folder}${MANIFEST_FILE}`, options);
  if (text !== undefined) {
    const { files } = parseManifest(text, `${folder}${MANIFEST_FILE}`);
    const sha256 = createHash('sha256').update(text).digest('hex');
    const manifest = { path: MANIFEST_FILE, uri: `${folder}${MANIFEST_FILE}`, sha256 };
    return [...files.map((file) => ({ ...file, uri: fileUri(folder, file.path) })), manifest];
  }
  const names = await listFiles(folder, options);
  return names.map((name) => ({ path: name, uri: fileUri(folder, name) }));
}

async function listFiles(folder: string, { signal, onRetry }: FetchOptions): Promise<readonly string[]> {
  try {
    const entries = await retry(() => sourceOf(folder).list(folder, signal), signal, onRetry);
    return entries.filter(({ isFolder }) => !isFolder).map(({ name }) => name);
  } catch (error) {
    // A deployed replica may read objects and not list them.
    if (error instanceof SourceError && error.failure === 'missing') return [MODEL_FILE];
    throw error;
  }
}

function fileUri(folder: string, file: string): string {
  // A file URI is percent-encoded, an object key is not.
  return folder.startsWith('file:') ? folder + file.split('/').map(encodeURIComponent).join('/') : folder + file;
}

async function readText(uri: string, { signal, onRetry }: FetchOptions): Promise<string | undefined> {
  try {
    return await retry(
      async () => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of chunksOf(await sourceOf(uri).open(uri, signal), uri)) chunks.push(chunk);
        return Buffer.concat(chunks).toString('utf8');
      },
      signal,
      onRetry,
    );
  } catch (error) {
    if (error instanceof SourceError && error.failure === 'missing') return undefined;
    throw error;
  }
}

/** The folder, when all files lie in one on this machine under their own names. */
function localFolder(files: readonly WantedFile[]): string | undefined {
  const folders = new Set(
    files.map(({ uri, path: name }) => {
      const file = sourceOf(uri).localPath?.(uri);
      return file?.endsWith(`${path.sep}${path.normalize(name)}`) ? file.slice(0, -name.length) : undefined;
    }),
  );
  const [folder] = folders;
  return folders.size === 1 ? folder : undefined;
}

async function download(
  { name, version }: ModelReference,
  files: readonly WantedFile[],
  options: FetchOptions,
): Promise<string> {
  const fingerprint = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 16);
  const folder = path.join(options.cacheDirectory, name, String(version), fingerprint);
  const missing: WantedFile[] = [];
  for (const file of files) if (!(await isCached(file, folder))) missing.push(file);
  try {
    await mkdir(folder, { recursive: true });
    await assertDiskSpace(options.cacheDirectory, missing);
    await forEachLimited(missing, DOWNLOADS_AT_ONCE, (file) =>
      retry(() => downloadFile(file, path.join(folder, file.path), options.signal), options.signal, options.onRetry),
    );
  } catch (error) {
    throw describeDiskError(error, options.cacheDirectory);
  }
  return folder;
}

/** Without a digest there is nothing to recognise a file by, so it is fetched again. */
async function isCached(file: WantedFile, folder: string): Promise<boolean> {
  if (file.sha256 === undefined) return false;
  const local = path.join(folder, file.path);
  const stats = await stat(local).catch(() => undefined);
  if (stats === undefined || (file.bytes !== undefined && stats.size !== file.bytes)) return false;
  return (await sha256Of(local)) === file.sha256;
}

async function downloadFile(file: WantedFile, local: string, signal: AbortSignal): Promise<void> {
  const stream = await sourceOf(file.uri).open(file.uri, signal);
  await mkdir(path.dirname(local), { recursive: true });
  await removeAbandoned(local);
  // Renamed when it is whole and right: a file under its own name in the cache is never half a file. The name is nobody
  // else's: containers that share a cache may all be process 1.
  const partial = `${local}.${randomUUID()}${PARTIAL}`;
  const hash = createHash('sha256');
  try {
    const target = await open(partial, 'w');
    try {
      let bytes = 0;
      for await (const chunk of chunksOf(stream, file.uri)) {
        bytes += chunk.byteLength;
        if (bytes > (file.bytes ?? Infinity)) throw wrongSize(file, `more than ${file.bytes}`);
        hash.update(chunk);
        await target.writeFile(chunk);
      }
      if (bytes < (file.bytes ?? 0)) throw wrongSize(file, String(bytes));
    } finally {
      await target.close();
    }
    assertDigest(file, hash.digest('hex'));
    await rename(partial, local);
  } finally {
    stream.destroy();
    await rm(partial, { force: true });
  }
}

/** Frees what replicas left that were killed while they fetched this file, before it fills the disk. */
async function removeAbandoned(local: string): Promise<void> {
  const folder = path.dirname(local);
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${path.basename(local)}.`) || !name.endsWith(PARTIAL)) continue;
    const stats = await stat(path.join(folder, name)).catch(() => undefined);
    if (Date.now() - (stats?.mtimeMs ?? Infinity) > ABANDONED_MS) await rm(path.join(folder, name), { force: true });
  }
}

async function* chunksOf(stream: Readable, uri: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    const failure = uri.startsWith('file:') ? 'permanent' : 'transient';
    throw new SourceError(failure, `${uri} cannot be read to its end: ${(error as Error).message}`);
  }
}

async function checkFile(file: WantedFile, local: string): Promise<void> {
  const stats = await stat(local).catch(() => undefined);
  if (stats === undefined) throw new ModelError(`file '${file.path}' is missing at ${file.uri}`);
  if (file.bytes !== undefined && stats.size !== file.bytes) throw wrongSize(file, String(stats.size));
  if (file.sha256 !== undefined) assertDigest(file, await sha256Of(local));
}

async function sha256Of(local: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(local)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

function assertDigest(file: WantedFile, got: string): void {
  if (file.sha256 !== undefined && got !== file.sha256) {
    throw new ModelError(
      `file '${file.path}' has SHA-256 ${got}, expected ${file.sha256}: it is not what was published`,
    );
  }
}

function wrongSize(file: WantedFile, got: string): ModelError {
  return new ModelError(`file '${file.path}' is ${got} bytes, expected ${file.bytes}: it is not what was published`);
}

async function readManifest(folder: string, { name, version }: ModelReference): Promise<ModelManifest> {
  const file = path.join(folder, MANIFEST_FILE);
  const manifest = parseManifest(await readFile(file, 'utf8'), file);
  if (manifest.name !== name || manifest.version !== version) {
    throw new ModelError(
      `its manifest is of model '${manifest.name}' version ${manifest.version}, expected '${name}' version ${version}`,
    );
  }
  return manifest;
}

async function assertDiskSpace(directory: string, files: readonly WantedFile[]): Promise<void> {
  const needed = files.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  const { bavail, bsize } = await statfs(directory);
  if (needed > bavail * bsize) {
    throw new StartupError(
      'NO_DISK_SPACE',
      `the models need ${toMiB(needed)} MiB in ${directory}, ${toMiB(bavail * bsize)} MiB are free; give the replica more storage or set SLIPWAY_CACHE_DIRECTORY`,
    );
  }
}

function describeDiskError(error: unknown, directory: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StartupError(
      'NO_DISK_SPACE',
      `no space left in ${directory} for the models; give the replica more storage`,
    );
  }
  // What fails on the side of the source is a SourceError, so a failed system call is one on the cache.
  if (syscall === undefined) return error;
  return new StartupError(
    'CACHE_UNUSABLE',
    `${directory} cannot be written: ${message}; set SLIPWAY_CACHE_DIRECTORY to a directory that can`,
  );
}

function toMiB(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
