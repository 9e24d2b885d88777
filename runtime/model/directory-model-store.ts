import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { modelPrefix, parseVersionFolder } from '../spec/model-repository';
import { unreachable, versionExists, type ModelStore, type StoredFile } from './model-store';
import { PublishError } from './publish-error';
import { readChunks } from './read-chunks';

const COPY_CHUNK_BYTES = 4 * 1024 * 1024;

/** A model repository in a directory of this machine, which is made when it is not there. */
export function directoryModelStore(directory: string): ModelStore {
  const uri = `${pathToFileURL(directory).href}/`;
  return {
    uri,

    async versions(model) {
      const names = await readdir(join(directory, modelPrefix(model))).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw unreachable(uri, error);
      });
      return names.map(parseVersionFolder).filter((version) => version !== undefined);
    },

    async write(model, version, files, manifest) {
      const modelFolder = join(directory, modelPrefix(model));
      // The version is written under a name that no reader takes for one, and appears whole, by one rename.
      const unfinished = join(modelFolder, `.publishing-${randomUUID()}`);
      try {
        await mkdir(unfinished, { recursive: true });
        for (const file of [...files, manifest]) await writeDurably(join(unfinished, file.path), file);
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
  };
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
