import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathOfFileUri } from '../onnx/file-uri';
import { SourceError, type ModelSource } from './model-source';

/** Files on this machine, used where they lie when they lie together. */
export const directorySource: ModelSource = {
  async list(folderUri) {
    const path = localPath(folderUri);
    try {
      const entries = await readdir(path, { withFileTypes: true });
      return await Promise.all(
        entries.map(async (entry) => {
          // Kubernetes mounts volumes as trees of links.
          const isFolder = entry.isSymbolicLink() ? await isDirectory(join(path, entry.name)) : entry.isDirectory();
          return { name: entry.name, isFolder };
        }),
      );
    } catch (error) {
      throw describe(error, path);
    }
  },

  async stat(uri) {
    const path = localPath(uri);
    try {
      const { size, mtimeNs, ino } = await stat(path, { bigint: true });
      return { bytes: Number(size), tag: `${ino}-${size}-${mtimeNs}`, hasRanges: true };
    } catch (error) {
      throw describe(error, path);
    }
  },

  async open(uri, _signal, { range } = {}) {
    const path = localPath(uri);
    try {
      const file = await open(path);
      // A stream's end is the last byte that it sends.
      return file.createReadStream(range === undefined ? {} : { start: range.start, end: range.end - 1 });
    } catch (error) {
      throw describe(error, path);
    }
  },

  localPath,
};

function localPath(uri: string): string {
  try {
    return pathOfFileUri(uri);
  } catch (error) {
    throw new SourceError('permanent', `${uri} names no file of this machine: ${(error as Error).message}`);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

function describe(error: unknown, path: string): SourceError {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR'
    ? new SourceError('missing', `${path} does not exist`)
    : new SourceError('permanent', message);
}
