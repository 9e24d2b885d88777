import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { downloadFile, type DownloadOptions, type WantedFile } from '../download-file';
import { forEachTogether } from '../for-each-limited';
import { withLock } from './cache-lock';
import { markUsed, readRecord, writeRecord, type CacheRecord, type RecordedFile } from './cache-record';
import { makeRoom, removeLitter } from './cache-space';
import { CacheUsers } from './cache-users';
import { KnownDigests } from './known-digests';

export interface CachedFiles {
  /** Holds every file under its own path. */
  readonly folder: string;
  /** Says that the files are not used any more: only then may they be removed. */
  readonly release: () => Promise<void>;
}

export interface CacheRequest extends DownloadOptions {
  /** Begins the name of the entry. */
  readonly label: string;
  /** With a digest, or with what the source said of them. */
  readonly files: readonly WantedFile[];
  readonly maxBytes: number | undefined;
}

const FILES_AT_ONCE = 4;
/** How long a process waits between two looks at a lock: one that is held for a moment, and one for a download. */
const SHORT_PAUSE_MS = 10;
const LONG_PAUSE_MS = 150;

const caches = new Map<string, ModelCache>();

/**
 * Downloaded files, kept over restarts and shared by all processes that have the same directory. An entry holds the files
 * of one model version: its name is made of their digests, so other files are another entry and no file is ever replaced
 * under a model that is served.
 *
 *     <directory>/models/<label>-<fingerprint>/entry.json, files/…, partial/…
 *     <directory>/users/<process>.json      which processes live, and what they use
 *     <directory>/digests/                  what need not be hashed again
 */
export class ModelCache {
  private readonly folder: string;
  private readonly users: CacheUsers;
  private readonly digests: KnownDigests;
  private tidied: Promise<void> | undefined;

  private constructor(private readonly directory: string) {
    this.folder = path.join(directory, 'models');
    this.users = new CacheUsers(path.join(directory, 'users'));
    this.digests = new KnownDigests(path.join(directory, 'digests'));
  }

  /** One per directory in a process. */
  static at(directory: string): ModelCache {
    const absolute = path.resolve(directory);
    const cache = caches.get(absolute) ?? new ModelCache(absolute);
    caches.set(absolute, cache);
    return cache;
  }

  /** The SHA-256 of any file of this machine, from memory when it has not changed since it was made. */
  sha256Of(file: string): Promise<string> {
    return this.digests.sha256Of(file);
  }

  /**
   * The files, from the cache or fetched into it. They stay until they are released.
   * @throws ModelError, SourceError, StartupError, or the error of a system call on the cache.
   */
  async take(request: CacheRequest): Promise<CachedFiles> {
    const { signal, files } = request;
    const name = `${request.label}-${fingerprintOf(files)}`;
    const entry = path.join(this.folder, name);
    await this.tidy(signal);
    await this.exclusively(signal, async () => {
      await mkdir(entry, { recursive: true });
      await this.users.enter(name);
    });
    try {
      if (!(await this.isComplete(entry, files))) {
        await withLock(entry, this.users, LONG_PAUSE_MS, signal, async () => {
          // Another process may have fetched it while this one waited.
          if (!(await this.isComplete(entry, files))) await this.fill(name, entry, request);
        });
      } else if (request.maxBytes !== undefined) {
        await this.makeRoom(name, await bytesOf(entry, files), request);
      }
      await markUsed(entry);
    } catch (error) {
      await this.users.leave(name);
      throw error;
    }
    const release = once(async () => {
      try {
        // So far it was not to be removed; from now on it is the one that was used last.
        await markUsed(entry);
        await this.users.leave(name);
      } catch {
        // A cache that cannot be written any more removes nothing either.
      }
    });
    return { folder: path.join(entry, 'files'), release };
  }

  /** Whether every file is there as it was fetched. A file that changed since is hashed again. */
  private async isComplete(entry: string, files: readonly WantedFile[]): Promise<boolean> {
    const record = await readRecord(entry);
    if (record?.isComplete !== true) return false;
    return (await this.filesThatFit(entry, files, record)).length === files.length;
  }

  private async filesThatFit(
    entry: string,
    files: readonly WantedFile[],
    record: CacheRecord | undefined,
  ): Promise<readonly RecordedFile[]> {
    const recorded = new Map((record?.files ?? []).map((file) => [file.path, file.sha256]));
    const fit = await Promise.all(
      files.map(async ({ path: name, sha256, bytes }) => {
        const expected = sha256 ?? recorded.get(name);
        const local = path.join(entry, 'files', name);
        const stats = await stat(local).catch(() => undefined);
        if (expected === undefined || stats === undefined || stats.size !== (bytes ?? stats.size)) return undefined;
        return (await this.digests.sha256Of(local)) === expected ? { path: name, sha256: expected } : undefined;
      }),
    );
    return fit.filter((file) => file !== undefined);
  }

  private async fill(name: string, entry: string, request: CacheRequest): Promise<void> {
    const { files, signal, onRetry } = request;
    const there = [...(await this.filesThatFit(entry, files, await readRecord(entry)))];
    const bytes = files.reduce((sum, file) => sum + (file.bytes ?? file.stat?.bytes ?? 0), 0);
    await writeRecord(entry, { bytes, isComplete: false, files: there });
    await this.makeRoom(name, bytes, request);
    const missing = files.filter(({ path: wanted }) => !there.some((file) => file.path === wanted));
    await forEachTogether(missing, FILES_AT_ONCE, signal, async (file, together) => {
      const target = path.join(entry, 'files', file.path);
      const partial = path.join(entry, 'partial', file.path);
      const sha256 = await downloadFile(file, target, partial, { signal: together, onRetry });
      await this.digests.remember(target, sha256);
      there.push({ path: file.path, sha256 });
    });
    await rm(path.join(entry, 'partial'), { recursive: true, force: true });
    const whole = await bytesOf(entry, files);
    await writeRecord(entry, { bytes: whole, isComplete: true, files: there });
    // A source that does not say how large its files are was given no room before.
    if (whole > bytes) await this.makeRoom(name, whole, request);
  }

  private makeRoom(entry: string, bytes: number, { maxBytes, signal }: CacheRequest): Promise<void> {
    return this.exclusively(signal, async () => {
      const inUse = await this.entriesInUse();
      await makeRoom({ folder: this.folder, entry, bytes, maxBytes, inUse });
    });
  }

  /** Makes the folders, and once per process clears away what ended processes left. */
  private async tidy(signal: AbortSignal): Promise<void> {
    const folders = [this.folder, path.join(this.directory, 'users')];
    await Promise.all(folders.map((folder) => mkdir(folder, { recursive: true, mode: 0o700 })));
    this.tidied ??= this.exclusively(signal, async () => removeLitter(this.folder, await this.entriesInUse()));
    // What could not be done now may be possible later.
    this.tidied.catch(() => (this.tidied = undefined));
    await this.tidied;
  }

  private async entriesInUse(): Promise<ReadonlySet<string>> {
    return new Set([...(await this.users.living()).values()].flat());
  }

  private exclusively<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    return withLock(this.folder, this.users, SHORT_PAUSE_MS, signal, act);
  }
}

/** Equal for equal files, wherever they lie; never equal for a file that nothing tells from another one. */
function fingerprintOf(files: readonly WantedFile[]): string {
  const facts = files.map(({ path: name, uri, sha256, stat: said }) => [
    name,
    sha256 ?? [uri, said?.bytes, said?.tag ?? randomUUID()],
  ]);
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

async function bytesOf(entry: string, files: readonly WantedFile[]): Promise<number> {
  const stats = await Promise.all(files.map(({ path: name }) => stat(path.join(entry, 'files', name))));
  return stats.reduce((sum, { size }) => sum + size, 0);
}

function once(act: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= act());
}
