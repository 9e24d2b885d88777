import { createHash } from 'node:crypto';
import type * as S3 from '@aws-sdk/client-s3';
import { cloudVariables } from '../../sources/cloud-variables';
import { cosClientOptions } from '../../sources/cos-source';
import { ossClientOptions } from '../../sources/oss-source';
import { connectS3 } from '../../sources/s3-source';
import type { StoredFile } from '../model-store';
import { PublishError } from '../publish-error';
import { readChunks } from '../read-chunks';
import {
  contentTypeOf,
  factsOf,
  metadataOf,
  toPrefix,
  type ListedObject,
  type ObjectStore,
  type UploadProgress,
} from './object-store';
import { replaceUnderLock } from './replace-under-lock';
import { findBegunUpload, type BegunUpload } from './s3-begun-upload';

// One part is held in memory, so that the SDK can send it again. 10,000 parts, S3's limit, make 625 GiB.
const PART_BYTES = 64 * 1024 * 1024;
/** A key that is there already, or that somebody else is writing at this moment; the last is what OSS and COS say. */
const CONFLICTS = new Set(['PreconditionFailed', 'ConditionalRequestConflict', 'FileAlreadyExists']);

/** Stores that speak S3's protocol, and where they differ in what publishing needs. */
interface Dialect {
  readonly connect: (sdk: typeof S3) => Promise<S3.S3Client> | S3.S3Client;
  /** The header that refuses to overwrite, of those that do not take S3's `If-None-Match`. */
  readonly forbidOverwrite?: string;
}

/** The SDK's own three attempts are over in less than a second, and a network may be gone for several: these take about twelve. */
const PATIENT = { maxAttempts: 10 } as const;

const DIALECTS = {
  s3: { connect: (sdk) => connectS3(sdk, PATIENT) },
  // https://www.alibabacloud.com/help/en/oss/developer-reference/putobject
  oss: {
    connect: ({ S3Client }) =>
      new S3Client({ ...ossClientOptions(cloudVariables()), ...WITHOUT_CHECKSUMS, ...PATIENT }),
    forbidOverwrite: 'x-oss-forbid-overwrite',
  },
  // https://www.tencentcloud.com/document/product/436/7749
  cos: {
    connect: ({ S3Client }) =>
      new S3Client({ ...cosClientOptions(cloudVariables()), ...WITHOUT_CHECKSUMS, ...PATIENT }),
    forbidOverwrite: 'x-cos-forbid-overwrite',
  },
} as const satisfies Readonly<Record<string, Dialect>>;

/** Checksums in trailers are S3's alone; the others take an MD5, which is sent to all of them. */
const WITHOUT_CHECKSUMS = { requestChecksumCalculation: 'WHEN_REQUIRED' } as const;

export type S3Scheme = keyof typeof DIALECTS;

interface Bucket {
  readonly sdk: typeof S3;
  readonly client: S3.S3Client;
  readonly dialect: Dialect;
  readonly name: string;
  /** Empty, or ending in a slash. */
  readonly prefix: string;
  readonly partBytes: number;
}

/**
 * A bucket of S3, Alibaba Cloud OSS or Tencent Cloud COS, with the identity, region and endpoint that the server reads it
 * with. Needs `s3:ListBucket`, `s3:GetObject`, `s3:PutObject`, `s3:ListBucketMultipartUploads`, `s3:ListMultipartUploadParts`
 * and `s3:AbortMultipartUpload`, or what the others call these; `s3:DeleteObject` for `gc`.
 * @throws PublishError REPOSITORY_INVALID; SourceError without region and endpoint
 */
export async function s3ObjectStore(
  scheme: S3Scheme,
  uri: string,
  { partBytes = PART_BYTES } = {},
): Promise<ObjectStore> {
  const match = /^[a-z0-9]+:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(uri);
  if (match === null) {
    throw new PublishError('REPOSITORY_INVALID', uri, `must be ${scheme}://<bucket> or ${scheme}://<bucket>/<prefix>`);
  }
  const prefix = toPrefix(match[2] ?? '');
  const dialect: Dialect = DIALECTS[scheme];
  const sdk = await import('@aws-sdk/client-s3');
  const bucket: Bucket = { sdk, client: await dialect.connect(sdk), dialect, name: match[1]!, prefix, partBytes };
  const { client, name } = bucket;
  const objectAt = (key: string) => ({ Bucket: name, Key: prefix + key });

  const store: ObjectStore = {
    uri: `${scheme}://${name}/${prefix}`,

    async list(below) {
      const folders: string[] = [];
      const objects: ListedObject[] = [];
      const request = { Bucket: name, Prefix: prefix + below, Delimiter: '/' };
      for await (const page of sdk.paginateListObjectsV2({ client }, request)) {
        for (const { Prefix = '' } of page.CommonPrefixes ?? []) {
          folders.push(Prefix.slice(prefix.length + below.length, -1));
        }
        objects.push(...listed(page, prefix));
      }
      return { folders, objects };
    },

    async listAll(below) {
      const objects: ListedObject[] = [];
      for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket: name, Prefix: prefix + below })) {
        objects.push(...listed(page, prefix));
      }
      return objects;
    },

    head: (key) =>
      unlessHidden(async () => {
        const { ContentLength = 0, Metadata } = await client.send(new sdk.HeadObjectCommand(objectAt(key)));
        return factsOf(ContentLength, Metadata);
      }),

    read: (key) =>
      unlessMissing(async () => {
        const { Body, ETag } = await client.send(new sdk.GetObjectCommand(objectAt(key)));
        return { content: Buffer.from(await Body!.transformToByteArray()), tag: ETag! };
      }),

    create: (key, file, progress) =>
      file.bytes > partBytes ? createInParts(bucket, key, file, progress) : createAtOnce(bucket, key, file, progress),

    replace(key, content, tag) {
      const condition = tag === undefined ? { IfNoneMatch: '*' } : { IfMatch: tag };
      const request = { ...objectAt(key), Body: content, ContentType: contentTypeOf(key) };
      if (dialect.forbidOverwrite === undefined) {
        return unlessConflict(() => client.send(new sdk.PutObjectCommand({ ...request, ...condition })));
      }
      return replaceUnderLock(store, key, tag, () => client.send(new sdk.PutObjectCommand(request)));
    },

    async delete(key) {
      await client.send(new sdk.DeleteObjectCommand(objectAt(key)));
    },
  };
  return store;
}

function listed({ Contents = [] }: S3.ListObjectsV2CommandOutput, prefix: string): readonly ListedObject[] {
  return Contents.map(({ Key = '', Size = 0, LastModified = new Date(0) }) => ({
    key: Key.slice(prefix.length),
    bytes: Size,
    modified: LastModified,
  }));
}

async function createAtOnce(bucket: Bucket, key: string, file: StoredFile, progress: UploadProgress): Promise<boolean> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readChunks(file, bucket.partBytes)) chunks.push(chunk);
  const Body = chunks[0] ?? new Uint8Array(0);
  const command = new bucket.sdk.PutObjectCommand({
    Bucket: bucket.name,
    Key: bucket.prefix + key,
    Body,
    ContentType: contentTypeOf(key),
    Metadata: metadataOf(file, progress),
    ...checksumOf(bucket, Body),
    ...onlyNew(bucket),
  });
  refuseToOverwrite(bucket, command);
  const isOurs = await unlessConflict(() => bucket.client.send(command));
  if (isOurs) progress.onBytes(file.bytes, false);
  return isOurs;
}

async function createInParts(
  bucket: Bucket,
  key: string,
  file: StoredFile,
  progress: UploadProgress,
): Promise<boolean> {
  const { sdk, client } = bucket;
  const object = { Bucket: bucket.name, Key: bucket.prefix + key };
  const begun =
    (await findBegunUpload(sdk, client, object, file, bucket.partBytes)) ?? (await begin(bucket, key, file, progress));
  const upload = { ...object, UploadId: begun.id };
  try {
    const Parts: S3.CompletedPart[] = [];
    for await (const Body of readChunks(file, bucket.partBytes)) {
      const PartNumber = Parts.length + 1;
      const there = begun.partLike(PartNumber, Body);
      Parts.push(there ?? (await sendPart(bucket, upload, PartNumber, Body)));
      progress.onBytes(Body.byteLength, there !== undefined);
    }
    const command = new sdk.CompleteMultipartUploadCommand({
      ...upload,
      MultipartUpload: { Parts },
      ...onlyNew(bucket),
    });
    refuseToOverwrite(bucket, command);
    if (await unlessConflict(() => client.send(command))) return true;
  } catch (error) {
    // Parts that were sent stay for the next try, but for those of a file that is no more.
    if (PublishError.is(error)) await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(ignore);
    throw error;
  }
  await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(ignore);
  return false;
}

async function begin(
  { sdk, client, name, prefix, dialect }: Bucket,
  key: string,
  file: StoredFile,
  progress: UploadProgress,
): Promise<BegunUpload> {
  const command = new sdk.CreateMultipartUploadCommand({
    Bucket: name,
    Key: prefix + key,
    ContentType: contentTypeOf(key),
    Metadata: metadataOf(file, progress),
    ...(dialect.forbidOverwrite === undefined ? { ChecksumAlgorithm: 'SHA256' as const } : {}),
  });
  const { UploadId } = await client.send(command);
  return { id: UploadId!, partLike: () => undefined };
}

async function sendPart(
  bucket: Bucket,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
  PartNumber: number,
  Body: Uint8Array,
): Promise<S3.CompletedPart> {
  const checksum = checksumOf(bucket, Body);
  const { ETag } = await bucket.client.send(
    new bucket.sdk.UploadPartCommand({ ...upload, PartNumber, Body, ...checksum }),
  );
  const { ChecksumSHA256 } = checksum;
  return { ETag, PartNumber, ...(ChecksumSHA256 === undefined ? {} : { ChecksumSHA256 }) };
}

/** What makes the store refuse bytes that changed on the way. */
function checksumOf(
  { dialect }: Bucket,
  body: Uint8Array,
): { readonly ChecksumAlgorithm?: 'SHA256'; readonly ChecksumSHA256?: string; readonly ContentMD5?: string } {
  return dialect.forbidOverwrite === undefined
    ? { ChecksumAlgorithm: 'SHA256', ChecksumSHA256: createHash('sha256').update(body).digest('base64') }
    : { ContentMD5: createHash('md5').update(body).digest('base64') };
}

function onlyNew({ dialect }: Bucket): { readonly IfNoneMatch?: '*' } {
  return dialect.forbidOverwrite === undefined ? { IfNoneMatch: '*' } : {};
}

/** Before the request is signed, for what is not signed may be taken away on its way. */
function refuseToOverwrite(
  { dialect }: Bucket,
  { middlewareStack }: S3.PutObjectCommand | S3.CompleteMultipartUploadCommand,
): void {
  const { forbidOverwrite } = dialect;
  if (forbidOverwrite === undefined) return;
  // The two commands have stacks of different types, of which this uses what is the same.
  (middlewareStack as S3.PutObjectCommand['middlewareStack']).add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers[forbidOverwrite] = 'true';
      return next(args);
    },
    { step: 'build', name: 'refuseToOverwrite' },
  );
}

async function unlessConflict(send: () => Promise<unknown>): Promise<boolean> {
  try {
    await send();
    return true;
  } catch (error) {
    const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    if (CONFLICTS.has(name) || $metadata?.httpStatusCode === 412) return false;
    throw error;
  }
}

/**
 * Whoever may not list the whole bucket gets 403 for what is missing. If it is there and may not be read, creating it says so.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
 */
async function unlessHidden<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await unlessMissing(ask);
  } catch (error) {
    if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 403) return undefined;
    throw error;
  }
}

async function unlessMissing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    // HEAD has no body to say more in; of a bucket that is not there, the first listing or writing tells.
    if (name === 'NoSuchKey' || name === 'NotFound') return undefined;
    if ($metadata?.httpStatusCode === 404 && name !== 'NoSuchBucket') return undefined;
    throw error;
  }
}

/** The error that made us clean up is the one to report. */
function ignore(): void {}
