import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CliError } from './cli-error';

/** Objects of a bucket that a command finds as files, as `SLIPWAY_SOURCE` holds them in JSON. */
export interface SourceFiles {
  readonly bucket: string;
  /** What comes before every name: empty, or ending in a slash. */
  readonly prefix: string;
  /** Of each the ETag that it had when somebody looked: another content is refused. */
  readonly objects: readonly { readonly name: string; readonly etag: string }[];
}

/** Beside the model lie its external data, configuration and golden input: more files are no model's. */
const MAX_OBJECTS = 1_000;
const VARIABLE = 'SLIPWAY_SOURCE';

/**
 * What `SLIPWAY_SOURCE` says. Names came with an event, so each must be one file's own name: no folder, no way up.
 * @throws CliError for anything else.
 */
export function parseSourceFiles(text: string): SourceFiles {
  const source = parseJson(text);
  const { bucket, prefix, objects } = (source ?? {}) as Record<string, unknown>;
  const isWhole =
    typeof bucket === 'string' && typeof prefix === 'string' && Array.isArray(objects) && objects.length > 0;
  if (!isWhole || objects.length > MAX_OBJECTS) {
    throw new CliError(`${VARIABLE} must hold bucket, prefix and from 1 to ${MAX_OBJECTS} objects as JSON`);
  }
  return { bucket, prefix, objects: objects.map(parseObject) };
}

/**
 * Puts the objects into a folder, each as it was when it was listed: whoever gates one content must not publish another.
 * Region, endpoint and credentials are the AWS SDK's own.
 * @throws CliError naming the object that changed, is gone or cannot be read.
 */
export async function fetchSourceFiles({ bucket, prefix, objects }: SourceFiles, folder: string): Promise<void> {
  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
  // Emulators have no host name per bucket.
  const forcePathStyle = (process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL']) !== undefined;
  const client = new S3Client({ forcePathStyle });
  await mkdir(folder, { recursive: true });
  for (const { name, etag } of objects) {
    const Key = prefix + name;
    try {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key, IfMatch: etag }));
      await pipeline(Body as Readable, createWriteStream(path.join(folder, name)));
    } catch (error) {
      const { name: reason, message } = error as Error;
      const what = reason === 'PreconditionFailed' ? 'has changed since it was listed: start again' : message;
      throw new CliError(`s3://${bucket}/${Key}: ${what}`);
    }
  }
}

function parseObject(value: unknown): SourceFiles['objects'][number] {
  const { name, etag } = (value ?? {}) as Record<string, unknown>;
  const isName = typeof name === 'string' && /^[^/\\\0]{1,255}$/.test(name) && name !== '.' && name !== '..';
  if (!isName || typeof etag !== 'string' || etag === '') {
    throw new CliError(`${VARIABLE}: each object must be a file's name and its etag, got ${JSON.stringify(value)}`);
  }
  return { name, etag };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(`${VARIABLE} is no JSON: ${(error as Error).message}`);
  }
}
