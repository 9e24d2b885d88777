import type { Readable } from 'node:stream';
import type { BlobServiceClient } from '@azure/storage-blob' with { 'resolution-mode': 'import' };
import { SourceError, type ModelSource, type SourceEntry } from './model-source';
import { cloudVariables } from './cloud-variables';
import { azureAccess } from './azure-credentials';
import { failureOfSocket, failureOfStatus } from './http-request';
import { storeEndpoint } from './store-endpoint';

/**
 * Blobs in Azure Storage, at `az://<account>/<container>/<blob>` or at their own `https://<account>.blob.core.windows.net/…`.
 * `AZURE_STORAGE_SERVICE_ENDPOINT`, as in the `az` command, or a connection string names another address.
 * Reading and listing need the role Storage Blob Data Reader.
 */
export const azureSource: ModelSource = {
  list: (folderUri, abortSignal) =>
    attempt(folderUri, async (client, { container, blob: prefix }) => {
      const entries: SourceEntry[] = [];
      const listing = client.getContainerClient(container).listBlobsByHierarchy('/', { prefix, abortSignal });
      for await (const { kind, name } of listing) {
        const isFolder = kind === 'prefix';
        const own = isFolder ? name.slice(prefix.length, -1) : name.slice(prefix.length);
        if (own !== '') entries.push({ name: own, isFolder });
      }
      if (entries.length === 0) throw new SourceError('missing', `${folderUri} holds no blob`);
      return entries;
    }),

  stat: (uri, abortSignal) =>
    attempt(uri, async (client, { container, blob }) => {
      const { contentLength, etag } = await client
        .getContainerClient(container)
        .getBlobClient(blob)
        .getProperties({ abortSignal });
      return {
        ...(contentLength === undefined ? {} : { bytes: contentLength }),
        ...(etag === undefined ? {} : { tag: etag }),
        hasRanges: true,
      };
    }),

  open: (uri, abortSignal, { range, tag } = {}) =>
    attempt(uri, async (client, { container, blob }) => {
      const { readableStreamBody } = await client
        .getContainerClient(container)
        .getBlobClient(blob)
        .download(range?.start ?? 0, range === undefined ? undefined : range.end - range.start, {
          abortSignal,
          ...(tag === undefined ? {} : { conditions: { ifMatch: tag } }),
        });
      return readableStreamBody as Readable;
    }),
};

/** What an `az://` URI, or a blob's own address, names. */
export interface BlobPlace {
  readonly account: string;
  /** Azure's own address of the account, where the URI says it. */
  readonly endpoint?: string;
  readonly container: string;
  readonly blob: string;
}

const clients = new Map<string, Promise<BlobServiceClient>>();

async function attempt<T>(uri: string, use: (client: BlobServiceClient, place: BlobPlace) => Promise<T>): Promise<T> {
  const place = parseAzureUri(uri);
  try {
    return await use(await azureClientOf(place), place);
  } catch (error) {
    throw describe(error, uri);
  }
}

/**
 * The client of an account, connected once with the first identity that has something to show.
 * @throws Error when none has
 */
export function azureClientOf(place: Pick<BlobPlace, 'account' | 'endpoint'>): Promise<BlobServiceClient> {
  const key = place.endpoint ?? place.account;
  let client = clients.get(key);
  if (client === undefined) {
    client = connect(place);
    clients.set(key, client);
    // An identity may come up after the container.
    client.catch(() => clients.delete(key));
  }
  return client;
}

async function connect({ account, endpoint }: Pick<BlobPlace, 'account' | 'endpoint'>): Promise<BlobServiceClient> {
  const variables = cloudVariables();
  const access = await azureAccess(account, variables);
  const { BlobServiceClient } = await import('@azure/storage-blob');
  if ('connectionString' in access) return BlobServiceClient.fromConnectionString(access.connectionString);
  const named = storeEndpoint(variables['AZURE_STORAGE_SERVICE_ENDPOINT'], 'AZURE_STORAGE_SERVICE_ENDPOINT');
  const url = named?.url.href.replace(/\/$/, '') ?? endpoint ?? `https://${account}.blob.core.windows.net`;
  return 'signature' in access
    ? new BlobServiceClient(`${url}?${access.signature}`)
    : new BlobServiceClient(url, access.credential);
}

/** A role that was assigned a moment ago is refused for minutes: a refusal is taken for final only after so long. */
const ROLE_ASSIGNMENT_MS = 180_000;
let firstRefusal: number | undefined;

function describe(error: unknown, uri: string): SourceError {
  if (error instanceof SourceError) return error;
  const { statusCode, code = '', message } = error as { statusCode?: number; code?: string; message: string };
  // Names and lines of the answer only: messages of the library may quote the URL with its signature.
  if (statusCode === undefined) {
    const reason = /signature|sig=/i.test(message) ? code : message.split('\n')[0]!;
    return new SourceError(failureOfSocket(error), `${uri} cannot be read: ${reason}`);
  }
  if (code === 'AuthorizationPermissionMismatch') {
    firstRefusal ??= Date.now();
    if (Date.now() - firstRefusal < ROLE_ASSIGNMENT_MS) {
      return new SourceError(
        'transient',
        `${uri} may not be read yet (${code}): its identity needs Storage Blob Data Reader`,
      );
    }
  }
  const failure = failureOfStatus(statusCode);
  const what = {
    missing: 'does not exist or may not be read',
    changed: 'was replaced while it was fetched',
    transient: 'cannot be read',
    permanent: 'cannot be read',
  }[failure];
  return new SourceError(failure, `${uri} ${what} (${code || statusCode})`);
}

const BLOB_HOST = /^([a-z0-9]+)\.blob\.core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)$/;

/** Whether a URL is a blob that an identity opens. One that brings its signature along needs none. */
export function isAzureBlobUrl(uri: string): boolean {
  return URL.canParse(uri) && BLOB_HOST.test(new URL(uri).hostname) && !new URL(uri).searchParams.has('sig');
}

/** @throws SourceError for what names no blob */
export function parseAzureUri(uri: string): BlobPlace {
  if (isAzureBlobUrl(uri)) {
    const { origin, hostname, pathname } = new URL(uri);
    const [, container = '', ...blob] = pathname.split('/').map(decodeURIComponent);
    return { account: BLOB_HOST.exec(hostname)![1]!, endpoint: origin, container, blob: blob.join('/') };
  }
  const match = /^az:\/\/([^/]+)\/([^/]+)\/(.*)$/.exec(uri);
  if (match === null) throw new SourceError('permanent', `${uri} must be az://<account>/<container>/<blob>`);
  return { account: match[1]!, container: match[2]!, blob: match[3]! };
}
