import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseManifest, type ModelManifest } from '../spec/model-manifest';
import { readPublicKeys } from '../signing/public-keys';
import { SpecError } from '../spec/errors';
import { verifySignature } from '../signing/verify-signature';
import { MANIFEST_FILE, SIGNATURE_FILE, versionPrefix } from '../spec/model-repository';
import { downloadFile, type DownloadOptions, type WantedFile } from './download-file';
import { readManifestBytes } from './fetch-model';
import { readSignature } from './manifest-signature';
import { forEachTogether } from './for-each-limited';
import { ModelError } from './model-error';
import { shownUri, SourceError } from '../sources/model-source';
import { childUri } from '../sources/source-of';

export interface PullOptions extends DownloadOptions {
  /** The digest that the manifest must have, 64 hexadecimal digits. @default - that of the manifest which is there */
  readonly manifestSha256?: string;
  /** Public keys in PEM, of which one must have signed the manifest. @default - nobody has to */
  readonly verifyKeys?: string;
  /** Reads the manifest, and nothing else; nothing is written. @default false */
  readonly manifestOnly?: boolean;
}

export interface PulledModel {
  readonly name: string;
  readonly version: number;
  readonly manifestSha256: string;
  /** Where the version lies now. */
  readonly folder: string;
  /** Whether it was fetched now; it may have lain there already, every file with its digest. */
  readonly isNew: boolean;
}

/** Where a version is put together; names of models begin with a letter or a digit, so it is none. */
const STAGING_FOLDER = '.slipway-pull';
const FILES_AT_ONCE = 4;

/**
 * Copies a published model version into a model repository of this machine, or of a volume: every file by its digest, and all
 * of them by one rename, so a reader finds the whole version or nothing. What an ended process had fetched already is kept.
 * One process at a time may pull a version.
 * @param uri folder of the version, as `slipway model publish` prints it
 * @throws ModelError when the version has no manifest, a file is not what its manifest says, or something else lies where the
 * version belongs; SigningError when none of the keys has signed it; SourceError when the source cannot be read.
 */
export async function pullModel(uri: string, repository: string, options: PullOptions): Promise<PulledModel> {
  const source = uri.endsWith('/') ? uri : `${uri}/`;
  const bytes = await readManifestBytes(childUri(source, MANIFEST_FILE), options);
  if (bytes === undefined) {
    throw new ModelError(`${shownUri(source)} has no ${MANIFEST_FILE}; slipway model publish writes one`);
  }
  const manifestSha256 = createHash('sha256').update(bytes).digest('hex');
  if (options.manifestSha256 !== undefined && options.manifestSha256 !== manifestSha256) {
    throw new ModelError(
      `${shownUri(source)}${MANIFEST_FILE} has SHA-256 ${manifestSha256}, expected ${options.manifestSha256}`,
    );
  }
  // A doctor that asks whether the manifest can be read needs no more than that.
  const isAsked = options.manifestOnly !== true || options.verifyKeys !== undefined;
  const signature = isAsked ? await readSignature(childUri(source, SIGNATURE_FILE), options) : undefined;
  if (options.verifyKeys !== undefined)
    verifySignature(bytes, signature, readPublicKeys(options.verifyKeys, '--verify-key'), shownUri(source));
  const manifest = parseManifest(bytes.toString('utf8'), `${shownUri(source)}${MANIFEST_FILE}`);
  const { name, version } = manifest;
  const folder = path.join(repository, versionPrefix(name, version));
  const pulled = { name, version, manifestSha256, folder };
  if (options.manifestOnly === true) return { ...pulled, isNew: false };
  if (await isThere(folder, manifest, manifestSha256)) return { ...pulled, isNew: false };

  const staging = path.join(repository, STAGING_FOLDER, `${name}-${version}-${manifestSha256.slice(0, 16)}`);
  const files = path.join(staging, 'files');
  await mkdir(files, { recursive: true });
  await forEachTogether([...manifest.files], FILES_AT_ONCE, options.signal, async (file, signal) => {
    const target = path.join(files, file.path);
    if ((await sha256Of(target)) === file.sha256) return;
    const wanted: WantedFile = { ...file, uri: childUri(source, file.path) };
    // By its place: files of the same content are fetched at the same time, and each needs its own.
    const partial = createHash('sha256').update(file.path).digest('hex');
    await downloadFile(wanted, target, path.join(staging, 'parts', partial), { ...options, signal });
  });
  if (signature !== undefined) await writeFile(path.join(files, SIGNATURE_FILE), signature);
  // Last, as publishing does: a folder with a manifest is whole.
  await writeFile(path.join(files, MANIFEST_FILE), bytes);
  await mkdir(path.dirname(folder), { recursive: true });
  await rename(files, folder);
  await rm(staging, { recursive: true, force: true });
  return { ...pulled, isNew: true };
}

/** @throws ModelError for a folder that holds anything else: a version never changes. */
async function isThere(folder: string, manifest: ModelManifest, manifestSha256: string): Promise<boolean> {
  if ((await stat(folder).catch(() => undefined)) === undefined) return false;
  const found = await readFile(path.join(folder, MANIFEST_FILE)).catch(() => undefined);
  const foundSha256 = found && createHash('sha256').update(found).digest('hex');
  if (foundSha256 !== manifestSha256) {
    throw new ModelError(
      `${folder} is there already, and ${foundSha256 === undefined ? `has no ${MANIFEST_FILE}` : 'holds another model'}: a version never changes, publish the next one`,
    );
  }
  for (const file of manifest.files) {
    const got = await sha256Of(path.join(folder, file.path));
    if (got !== file.sha256) {
      throw new ModelError(
        `${path.join(folder, file.path)} ${got === undefined ? 'is missing' : `has SHA-256 ${got}, expected ${file.sha256}`}; remove ${folder} and pull it again`,
      );
    }
  }
  return true;
}

/** Undefined where there is no such file. */
async function sha256Of(file: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return hash.digest('hex');
}

/** Whether a pull ended for what the version is (`input`) or for a source or a disk (`outside`); undefined for a defect. */
export function pullFailureOf(error: unknown): 'input' | 'outside' | undefined {
  if (error instanceof ModelError || SpecError.is(error)) return 'input';
  if (error instanceof SourceError) return error.failure === 'missing' ? 'input' : 'outside';
  // Sources put their own errors into words, so a system call that failed is one on the directory.
  return (error as NodeJS.ErrnoException).syscall === undefined ? undefined : 'outside';
}
