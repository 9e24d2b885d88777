import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathOfFileUri } from '../onnx/file-uri';
import { SourceError, type ModelSource } from './model-source';

/** Files on this machine, used where they lie. */
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

  async open(uri) {
    const path = localPath(uri);
    try {
      const file = await open(path);
      return file.createReadStream();
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
