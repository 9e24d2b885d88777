import { createHash } from 'node:crypto';
import type { ModelManifest } from '../spec/model-manifest';
import { filesOfPreprocessing, type Preprocessing } from '../spec/preprocessing';

/**
 * SHA-256 of how users' data becomes inputs: every field, and the bytes of the files that it names, in lower-case hexadecimal. The
 * order of fields does not count, for files that people write and manifests have their own.
 * @param sha256Of digest of a file that preprocessing names
 */
export function preprocessingDigest(preprocessing: Preprocessing, sha256Of: (file: string) => string): string {
  const files = filesOfPreprocessing(preprocessing).map((file) => [file, sha256Of(file)]);
  return createHash('sha256')
    .update(JSON.stringify([inOrder(preprocessing), files]))
    .digest('hex');
}

/** The same of a published version, whose manifest has the digests of its files. @throws Error for preprocessing that is not there */
export function publishedPreprocessingDigest({ preprocessing, files }: ModelManifest): string {
  if (preprocessing === undefined) throw new Error('the manifest has no preprocessing');
  const digests = new Map(files.map(({ path, sha256 }) => [path, sha256]));
  return preprocessingDigest(preprocessing, (file) => digests.get(file)!);
}

/** Fields by their names, lists as they are. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  // Pairs, because an object would put names that look like numbers first, and lose one that is called __proto__.
  return fields.map(([name, field]) => [name, inOrder(field)]);
}
