import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { showJson } from '../../onnx/show-json';
import { ModelToolError } from '../tool-error';

const MAX_PICTURE_BYTES = 256 * 2 ** 20;

/** The bytes of a picture's file. @throws ModelToolError DATA_UNREADABLE or DATA_TOO_LARGE */
export async function readPicture(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > MAX_PICTURE_BYTES) {
      throw new ModelToolError('DATA_TOO_LARGE', file, `must have at most ${MAX_PICTURE_BYTES} bytes, got ${size}`);
    }
    return await readFile(file);
  } catch (error) {
    if (ModelToolError.is(error)) throw error;
    throw new ModelToolError('DATA_UNREADABLE', file, `cannot be read: ${(error as Error).message}`);
  }
}

/**
 * A picture that a data set names: its path starts at the data set's folder and stays there, links followed.
 * @throws ModelToolError DATA_UNSAFE for one that leads elsewhere
 */
export async function readPictureBeside(source: string, name: string, at: string): Promise<Uint8Array> {
  const folder = await realpath(path.dirname(source));
  const file = path.resolve(folder, name);
  let real: string;
  try {
    real = await realpath(file);
  } catch (error) {
    throw new ModelToolError(
      'DATA_UNREADABLE',
      at,
      `the picture ${showJson(name)} cannot be read: ${(error as Error).message}`,
    );
  }
  if (path.isAbsolute(name) || !real.startsWith(folder + path.sep)) {
    throw new ModelToolError(
      'DATA_UNSAFE',
      at,
      `a picture must lie in the folder of the data set, got ${showJson(name)}`,
    );
  }
  return readPicture(real);
}
