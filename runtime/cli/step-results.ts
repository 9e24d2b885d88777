import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { CliError } from './cli-error';

/** Where steps of one run leave files for those that follow, as `SLIPWAY_RESULTS` says it in JSON. */
export interface StepResults {
  readonly bucket: string;
  /** The folder of the run, ending in a slash. */
  readonly prefix: string;
  /** The folder that this step writes, below the run's. @default - it only reads */
  readonly step?: string;
}

const VARIABLE = 'SLIPWAY_RESULTS';
/** Reports, models and what lies beside them: a step that leaves more is misled. */
const MAX_FILES = 1_000;
/** What S3 takes in one piece. */
const MAX_BYTES = 5 * 2 ** 30;

/** @throws CliError for anything but a bucket, a folder in it and the name of a step. */
export function parseStepResults(text: string): StepResults {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CliError(`${VARIABLE} is no JSON: ${(error as Error).message}`);
  }
  const { bucket, prefix, step } = (value ?? {}) as Record<string, unknown>;
  const isStep = step === undefined || (typeof step === 'string' && /^[A-Za-z][A-Za-z0-9_-]{0,59}$/.test(step));
  if (typeof bucket !== 'string' || typeof prefix !== 'string' || !prefix.endsWith('/') || !isStep) {
    throw new CliError(`${VARIABLE} must hold bucket, prefix with a closing slash and the name of a step as JSON`);
  }
  return { bucket, prefix, ...(step === undefined ? {} : { step: step }) };
}

/**
 * Puts what earlier steps of the run left into a folder, and makes the one that this step writes.
 * @throws CliError naming the object that cannot be read
 */
export async function fetchResults({ bucket, prefix, step }: StepResults, folder: string): Promise<void> {
  const { GetObjectCommand, ListObjectsV2Command } = await import('@aws-sdk/client-s3');
  const client = await connect();
  await mkdir(path.join(folder, step ?? ''), { recursive: true });
  await naming(`s3://${bucket}/${prefix}`, async () => {
    const { Contents = [], IsTruncated } = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: MAX_FILES }),
    );
    if (IsTruncated === true) throw new Error(`has more than ${MAX_FILES} files`);
    for (const { Key, ETag } of Contents) {
      const name = Key!.slice(prefix.length);
      // Of this very step, when a run is taken up again: it would be in the way.
      if (step !== undefined && name.startsWith(`${step}/`)) continue;
      if (!isFileBelow(name)) throw new Error(`'${name}' is no file below it`);
      const file = path.join(folder, name);
      await mkdir(path.dirname(file), { recursive: true });
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: Key!, IfMatch: ETag }));
      await pipeline(Body as Readable, createWriteStream(file));
    }
  });
}

/**
 * Sends what this step left in its folder.
 * @throws CliError naming the object that cannot be written
 */
export async function saveResults({ bucket, prefix, step }: StepResults, folder: string): Promise<void> {
  if (step === undefined) return;
  const { PutObjectCommand } = await import('@aws-sdk/client-s3');
  const client = await connect();
  const own = path.join(folder, step);
  const entries = await readdir(own, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const place = `s3://${bucket}/${prefix}${step}/`;
  if (files.length > MAX_FILES) {
    throw new CliError(`${place}: the step left ${files.length} files, at most ${MAX_FILES} are handed on`);
  }
  for (const file of files) {
    const name = path.relative(own, file).split(path.sep).join('/');
    await naming(place + name, async () => {
      const { size } = await stat(file);
      if (size > MAX_BYTES) throw new Error(`has ${size} bytes, at most ${MAX_BYTES} are handed on`);
      const Key = `${prefix}${step}/${name}`;
      const Body = createReadStream(file);
      await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ContentLength: size }));
    });
  }
}

/** Region, endpoint and credentials are the AWS SDK's own. */
async function connect(): Promise<S3Client> {
  const { S3Client } = await import('@aws-sdk/client-s3');
  // Emulators have no host name per bucket.
  return new S3Client({
    forcePathStyle: (process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL']) !== undefined,
  });
}

async function naming(place: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    throw new CliError(`${place}: ${(error as Error).message}`);
  }
}

/** Names came from a bucket: none may lead out of the folder. */
function isFileBelow(name: string): boolean {
  return name.split('/').every((part) => /^[^\\\0]{1,255}$/.test(part) && part !== '.' && part !== '..');
}
