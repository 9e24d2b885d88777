import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { forEachTogether } from './for-each-limited';
import { bootId } from './machine';
import { ModelError } from './model-error';
import { shownUri, SourceError, type OpenOptions, type SourceStat } from '../sources/model-source';
import { PartialFile, removePartial, writeAll } from './partial-file';
import { Permits } from './permits';
import { retry } from './retry';
import { sourceOf } from '../sources/source-of';

/** A file to fetch; without a digest when nothing states one. */
export interface WantedFile {
  readonly path: string;
  readonly uri: string;
  readonly bytes?: number;
  readonly sha256?: string;
  /** What the source said of it, where it was asked. */
  readonly stat?: SourceStat;
}

export interface DownloadOptions {
  readonly signal: AbortSignal;
  readonly onRetry: (error: SourceError) => void;
}

const MIB = 2 ** 20;
/** A smaller file is fetched in one go: a second request would take longer than it saves. */
const WHOLE_BYTES = 32 * MIB;
const PART_BYTES = 8 * MIB;
const PARTS_AT_ONCE = 4;
/** Over all models: each transfer holds up to a piece in memory and one connection. */
const transfers = new Permits(8);
/** Pieces of a stream are small; written together they cost fewer calls. */
const WRITE_BYTES = MIB;
/** A source that sends nothing for so long is asked anew. */
const IDLE_MS = 30_000;

/**
 * Fetches a file to `target`, by way of `partial`: large files in parts, several at a time, of one and the same object.
 * Parts that an ended process left at `partial` are kept. The digest is made on the way.
 * @returns the SHA-256 of what was fetched
 * @throws ModelError when it is not what is wanted, SourceError 'changed' when it was replaced meanwhile.
 */
export async function downloadFile(
  file: WantedFile,
  target: string,
  partial: string,
  options: DownloadOptions,
): Promise<string> {
  await mkdir(path.dirname(target), { recursive: true });
  await mkdir(path.dirname(partial), { recursive: true });
  const stat = (file.bytes ?? Infinity) > WHOLE_BYTES ? await statFile(file, options) : file.stat;
  const bytes = file.bytes ?? stat?.bytes;
  if (stat?.bytes !== undefined && stat.bytes !== bytes) throw wrongSize(file, String(stat.bytes));
  // Without a tag or a digest nobody could tell whether two parts are of the same object.
  const identity = file.sha256 ?? (stat?.tag === undefined ? undefined : `${stat.tag} ${bootId()}`);
  const canBeCut = stat?.hasRanges === true && bytes !== undefined && bytes > WHOLE_BYTES && identity !== undefined;
  return canBeCut
    ? downloadParts({ ...file, bytes, stat }, identity, target, partial, options)
    : downloadWhole({ ...file, ...(stat === undefined ? {} : { stat }) }, target, partial, options);
}

/** What the source says of a file, asked again until it answers. */
export async function statFile(file: WantedFile, { signal, onRetry }: DownloadOptions): Promise<SourceStat> {
  return file.stat ?? retry(() => sourceOf(file.uri).stat(file.uri, signal), signal, onRetry);
}

/** @throws ModelError when the digest that is stated for a file is another one. */
export function assertDigest(file: WantedFile, got: string): void {
  if (file.sha256 === undefined || got === file.sha256) return;
  throw new ModelError(`file '${file.path}' has SHA-256 ${got}, expected ${file.sha256}: it is not what was published`);
}

export function wrongSize(file: WantedFile, got: string): ModelError {
  return new ModelError(`file '${file.path}' is ${got} bytes, expected ${file.bytes}: it is not what was published`);
}

async function downloadWhole(
  file: WantedFile,
  target: string,
  partial: string,
  { signal, onRetry }: DownloadOptions,
): Promise<string> {
  await removePartial(partial);
  const attempt = async (): Promise<string> => {
    const hash = createHash('sha256');
    const handle = await open(partial, 'w');
    try {
      let bytes = 0;
      for await (const chunks of piecesOf(file, signal, {})) {
        const start = bytes;
        for (const chunk of chunks) {
          bytes += chunk.byteLength;
          hash.update(chunk);
        }
        if (bytes > (file.bytes ?? Infinity)) throw wrongSize(file, `more than ${file.bytes}`);
        await writeAll(handle, chunks, start);
      }
      if (bytes < (file.bytes ?? 0)) throw wrongSize(file, String(bytes));
    } finally {
      await handle.close();
    }
    return hash.digest('hex');
  };
  try {
    const sha256 = await retry(() => transfers.use(attempt), signal, onRetry);
    assertDigest(file, sha256);
    // A file under its own name is never half a file.
    await rename(partial, target);
    return sha256;
  } finally {
    await rm(partial, { force: true });
  }
}

async function downloadParts(
  file: WantedFile & { readonly bytes: number },
  identity: string,
  target: string,
  partialPath: string,
  options: DownloadOptions,
): Promise<string> {
  const partial = await PartialFile.open(partialPath, { identity, bytes: file.bytes, partBytes: PART_BYTES });
  try {
    const sha256 = await fetchParts(file, partial, options).finally(() => partial.close());
    if (partial.isResumed && file.sha256 !== undefined && sha256 !== file.sha256) {
      throw new SourceError('changed', `what was kept of ${shownUri(file.uri)} is not part of it`);
    }
    assertDigest(file, sha256);
    await partial.moveTo(target);
    return sha256;
  } catch (error) {
    const isOfNoUse = error instanceof ModelError || (error instanceof SourceError && error.failure === 'changed');
    if (isOfNoUse) await removePartial(partialPath);
    throw error;
  }
}

async function fetchParts(
  file: WantedFile,
  partial: PartialFile,
  { signal, onRetry }: DownloadOptions,
): Promise<string> {
  const hash = createHash('sha256');
  let next = 0;
  // Parts are hashed in order as they come, read back from what the system still has in memory.
  const hashWhatIsThere = async (): Promise<void> => {
    for (; next < partial.count && partial.has(next); next++) await partial.read(next, (chunk) => hash.update(chunk));
  };
  let hashing = hashWhatIsThere();
  const goOn = (): void => {
    hashing = hashing.then(hashWhatIsThere);
    hashing.catch(() => undefined);
  };
  hashing.catch(() => undefined);
  try {
    await forEachTogether(partial.missing, PARTS_AT_ONCE, signal, async (part, together) => {
      await retry(() => transfers.use(() => fetchPart(file, partial, part, together)), together, onRetry);
      await partial.finish(part);
      goOn();
    });
  } finally {
    // The file is closed after this, and must not be read then.
    await hashing.catch(() => undefined);
  }
  await hashing;
  return hash.digest('hex');
}

async function fetchPart(file: WantedFile, partial: PartialFile, part: number, signal: AbortSignal): Promise<void> {
  const range = partial.rangeOf(part);
  let position = range.start;
  for await (const chunks of piecesOf(file, signal, { range })) {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    if (position + bytes > range.end) {
      throw new SourceError('permanent', `${shownUri(file.uri)} is sent in larger parts than were asked for`);
    }
    await partial.write(chunks, position);
    position += bytes;
  }
  if (position < range.end) {
    throw new SourceError('transient', `${shownUri(file.uri)} ended in the middle of a part`);
  }
}

/** What a file or a part of it sends, put together to pieces that are worth a write. */
async function* piecesOf(
  { uri, stat }: WantedFile,
  signal: AbortSignal,
  options: OpenOptions,
): AsyncGenerator<readonly Uint8Array[]> {
  const condition = stat?.tag === undefined ? {} : { tag: stat.tag };
  let pending: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(uri, signal, { ...options, ...condition })) {
    pending.push(chunk);
    bytes += chunk.byteLength;
    if (bytes < WRITE_BYTES) continue;
    yield pending;
    pending = [];
    bytes = 0;
  }
  if (bytes > 0) yield pending;
}

/** @throws SourceError when the source refuses, breaks off or falls silent. */
export async function* chunksOf(
  uri: string,
  signal: AbortSignal,
  options: OpenOptions = {},
): AsyncGenerator<Uint8Array> {
  const stream: Readable = await sourceOf(uri).open(uri, signal, options);
  addAbortSignal(signal, stream);
  const silent = setTimeout(() => stream.destroy(new Error(`nothing came for ${IDLE_MS / 1_000} s`)), IDLE_MS);
  try {
    for await (const chunk of stream) {
      silent.refresh();
      yield chunk as Uint8Array;
    }
  } catch (error) {
    const failure = uri.startsWith('file:') ? 'permanent' : 'transient';
    throw new SourceError(failure, `${shownUri(uri)} cannot be read to its end: ${(error as Error).message}`);
  } finally {
    clearTimeout(silent);
    stream.destroy();
  }
}
