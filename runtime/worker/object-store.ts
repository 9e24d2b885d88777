import type { Readable } from 'node:stream';
import type * as S3 from '@aws-sdk/client-s3';

/** An object that was found and is not read yet: the size is known before anything is held in memory. */
export interface FoundObject {
  readonly bytes: number;
  readonly contentType?: string;
  /** What the metadata say of a binary inference request. */
  readonly inferenceHeaderLength?: number;
  read(): Promise<Uint8Array>;
  /** Lets go of the connection of an object that nobody reads. */
  discard(): void;
}

export interface StoredObject {
  readonly body: Uint8Array | string;
  readonly contentType: string;
  readonly inferenceHeaderLength?: number;
}

/** `gone`: there is no such object, and no waiting mends that. `unreadable`: anything else. */
export class ObjectError extends Error {
  constructor(
    readonly reason: 'gone' | 'unreadable',
    message: string,
  ) {
    super(message);
  }
}

export interface ObjectStore {
  /** @throws ObjectError */
  open(uri: string): Promise<FoundObject>;
  put(uri: string, object: StoredObject): Promise<void>;
  exists(uri: string): Promise<boolean>;
  /** Keys below a prefix, `s3://<bucket>/<prefix>`, without it. */
  list(prefixUri: string): AsyncIterable<string>;
}

const METADATA = 'inference-header-content-length';
const REQUEST_HANDLER = { connectionTimeout: 5_000, socketTimeout: 30_000 };
/** How S3 marks what nobody has given a type. */
const NO_TYPE = new Set(['binary/octet-stream', 'application/octet-stream']);

/** Objects in S3. Region, endpoint and credentials are the SDK's own. */
export async function openS3(environment: Readonly<Record<string, string | undefined>>): Promise<ObjectStore> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client({
    requestHandler: REQUEST_HANDLER,
    followRegionRedirects: true,
    // Emulators have no host name per bucket.
    forcePathStyle: (environment['AWS_ENDPOINT_URL_S3'] ?? environment['AWS_ENDPOINT_URL'] ?? '') !== '',
  });
  return new S3ObjectStore(sdk, client);
}

class S3ObjectStore implements ObjectStore {
  constructor(
    private readonly sdk: typeof S3,
    private readonly client: S3.S3Client,
  ) {}

  async open(uri: string): Promise<FoundObject> {
    const command = new this.sdk.GetObjectCommand(placeOf(uri));
    const { Body, ContentLength = 0, ContentType, Metadata } = await this.client.send(command).catch(describe);
    const headerLength = Metadata?.[METADATA];
    return {
      bytes: ContentLength,
      ...(ContentType === undefined || NO_TYPE.has(ContentType) ? {} : { contentType: ContentType }),
      ...(headerLength === undefined ? {} : { inferenceHeaderLength: Number(headerLength) }),
      read: () => Body!.transformToByteArray().catch(describe),
      discard: () => void (Body as Readable).destroy(),
    };
  }

  async put(uri: string, { body, contentType, inferenceHeaderLength }: StoredObject): Promise<void> {
    const metadata =
      inferenceHeaderLength === undefined ? {} : { Metadata: { [METADATA]: String(inferenceHeaderLength) } };
    await this.client.send(
      new this.sdk.PutObjectCommand({ ...placeOf(uri), Body: body, ContentType: contentType, ...metadata }),
    );
  }

  async exists(uri: string): Promise<boolean> {
    try {
      await this.client.send(new this.sdk.HeadObjectCommand(placeOf(uri)));
      return true;
    } catch (error) {
      const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
      // Without the right to list, S3 answers 403 for a key that is not there.
      if ($metadata?.httpStatusCode === 404 || $metadata?.httpStatusCode === 403) return false;
      throw error;
    }
  }

  async *list(prefixUri: string): AsyncIterable<string> {
    const { Bucket, Key: Prefix } = placeOf(prefixUri);
    for await (const page of this.sdk.paginateListObjectsV2({ client: this.client }, { Bucket, Prefix })) {
      for (const { Key = '' } of page.Contents ?? []) if (!Key.endsWith('/')) yield Key.slice(Prefix.length);
    }
  }
}

function placeOf(uri: string): { Bucket: string; Key: string } {
  const match = /^s3:\/\/([^/]+)\/(.*)$/.exec(uri);
  if (match === null) throw new Error(`${uri} must be s3://<bucket>/<key>`);
  return { Bucket: match[1]!, Key: match[2]! };
}

function describe(error: Error): never {
  throw new ObjectError(error.name === 'NoSuchKey' ? 'gone' : 'unreadable', `${error.name}: ${error.message}`);
}
