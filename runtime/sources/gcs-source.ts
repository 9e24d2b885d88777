import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { SourceError, type ModelSource, type SourceEntry } from './model-source';
import { cloudVariables } from './cloud-variables';
import { gcsAddress, gcsAuthorization } from './gcs-access';
import { failureOfSocket, failureOfStatus, httpRequest, readBody } from './http-request';

/**
 * Objects in Google Cloud Storage, at `gs://<bucket>/<object>`, over its JSON API
 * (https://cloud.google.com/storage/docs/json_api/v1). Who we are is Application Default Credentials' matter: the file of
 * `GOOGLE_APPLICATION_CREDENTIALS` (workload identity federation), gcloud's login, the metadata server of GKE, Cloud Run or
 * the machine. `STORAGE_EMULATOR_HOST` names an emulator, which is asked without any token;
 * `CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE`, as in gcloud, a private endpoint of Google's.
 * Reading needs `storage.objects.get`, listing `storage.objects.list`.
 */
export const gcsSource: ModelSource = {
  async list(folderUri, signal) {
    const { bucket, object: prefix } = parseUri(folderUri);
    const entries: SourceEntry[] = [];
    for (let pageToken: string | undefined = ''; pageToken !== undefined;) {
      const response = await ask(folderUri, signal, `b/${encodeURIComponent(bucket)}/o`, {
        prefix,
        delimiter: '/',
        fields: 'prefixes,items(name),nextPageToken',
        ...(pageToken === '' ? {} : { pageToken }),
      });
      const page = await readJson<ListPage>(response, folderUri);
      entries.push(...(page.prefixes ?? []).map((name) => ({ name: name.slice(prefix.length, -1), isFolder: true })));
      const names = (page.items ?? []).map(({ name }) => name.slice(prefix.length));
      entries.push(...names.filter((name) => name !== '').map((name) => ({ name, isFolder: false })));
      pageToken = page.nextPageToken;
    }
    if (entries.length === 0) throw new SourceError('missing', `${folderUri} holds no object`);
    return entries;
  },

  async stat(uri, signal) {
    const response = await ask(uri, signal, objectPath(uri), { fields: 'size,generation' });
    const { size, generation } = await readJson<ObjectFacts>(response, uri);
    return { bytes: Number(size), tag: generation, hasRanges: true };
  },

  async open(uri, signal, { range, tag } = {}) {
    const headers = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` };
    const query = { alt: 'media', ...(tag === undefined ? {} : { ifGenerationMatch: tag }) };
    const response = await ask(uri, signal, objectPath(uri), query, headers);
    const generation = response.headers['x-goog-generation'];
    if (tag !== undefined && generation !== undefined && generation !== tag) {
      response.destroy();
      throw new SourceError('changed', `${uri} was replaced while it was fetched`);
    }
    if (range !== undefined && response.statusCode !== 206) {
      response.destroy();
      throw new SourceError('permanent', `${uri} is sent whole where a part of it is asked for`);
    }
    return response;
  },
};

interface ListPage {
  readonly prefixes?: readonly string[];
  readonly items?: readonly { readonly name: string }[];
  readonly nextPageToken?: string;
}

/** JSON has no 64-bit numbers: both are decimal strings. */
interface ObjectFacts {
  readonly size: string;
  readonly generation: string;
}

async function ask(
  uri: string,
  signal: AbortSignal,
  path: string,
  query: Readonly<Record<string, string>>,
  headers: OutgoingHttpHeaders = {},
): Promise<IncomingMessage> {
  const { origin, isEmulator } = gcsAddress(cloudVariables(), uri);
  const url = new URL(`/storage/v1/${path}?${new URLSearchParams(query).toString()}`, origin);
  const identity = isEmulator ? {} : await gcsAuthorization(uri, 'read_only');
  let response: IncomingMessage;
  try {
    response = await httpRequest(url, signal, { headers: { ...headers, ...identity } });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SourceError(failureOfSocket(error), `${uri} cannot be read: ${code ?? message}`);
  }
  const { statusCode = 0 } = response;
  if (statusCode === 200 || statusCode === 206) return response;
  response.destroy();
  const failure = failureOfStatus(statusCode);
  const what = failure === 'missing' ? 'does not exist or may not be read' : 'cannot be read';
  throw new SourceError(failure, `${uri} ${what} (${statusCode})`);
}

async function readJson<T>(response: IncomingMessage, uri: string): Promise<T> {
  try {
    return JSON.parse(await readBody(response)) as T;
  } catch (error) {
    throw new SourceError('transient', `${uri} cannot be read: ${(error as Error).message}`);
  }
}

function objectPath(uri: string): string {
  const { bucket, object } = parseUri(uri);
  return `b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(object)}`;
}

function parseUri(uri: string): { readonly bucket: string; readonly object: string } {
  const match = /^gs:\/\/([^/]+)\/(.*)$/.exec(uri);
  if (match === null) throw new SourceError('permanent', `${uri} must be gs://<bucket>/<object>`);
  return { bucket: match[1]!, object: match[2]! };
}
