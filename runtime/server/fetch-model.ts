import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { SpecError } from '../spec/errors';
import { isRelativePath, parseManifest, type ModelManifest } from '../spec/model-manifest';
import type { ModelReference } from '../spec/model-reference';
import type { PublicKey } from '../signing/public-keys';
import { MANIFEST_FILE, MODEL_FILE, SIGNATURE_FILE } from '../spec/model-repository';
import { ModelCache, type CachedFiles } from './cache/model-cache';
import { chooseCompiled } from './compiled-model';
import { assertDigest, chunksOf, statFile, wrongSize, type DownloadOptions, type WantedFile } from './download-file';
import { StartupError } from './errors';
import { forEachTogether } from './for-each-limited';
import { verifyManifest } from './manifest-signature';
import { ModelError } from './model-error';
import { shownUri, SourceError } from '../sources/model-source';
import { retry } from './retry';
import { childUri, sourceOf } from '../sources/source-of';

/** A model version on this machine, every file of a known digest checked. */
export interface FetchedModel {
  readonly folder: string;
  readonly modelPath: string;
  /** The same model, compiled for this machine. @default - nothing was, for a machine like this */
  readonly compiledPath?: string;
  readonly manifest?: ModelManifest;
  /** Says that the model is served no more: until then the cache keeps its files, whatever its bound. */
  readonly release: () => Promise<void>;
  /** Fingerprint of the key that has signed the manifest. @default - nobody asked for a signature */
  readonly signer?: string;
}

export interface FetchOptions extends DownloadOptions {
  readonly cacheDirectory: string;
  /** What the cache may hold. @default - what the disk holds */
  readonly cacheMiB?: number;
  /** The file that holds the model. @default model.onnx */
  readonly modelFile?: string;
  /**
   * Copies files of this machine into the cache as well. Where a repository may change under a running server, a model that
   * reads its weights from a file that somebody truncates would end the process, and an executor that is started anew
   * would find other files than those that were proven.
   * @default false
   */
  readonly copiesLocal?: boolean;
  /** Keys of which one must have signed the manifest. @default - a manifest needs no signature */
  readonly signingKeys?: readonly PublicKey[];
}

const MAX_MANIFEST_BYTES = 16 * 2 ** 20;
/** Questions to a source at once about the files of one model. */
const STATS_AT_ONCE = 8;

const MAX_DEPTH = 4;
const MAX_FILES = 10_000;

/**
 * Makes a model version available as a folder. Files of a local folder are used where they lie, others are downloaded into the cache.
 * @throws ModelError when a file is missing or its digest differs, or the cache is too small for it, StartupError
 * NO_DISK_SPACE or CACHE_UNUSABLE.
 */
export async function fetchModel(reference: ModelReference, options: FetchOptions): Promise<FetchedModel> {
  try {
    return await retry(() => fetchOnce(reference, options), options.signal, options.onRetry);
  } catch (error) {
    throw error instanceof SourceError || SpecError.is(error) ? new ModelError(error.message) : error;
  }
}

async function fetchOnce(reference: ModelReference, options: FetchOptions): Promise<FetchedModel> {
  try {
    const { modelFile = MODEL_FILE } = options;
    const listed = reference.files ?? (await filesOfFolder(reference, options));
    const { files: wanted, compiled } = chooseCompiled<WantedFile>(listed, modelFile);
    if (!wanted.some((file) => file.path === modelFile)) throw new ModelError(`${modelFile} is not among its files`);
    const { folder, release } =
      options.copiesLocal === true
        ? await takeCached(reference, wanted, options)
        : ((await takeLocal(wanted, options)) ?? (await takeCached(reference, wanted, options)));
    try {
      const modelPath = path.join(folder, modelFile);
      const compiledPath = compiled === undefined ? {} : { compiledPath: path.join(folder, compiled) };
      const fetched = { folder, modelPath, ...compiledPath, release };
      if (!wanted.some((file) => file.path === MANIFEST_FILE)) {
        if (options.signingKeys !== undefined) throw new ModelError(`has no ${MANIFEST_FILE} that could be signed`);
        return fetched;
      }
      const { manifest, bytes } = await readManifest(folder, reference);
      assertListed(wanted, manifest);
      if (options.signingKeys === undefined) return { ...fetched, manifest };
      const signer = await verifyManifest(bytes, reference, options.signingKeys, options);
      return { ...fetched, manifest, signer };
    } catch (error) {
      await release();
      throw error;
    }
  } catch (error) {
    const isReplaced = error instanceof SourceError && error.failure === 'changed';
    // What is there now may be listed, sized and tagged otherwise: from the beginning.
    throw isReplaced ? new SourceError('transient', error.message) : error;
  }
}

/** What a version's folder holds: what its manifest lists; without one, the files that lie there. */
async function filesOfFolder(reference: ModelReference, options: FetchOptions): Promise<readonly WantedFile[]> {
  const folder = reference.folder!;
  const bytes = await readManifestBytes(childUri(folder, MANIFEST_FILE), options);
  if (bytes !== undefined) {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    assertManifestDigest(reference, sha256);
    const { files } = parseManifest(bytes.toString('utf8'), `${shownUri(folder)}${MANIFEST_FILE}`);
    const manifest = { path: MANIFEST_FILE, uri: childUri(folder, MANIFEST_FILE), sha256 };
    return [...files.map((file) => ({ ...file, uri: childUri(folder, file.path) })), manifest];
  }
  assertManifestDigest(reference, undefined);
  const names = await listFiles(folder, options);
  return names.map((name) => ({ path: name, uri: childUri(folder, name) }));
}

// What the manifest lists is held to the digests in it, so this one digest stands for every byte of the version.
function assertManifestDigest({ name, version, manifestSha256 }: ModelReference, found: string | undefined): void {
  if (manifestSha256 === undefined || found === manifestSha256) return;
  throw new ModelError(
    found === undefined
      ? `${MANIFEST_FILE} of '${name}' version ${version} is missing; the deployment expects SHA-256 ${manifestSha256}`
      : `${MANIFEST_FILE} of '${name}' version ${version} has SHA-256 ${found}, the deployment expects ${manifestSha256}`,
  );
}

/** External data and modules may lie in folders below. */
async function listFiles(folder: string, options: FetchOptions): Promise<readonly string[]> {
  try {
    return await listBelow(folder, '', MAX_DEPTH, options);
  } catch (error) {
    // A deployed replica may read objects and not list them.
    if (error instanceof SourceError && error.failure === 'missing') return [options.modelFile ?? MODEL_FILE];
    throw error;
  }
}

async function listBelow(
  folder: string,
  above: string,
  depth: number,
  options: FetchOptions,
): Promise<readonly string[]> {
  const { signal, onRetry } = options;
  const entries = await retry(() => sourceOf(folder).list(folder, signal), signal, onRetry);
  const files: string[] = [];
  for (const { name, isFolder } of entries) {
    // In an object store anything may stand in a name.
    if (!isRelativePath(name)) continue;
    if (!isFolder) files.push(`${above}${name}`);
    else if (depth > 0)
      files.push(...(await listBelow(`${childUri(folder, name)}/`, `${above}${name}/`, depth - 1, options)));
    if (files.length > MAX_FILES) throw new ModelError(`${shownUri(folder)} has more than ${MAX_FILES} files`);
  }
  return files;
}

/** The manifest at a URI, or undefined where there is none. @throws SourceError, ModelError for one that is too large. */
export async function readManifestBytes(
  uri: string,
  { signal, onRetry }: DownloadOptions,
): Promise<Buffer | undefined> {
  try {
    return await retry(
      async () => {
        const chunks: Uint8Array[] = [];
        let bytes = 0;
        for await (const chunk of chunksOf(uri, signal)) {
          chunks.push(chunk);
          bytes += chunk.byteLength;
          if (bytes > MAX_MANIFEST_BYTES) throw new ModelError(`${shownUri(uri)} is larger than any manifest`);
        }
        return Buffer.concat(chunks);
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
async function takeLocal(
  files: readonly WantedFile[],
  { cacheDirectory }: FetchOptions,
): Promise<CachedFiles | undefined> {
  const folders = new Set(
    files.map(({ uri, path: name }) => {
      const file = sourceOf(uri).localPath?.(uri);
      return file?.endsWith(`${path.sep}${path.normalize(name)}`) ? file.slice(0, -name.length) : undefined;
    }),
  );
  const [folder] = folders;
  if (folders.size !== 1 || folder === undefined) return undefined;
  await Promise.all(files.map((file) => checkFile(file, path.join(folder, file.path), cacheDirectory)));
  return { folder, release: () => Promise.resolve() };
}

async function checkFile(file: WantedFile, local: string, cacheDirectory: string): Promise<void> {
  const stats = await stat(local).catch(() => undefined);
  if (stats === undefined) throw new ModelError(`file '${file.path}' is missing at ${file.uri}`);
  if (file.bytes !== undefined && stats.size !== file.bytes) throw wrongSize(file, String(stats.size));
  if (file.sha256 !== undefined) assertDigest(file, await ModelCache.at(cacheDirectory).sha256Of(local));
}

async function takeCached(
  { name, version }: ModelReference,
  files: readonly WantedFile[],
  { cacheDirectory, cacheMiB, signal, onRetry }: FetchOptions,
): Promise<CachedFiles> {
  // A file without a digest is known again by what its source says of it.
  const asked = [...files];
  await forEachTogether([...files.keys()], STATS_AT_ONCE, signal, async (i, together) => {
    const file = files[i]!;
    if (file.sha256 === undefined) asked[i] = { ...file, stat: await statFile(file, { signal: together, onRetry }) };
  });
  try {
    return await ModelCache.at(cacheDirectory).take({
      label: `${name}@${version}`,
      files: asked,
      maxBytes: cacheMiB === undefined ? undefined : cacheMiB * 2 ** 20,
      signal,
      onRetry,
    });
  } catch (error) {
    throw describeDiskError(error, cacheDirectory);
  }
}

async function readManifest(
  folder: string,
  { name, version }: ModelReference,
): Promise<{ readonly manifest: ModelManifest; readonly bytes: Buffer }> {
  const file = path.join(folder, MANIFEST_FILE);
  const bytes = await readFile(file);
  const manifest = parseManifest(bytes.toString('utf8'), file);
  if (manifest.name !== name || manifest.version !== version) {
    throw new ModelError(
      `its manifest is of model '${manifest.name}' version ${manifest.version}, expected '${name}' version ${version}`,
    );
  }
  return { manifest, bytes };
}

/** A deployment names files by digests of its own: what the manifest says of a model, it must say of those. */
function assertListed(files: readonly WantedFile[], manifest: ModelManifest): void {
  const listed = new Map(manifest.files.map(({ path: name, sha256 }) => [name, sha256]));
  const stranger = files.find(({ path: name, sha256 }) => !BESIDE.has(name) && listed.get(name) !== sha256);
  if (stranger === undefined) return;
  throw new ModelError(
    `its manifest lists '${stranger.path}' with ${listed.get(stranger.path) ?? 'no SHA-256'}, the deployment has ${stranger.sha256}`,
  );
}

const BESIDE: ReadonlySet<string> = new Set([MANIFEST_FILE, SIGNATURE_FILE]);

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
