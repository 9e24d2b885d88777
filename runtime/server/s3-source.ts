import type { Readable } from 'node:stream';
import type * as S3 from '@aws-sdk/client-s3';
import { SourceError, type ModelSource, type SourceEntry } from './model-source';
import { hasOwnS3Endpoint } from './settings';

/**
 * Objects in S3. Region, credentials and endpoint are the AWS SDK's own: environment, profile, role of the task, the pod
 * or the machine. Reading needs `s3:GetObject` only; listing, which serving a whole repository by hand does, `s3:ListBucket`.
 */
export const s3Source: ModelSource = {
  async list(folderUri, abortSignal) {
    const { bucket, key } = parseUri(folderUri);
    return attempt(folderUri, async ({ sdk, client }) => {
      const entries: SourceEntry[] = [];
      const pages = sdk.paginateListObjectsV2(
        { client },
        { Bucket: bucket, Prefix: key, Delimiter: '/' },
        { abortSignal },
      );
      for await (const page of pages) {
        const prefixes = (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix.slice(key.length, -1));
        const objects = (page.Contents ?? []).map(({ Key = '' }) => Key.slice(key.length));
        entries.push(...prefixes.map((name) => ({ name, isFolder: true })));
        entries.push(...objects.filter((name) => name !== '').map((name) => ({ name, isFolder: false })));
      }
      if (entries.length === 0) throw new SourceError('missing', `${folderUri} holds no object`);
      return entries;
    });
  },

  async open(uri, abortSignal) {
    const { bucket, key } = parseUri(uri);
    return attempt(uri, async ({ sdk, client }) => {
      const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: key });
      const { Body } = await client.send(command, { abortSignal });
      return Body as Readable;
    });
  },
};

interface Sdk {
  readonly sdk: typeof S3;
  readonly client: S3.S3Client;
}

// Loaded and made once, and only where a model lies in S3: the SDK takes a tenth of a second to load.
let loading: Promise<Sdk> | undefined;

function load(): Promise<Sdk> {
  loading ??= import('@aws-sdk/client-s3').then(async (sdk) => ({ sdk, client: await createClient(sdk) }));
  return loading;
}

async function createClient({ S3Client }: typeof S3): Promise<S3.S3Client> {
  const options: S3.S3ClientConfig = {
    forcePathStyle: hasOwnS3Endpoint(),
    // The models of one server may lie in buckets of several regions.
    followRegionRedirects: true,
    // A connection over which nothing comes any more is an error, or a download would wait for ever.
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 30_000 },
  };
  const client = new S3Client(options);
  const isRegionNamed = await client.config.region().then(
    () => true,
    () => false,
  );
  // A pod is told no region unless its identity brings one; this region's S3 knows where every bucket is.
  return isRegionNamed ? client : new S3Client({ ...options, region: 'us-east-1' });
}

async function attempt<T>(uri: string, use: (sdk: Sdk) => Promise<T>): Promise<T> {
  const sdk = await load();
  try {
    return await use(sdk);
  } catch (error) {
    throw describe(error, uri);
  }
}

function describe(error: unknown, uri: string): Error {
  if (error instanceof SourceError) return error;
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  // Without the right to list, S3 answers 403 for a key that is not there.
  if (name === 'NoSuchKey' || status === 404) return new SourceError('missing', `${uri} does not exist (${name})`);
  if (status === 403) return new SourceError('missing', `${uri} does not exist or may not be read (${name})`);
  const isPermanent = (status !== undefined && status < 500 && status !== 408 && status !== 429) || PERMANENT.has(name);
  return new SourceError(isPermanent ? 'permanent' : 'transient', `${uri} cannot be read: ${name}: ${message}`);
}

/** Failures before any answer that no waiting mends. Missing credentials are not among them: a role may come late. */
const PERMANENT = new Set(['InvalidBucketName', 'InvalidEndpointURL']);

function parseUri(uri: string): { readonly bucket: string; readonly key: string } {
  const match = /^s3:\/\/([^/]+)\/(.*)$/.exec(uri);
  if (match === null) throw new SourceError('permanent', `${uri} must be s3://<bucket>/<key>`);
  return { bucket: match[1]!, key: match[2]! };
}
