import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { modelPrefix, parseVersionFolder } from '../spec/model-repository';
import { unreachable, versionExists, type ListedFile, type ModelStore, type StoredFile } from './model-store';
import { PublishError } from './publish-error';
import { readChunks } from './read-chunks';

const COPY_CHUNK_BYTES = 4 * 1024 * 1024;
/** Where versions are written; anything else that begins with a dot is no model's. */
const UNFINISHED = '.publishing-';
/** What nobody has written to for so long is of a publish that was killed. */
const LITTER_MS = 86_400_000;
/** Whoever has held the lock of a small file for so long is gone. */
const LOCK_ABANDONED_MS = 60_000;
const LOCK_ATTEMPTS = 100;
const LOCK_PAUSE_MS = 50;

/** A model repository in a directory of this machine, which is made when it is not there. */
export function directoryModelStore(directory: string): ModelStore {
  const uri = `${pathToFileURL(directory).href}/`;
  return {
    uri,

    async models() {
      const entries = await readdir(directory, { withFileTypes: true }).catch(nothingMissing(uri));
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    },

    async versions(model) {
      const names = await readdir(join(directory, modelPrefix(model))).catch(nothingMissing(uri));
      return names.map(parseVersionFolder).filter((version) => version !== undefined);
    },

    // A version is whole or not there.
    isBegun: () => Promise.resolve(false),

    async write(model, version, files, manifest, onBytes) {
      const modelFolder = join(directory, modelPrefix(model));
      // The version is written under a name that no reader takes for one, and appears whole, by one rename.
      const unfinished = join(modelFolder, UNFINISHED + randomUUID());
      try {
        await removeLitter(modelFolder);
        await mkdir(unfinished, { recursive: true });
        for (const file of [...files, manifest]) {
          await writeDurably(join(unfinished, file.path), file);
          onBytes?.(file.path, file.bytes, false);
        }
        await syncDirectory(unfinished);
        await rename(unfinished, join(modelFolder, String(version))).catch((error: NodeJS.ErrnoException) => {
          throw IS_THERE.has(error.code ?? '') ? versionExists(uri, model, version) : error;
        });
        await syncDirectory(modelFolder);
      } catch (error) {
        await rm(unfinished, { recursive: true, force: true });
        throw PublishError.is(error) ? error : unreachable(uri, error);
      }
    },

    tidy: (model) =>
      removeLitter(join(directory, modelPrefix(model))).catch((error: Error) => {
        throw unreachable(uri + model, error);
      }),

    files: (folder) => listFiles(directory, folder).catch(nothingMissing(uri)),

    async read(path) {
      const content = await readFile(join(directory, path)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw unreachable(uri + path, error);
      });
      return content && { content, tag: tagOf(content) };
    },

    async replace(path, content, tag) {
      try {
        return await replaceUnderLock(join(directory, path), content, tag);
      } catch (error) {
        throw unreachable(uri + path, error);
      }
    },

    async delete(path) {
      const file = join(directory, path);
      try {
        await rm(file, { force: true });
        // A bucket has no empty folders, and a version is none any more without its files.
        for (let folder = dirname(file); folder.length > directory.length; folder = dirname(folder))
          await rmdir(folder);
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException;
        if (!NOT_EMPTY.has(code)) throw unreachable(uri + path, error);
      }
    },
  };
}

/** Removes what killed publishes of a model have left; a publish that goes on writes to its folder. */
async function removeLitter(modelFolder: string): Promise<void> {
  const names = await readdir(modelFolder).catch((): string[] => []);
  for (const name of names.filter((each) => each.startsWith(UNFINISHED))) {
    const folder = join(modelFolder, name);
    const within = await readdir(folder, { recursive: true }).catch((): string[] => []);
    const stats = await Promise.all(['', ...within].map((each) => stat(join(folder, each)).catch(() => undefined)));
    const written = Math.max(0, ...stats.map((each) => each?.mtimeMs ?? 0));
    if (Date.now() - written > LITTER_MS) await rm(folder, { recursive: true, force: true });
  }
}

/** What removing a folder says that holds something, or is gone. */
const NOT_EMPTY = new Set(['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EPERM']);

function nothingMissing(uri: string): (error: NodeJS.ErrnoException) => [] {
  return (error) => {
    if (error.code === 'ENOENT') return [];
    throw unreachable(uri, error);
  };
}

async function listFiles(directory: string, folder: string): Promise<ListedFile[]> {
  const root = join(directory, folder);
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile() || entry.isSymbolicLink());
  return Promise.all(
    files.map(async ({ parentPath, name }) => {
      const { size, mtime } = await stat(join(parentPath, name));
      const path = join(parentPath, name).slice(root.length);
      return { path: path.replaceAll('\\', '/').replace(/^\//, ''), bytes: size, modified: mtime };
    }),
  );
}

function tagOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** File systems rename atomically, and never under a condition: whoever makes the lock may look and rename. */
async function replaceUnderLock(file: string, content: Uint8Array, tag: string | undefined): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true });
  const lock = join(dirname(file), `.${basename(file)}.lock`);
  await takeLock(lock);
  const unfinished = `${lock}.${randomUUID()}`;
  try {
    const there = await readFile(file).catch(() => undefined);
    if ((there && tagOf(there)) !== tag) return false;
    await writeFile(unfinished, content, { flush: true });
    await rename(unfinished, file);
    return true;
  } finally {
    await rm(unfinished, { force: true });
    await rm(lock, { force: true });
  }
}

async function takeLock(lock: string): Promise<void> {
  for (let attempt = 1; attempt <= LOCK_ATTEMPTS; attempt++) {
    try {
      await (await open(lock, 'wx')).close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const held = await stat(lock).catch(() => undefined);
    if (held !== undefined && Date.now() - held.mtimeMs > LOCK_ABANDONED_MS) await rm(lock, { force: true });
    else await wait(LOCK_PAUSE_MS);
  }
  throw new Error(`is being changed by somebody else; if nobody does, remove ${lock}`);
}

/** What a rename onto a folder that is not empty, or onto a file, says on Linux, macOS and Windows. */
const IS_THERE = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EPERM']);

async function writeDurably(path: string, file: StoredFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(path, 'wx');
  try {
    for await (const chunk of readChunks(file, COPY_CHUNK_BYTES)) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(dirname(path));
}

/** Makes the names in a directory survive a power cut; Windows can neither open nor sync one, and does it by itself. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
