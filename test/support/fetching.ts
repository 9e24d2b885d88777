import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fetchModel, type FetchedModel, type FetchOptions } from '../../runtime/server/fetch-model';
import type { ModelFileReference, ModelReference } from '../../runtime/spec/model-reference';
import type { FileServer } from './file-server';
import { addOneModel } from './onnx-models';

export const MIB = 2 ** 20;
/** As large files are cut. */
export const PART_BYTES = 8 * MIB;
export const MODEL = Buffer.from(addOneModel());

/** How to fetch, and where the reasons of retries go. */
interface Fetching extends Partial<FetchOptions> {
  readonly retries?: string[];
}

/** Fetches as a server does, for half a minute at most. */
export function fetchIt(
  reference: ModelReference,
  cacheDirectory: string,
  { retries, ...rest }: Fetching = {},
): Promise<FetchedModel> {
  return fetchModel(reference, {
    cacheDirectory,
    signal: AbortSignal.timeout(30_000),
    onRetry: ({ message }) => retries?.push(message),
    ...rest,
  });
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A model version with the weights beside the model, every file named by digest. */
export function referenceTo(store: FileServer, weights: Buffer, name = 'm'): ModelReference {
  const file = (at: string, bytes: Buffer): ModelFileReference => {
    store.files.set(`/${name}/1/${at}`, bytes);
    return { path: at, uri: `${store.url}/${name}/1/${at}`, bytes: bytes.byteLength, sha256: sha256(bytes) };
  };
  return { name, version: 1, files: [file('model.onnx', MODEL), file('weights.bin', weights)] };
}

/** What a cache holds, without what it remembers of users and digests. */
export function filesIn(cache: string): string[] {
  return readdirSync(cache, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith('users') && !entry.parentPath.endsWith('digests'))
    .map(({ parentPath, name }) => path.relative(cache, path.join(parentPath, name)))
    .toSorted();
}

/** Bytes that this process has read so far, from files and sockets. */
export function bytesRead(): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))![1]);
}
