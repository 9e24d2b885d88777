import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import type { StoredFile } from './model-store';
import { PublishError } from './publish-error';

/**
 * The bytes of a file in chunks of a given size, only the last one shorter. Each chunk is memory of its own.
 * @throws PublishError FILE_CHANGED after the last chunk when the bytes no longer have the file's SHA-256.
 */
export async function* readChunks(file: StoredFile, chunkBytes: number): AsyncGenerator<Uint8Array> {
  if ('content' in file) {
    for (let at = 0; at === 0 || at < file.bytes; at += chunkBytes) yield file.content.subarray(at, at + chunkBytes);
    return;
  }
  const hash = createHash('sha256');
  const handle = await open(file.localPath, 'r');
  try {
    for (let at = 0; at < file.bytes; at += chunkBytes) {
      const chunk = await readFully(handle, at, Math.min(chunkBytes, file.bytes - at));
      hash.update(chunk);
      yield chunk;
    }
  } finally {
    await handle.close();
  }
  if (hash.digest('hex') !== file.sha256) {
    throw new PublishError('FILE_CHANGED', file.localPath, 'was changed while it was published: publish it again');
  }
}

/** A part of a file's bytes; shorter where the file has become so. */
export async function readRange(file: StoredFile, start: number, length: number): Promise<Uint8Array> {
  if ('content' in file) return file.content.subarray(start, start + length);
  const handle = await open(file.localPath, 'r');
  try {
    return await readFully(handle, start, length);
  } finally {
    await handle.close();
  }
}

async function readFully(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const chunk = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(chunk, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return chunk.subarray(0, filled);
}
