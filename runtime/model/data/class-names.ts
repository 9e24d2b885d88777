import { readFile, stat } from 'node:fs/promises';
import { ModelToolError } from '../tool-error';

/** The largest vocabularies have some hundred thousand classes. */
const MAX_FILE_BYTES = 64 * 2 ** 20;

/**
 * Names of classes, by their index: a file with one per line, as Triton and `slipway model publish` take it, or a JSON list.
 * @throws ModelToolError DATA_UNREADABLE
 */
export async function readClassNames(path: string): Promise<readonly string[]> {
  const text = await readText(path);
  const names = path.endsWith('.json') ? parseList(text, path) : text.split(/\r?\n/);
  // The file ends with a line break, and no class has an empty name.
  while (names.at(-1) === '') names.pop();
  if (names.length === 0) throw new ModelToolError('DATA_UNREADABLE', path, 'must name at least one class');
  return names;
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) {
      throw new ModelToolError('DATA_TOO_LARGE', path, `must have at most ${MAX_FILE_BYTES} bytes, got ${size}`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (ModelToolError.is(error)) throw error;
    throw new ModelToolError('DATA_UNREADABLE', path, `cannot be read: ${(error as Error).message}`);
  }
}

function parseList(text: string, path: string): string[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new ModelToolError('DATA_UNREADABLE', path, `must be JSON: ${(error as Error).message}`);
  }
  if (Array.isArray(list) && list.every((name) => typeof name === 'string')) return list;
  throw new ModelToolError('DATA_UNREADABLE', path, 'must be a JSON list of names');
}
