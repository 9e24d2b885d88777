import type { Readable } from 'node:stream';
import type * as S3 from '@aws-sdk/client-s3';
import { SourceError, type ModelSource, type SourceEntry } from './model-source';

/** A connection over which nothing comes any more is an error, or a download would wait for ever. */
export const S3_REQUEST_HANDLER = { connectionTimeout: 5_000, socketTimeout: 30_000 };

/**
 * Objects of a store that speaks S3's protocol, at `<scheme>://<bucket>/<key>`. Keys are taken as they are.
 * `connect` is called when the first model lies there: the SDK takes a tenth of a second to load.
 */
export function s3CompatibleSource(
  scheme: string,
  connect: (sdk: typeof S3) => Promise<S3.S3Client> | S3.S3Client,
): ModelSource {
  let loading: Promise<Sdk> | undefined;
  const load = (): Promise<Sdk> => {
    loading ??= import('@aws-sdk/client-s3').then(async (sdk) => ({ sdk, client: await connect(sdk) }));
    // What went wrong once may go right the next time.
    loading.catch(() => (loading = undefined));
    return loading;
  };
  const attempt = async <T>(uri: string, use: (sdk: Sdk, at: ObjectPlace) => Promise<T>): Promise<T> => {
    const place = parseUri(scheme, uri);
    const sdk = await load();
    try {
      return await use(sdk, place);
    } catch (error) {
      throw describe(error, uri);
    }
  };

  return {
    list: (folderUri, abortSignal) =>
      attempt(folderUri, async ({ sdk, client }, { bucket, key }) => {
        const entries: SourceEntry[] = [];
        const request = { Bucket: bucket, Prefix: key, Delimiter: '/' };
        for await (const page of sdk.paginateListObjectsV2({ client }, request, { abortSignal })) {
          const prefixes = (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix.slice(key.length, -1));
          const objects = (page.Contents ?? []).map(({ Key = '' }) => Key.slice(key.length));
          entries.push(...prefixes.map((name) => ({ name, isFolder: true })));
          entries.push(...objects.filter((name) => name !== '').map((name) => ({ name, isFolder: false })));
        }
        if (entries.length === 0) throw new SourceError('missing', `${folderUri} holds no object`);
        return entries;
      }),

    stat: (uri, abortSignal) =>
      attempt(uri, async ({ sdk, client }, { bucket, key }) => {
        const command = new sdk.HeadObjectCommand({ Bucket: bucket, Key: key });
        const { ContentLength, ETag } = await client.send(command, { abortSignal });
        return {
          ...(ContentLength === undefined ? {} : { bytes: ContentLength }),
          ...(ETag === undefined ? {} : { tag: ETag }),
          hasRanges: true,
        };
      }),

    open: (uri, abortSignal, { range, tag } = {}) =>
      attempt(uri, async ({ sdk, client }, { bucket, key }) => {
        const command = new sdk.GetObjectCommand({
          Bucket: bucket,
          Key: key,
          ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
          ...(tag === undefined ? {} : { IfMatch: tag }),
        });
        const { Body, ETag, ContentRange } = await client.send(command, { abortSignal });
        const body = Body as Readable;
        // Not every store that speaks the protocol looks at the conditions.
        if (tag !== undefined && ETag !== undefined && ETag !== tag) {
          body.destroy();
          throw new SourceError('changed', `${uri} was replaced while it was fetched`);
        }
        if (range !== undefined && ContentRange === undefined) {
          body.destroy();
          throw new SourceError('permanent', `${uri} is sent whole where a part of it is asked for`);
        }
        return body;
      }),
  };
}

interface Sdk {
  readonly sdk: typeof S3;
  readonly client: S3.S3Client;
}

interface ObjectPlace {
  readonly bucket: string;
  readonly key: string;
}

function describe(error: unknown, uri: string): Error {
  if (error instanceof SourceError) return error;
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  // Without the right to list, S3 answers 403 for a key that is not there.
  if (name === 'NoSuchKey' || status === 404) return new SourceError('missing', `${uri} does not exist (${name})`);
  if (status === 403) return new SourceError('missing', `${uri} does not exist or may not be read (${name})`);
  if (status === 412 || status === 416) {
    return new SourceError('changed', `${uri} was replaced while it was fetched (${name})`);
  }
  const isPermanent = (status !== undefined && status < 500 && status !== 408 && status !== 429) || PERMANENT.has(name);
  return new SourceError(isPermanent ? 'permanent' : 'transient', `${uri} cannot be read: ${name}: ${message}`);
}

/** Failures before any answer that no waiting mends. Missing credentials are not among them: a role may come late. */
const PERMANENT = new Set(['InvalidBucketName', 'InvalidEndpointURL']);

function parseUri(scheme: string, uri: string): ObjectPlace {
  const match = new RegExp(`^${scheme}://([^/]+)/(.*)$`).exec(uri);
  if (match === null) throw new SourceError('permanent', `${uri} must be ${scheme}://<bucket>/<key>`);
  return { bucket: match[1]!, key: match[2]! };
}
