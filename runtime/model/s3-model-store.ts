import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type * as S3 from '@aws-sdk/client-s3';
import {
  MANIFEST_FILE,
  modelPrefix,
  parseVersionFolder,
  REPOSITORY_INDEX_FILE,
  versionPrefix,
} from '../spec/model-repository';
import {
  parseRepositoryIndex,
  serializeRepositoryIndex,
  withVersion,
  type IndexedVersion,
  type RepositoryIndex,
} from '../spec/repository-index';
import { importPackage } from './import-package';
import { unreachable, versionExists, type ModelStore, type StoredFile } from './model-store';
import { PublishError } from './publish-error';
import { readChunks } from './read-chunks';

// One part is held in memory, so that the SDK can send it again. 10,000 parts, S3's limit, make 625 GiB.
const PART_BYTES = 64 * 1024 * 1024;
/** A key that is there already, or that somebody else is writing at this moment. */
const CONFLICTS = new Set(['PreconditionFailed', 'ConditionalRequestConflict']);
/** Publishers that write the index at the same moment; each round, one of them gets through. */
const INDEX_ATTEMPTS = 20;
const INDEX_PAUSE_MS = 100;

interface Bucket {
  readonly sdk: typeof S3;
  readonly client: S3.S3Client;
  readonly name: string;
  /** Empty, or ending in a slash. */
  readonly prefix: string;
  readonly partBytes: number;
}

/**
 * A model repository in an S3 bucket. Region, credentials and endpoint are the AWS SDK's own (environment, profile,
 * role). Needs `s3:ListBucket`, `s3:PutObject`, `s3:AbortMultipartUpload`, and `s3:DeleteObject` to clean up; the index
 * takes `s3:GetObject` and `s3:PutObject` on the one object.
 * @throws PublishError REPOSITORY_INVALID, PACKAGE_MISSING
 */
export async function s3ModelStore(uri: string, { partBytes = PART_BYTES } = {}): Promise<ModelStore> {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(uri);
  if (match === null) {
    throw new PublishError('REPOSITORY_INVALID', uri, 'must be s3://<bucket> or s3://<bucket>/<prefix>');
  }
  const [, name, path = ''] = match;
  const prefix = path
    .split('/')
    .filter(Boolean)
    .map((part) => `${part}/`)
    .join('');
  const sdk = await importPackage('@aws-sdk/client-s3', 'to publish to s3://', () => import('@aws-sdk/client-s3'));
  // A store that is not AWS rarely has a host name per bucket.
  const hasOwnEndpoint = (process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL']) !== undefined;
  const client = new sdk.S3Client({ forcePathStyle: hasOwnEndpoint });
  const bucket: Bucket = { sdk, client, name: name as string, prefix, partBytes };
  const repositoryUri = `s3://${name}/${prefix}`;

  return {
    uri: repositoryUri,

    async versions(model) {
      try {
        return await listVersions(bucket, model);
      } catch (error) {
        throw unreachable(repositoryUri, error);
      }
    },

    async write(model, version, files, manifest) {
      const folder = prefix + versionPrefix(model, version);
      const written: string[] = [];
      try {
        for (const file of [...files, manifest]) {
          await putOnce(bucket, folder + file.path, file);
          written.push(folder + file.path);
        }
      } catch (error) {
        await deleteAll(bucket, written);
        if (PublishError.is(error)) throw error;
        throw CONFLICTS.has((error as Error).name)
          ? versionExists(repositoryUri, model, version)
          : unreachable(repositoryUri, error);
      }
    },

    async announce(version) {
      try {
        await writeIndex(bucket, repositoryUri, version);
      } catch (error) {
        throw PublishError.is(error) ? error : unreachable(`${repositoryUri}${REPOSITORY_INDEX_FILE}`, error);
      }
    },
  };
}

/** Adds a version to the index as it is at that moment: whoever wrote it in between is read again and built upon. */
async function writeIndex(bucket: Bucket, repositoryUri: string, version: IndexedVersion): Promise<void> {
  const object = { Bucket: bucket.name, Key: bucket.prefix + REPOSITORY_INDEX_FILE };
  for (let attempt = 1; ; attempt++) {
    const { index, etag } = await readIndex(bucket, object, repositoryUri);
    const Body = serializeRepositoryIndex(withVersion(index, version));
    const condition = etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: etag };
    try {
      const request = { ...object, ...condition, Body, ContentType: 'application/json' };
      await bucket.client.send(new bucket.sdk.PutObjectCommand(request));
      return;
    } catch (error) {
      if (!CONFLICTS.has((error as Error).name) || attempt === INDEX_ATTEMPTS) throw error;
      await wait(INDEX_PAUSE_MS * Math.random());
    }
  }
}

async function readIndex(
  { sdk, client }: Bucket,
  object: { readonly Bucket: string; readonly Key: string },
  repositoryUri: string,
): Promise<{ readonly index?: RepositoryIndex; readonly etag?: string }> {
  try {
    const { Body, ETag } = await client.send(new sdk.GetObjectCommand(object));
    const text = (await Body?.transformToString()) ?? '';
    return { index: parseRepositoryIndex(text, repositoryUri + REPOSITORY_INDEX_FILE), etag: ETag! };
  } catch (error) {
    if ((error as Error).name === 'NoSuchKey') return {};
    throw error;
  }
}

async function listVersions({ sdk, client, name, prefix }: Bucket, model: string): Promise<number[]> {
  const Prefix = prefix + modelPrefix(model);
  const versions: number[] = [];
  for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket: name, Prefix, Delimiter: '/' })) {
    for (const folder of page.CommonPrefixes ?? []) {
      const version = parseVersionFolder((folder.Prefix ?? '').slice(Prefix.length, -1));
      if (version !== undefined) versions.push(version);
    }
  }
  return versions;
}

/**
 * Writes an object that must not be there yet. The first file of a version so claims the version: of two publishers
 * one is refused before it can replace a byte of the other's.
 */
async function putOnce(bucket: Bucket, key: string, file: StoredFile): Promise<void> {
  if (file.bytes > bucket.partBytes) return putInParts(bucket, key, file);
  const chunks: Uint8Array[] = [];
  for await (const chunk of readChunks(file, bucket.partBytes)) chunks.push(chunk);
  await bucket.client.send(
    new bucket.sdk.PutObjectCommand({
      Bucket: bucket.name,
      Key: key,
      Body: chunks[0] ?? new Uint8Array(0),
      IfNoneMatch: '*',
      ChecksumAlgorithm: 'SHA256',
      ChecksumSHA256: Buffer.from(file.sha256, 'hex').toString('base64'),
      ...(file.path === MANIFEST_FILE ? { ContentType: 'application/json' } : {}),
    }),
  );
}

async function putInParts({ sdk, client, name, partBytes }: Bucket, key: string, file: StoredFile): Promise<void> {
  const object = { Bucket: name, Key: key };
  const { UploadId } = await client.send(
    new sdk.CreateMultipartUploadCommand({ ...object, ChecksumAlgorithm: 'SHA256' }),
  );
  try {
    const Parts: S3.CompletedPart[] = [];
    for await (const Body of readChunks(file, partBytes)) {
      const PartNumber = Parts.length + 1;
      const ChecksumSHA256 = createHash('sha256').update(Body).digest('base64');
      const part = { ...object, UploadId, PartNumber, Body, ChecksumAlgorithm: 'SHA256' as const, ChecksumSHA256 };
      const { ETag } = await client.send(new sdk.UploadPartCommand(part));
      Parts.push({ ETag, PartNumber, ChecksumSHA256 });
    }
    await client.send(
      new sdk.CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts }, IfNoneMatch: '*' }),
    );
  } catch (error) {
    await client.send(new sdk.AbortMultipartUploadCommand({ ...object, UploadId })).catch(ignore);
    throw error;
  }
}

async function deleteAll({ sdk, client, name }: Bucket, keys: readonly string[]): Promise<void> {
  for (const Key of keys) await client.send(new sdk.DeleteObjectCommand({ Bucket: name, Key })).catch(ignore);
}

/** The error that made us clean up is the one to report; what stays behind has no manifest and is served by nobody. */
function ignore(): void {}
