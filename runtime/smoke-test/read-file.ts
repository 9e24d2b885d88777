import { createHash } from 'node:crypto';
import { readFile as readLocal } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** A manifest or a golden tensor: more than this is neither. */
const MAX_BYTES = 256 * 2 ** 20;

/** A file at `s3://<bucket>/<key>` or `file:///…`. */
export async function readFile(uri: string, abortSignal: AbortSignal): Promise<Uint8Array> {
  if (uri.startsWith('file:')) return readLocal(fileURLToPath(uri), { signal: abortSignal });
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  if (bucket === undefined) throw new Error(`cannot read '${uri}', which is neither s3:// nor file://`);
  // The function's runtime brings it.
  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
  const { Body, ContentLength = 0 } = await new S3Client({}).send(new GetObjectCommand({ Bucket: bucket, Key: key }), {
    abortSignal,
  });
  if (ContentLength > MAX_BYTES) throw new Error(`${uri} is ${ContentLength} bytes, at most ${MAX_BYTES} are read`);
  return Body!.transformToByteArray();
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
