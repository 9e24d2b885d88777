import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ModelToolError } from './tool-error';

/** A folder with more is a data set in loose files, which is better given as an archive. */
const MAX_FILES = 1_000_000;

/**
 * The SHA-256 of a file, read in pieces; of a folder that of the lines `sha256sum` would print for its files, sorted by path.
 * @throws ModelToolError FILE_UNREADABLE
 */
export async function digestPath(place: string): Promise<string> {
  try {
    if (!(await stat(place)).isDirectory()) return await digestFile(place);
    const files = (await readdir(place, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
    if (files.length > MAX_FILES) throw new Error(`the folder has more than ${MAX_FILES} files`);
    const named = files.map((file) => ({ file, name: path.relative(place, file).split(path.sep).join('/') }));
    // By code unit, which is the same in every locale.
    named.sort((a, b) => (a.name < b.name ? -1 : 1));
    const hash = createHash('sha256');
    for (const { file, name } of named) hash.update(`${await digestFile(file)}  ${name}\n`);
    return hash.digest('hex');
  } catch (error) {
    throw new ModelToolError('FILE_UNREADABLE', place, `cannot be read: ${(error as Error).message}`);
  }
}

async function digestFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest('hex');
}
