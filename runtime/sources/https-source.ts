import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { shownUri, SourceError, type ModelSource, type SourceStat } from './model-source';
import { failureOfSocket, failureOfStatus, httpRequest, isLoopback } from './http-request';

const MAX_REDIRECTS = 5;

/**
 * Files on any web server: one file, or a folder that says in its `manifest.json` what it holds. A user and a password in
 * the URI become basic authentication for that origin alone. Plain `http://` is for servers on this machine.
 */
export const httpsSource: ModelSource = {
  list(folderUri) {
    return Promise.reject(
      new SourceError(
        'missing',
        `${shownUri(folderUri)} cannot be listed: over https:// a folder needs a manifest.json, and a repository SLIPWAY_MODELS`,
      ),
    );
  },

  async stat(uri, signal) {
    // One byte instead of HEAD: it tells whether ranges work, and a signed URL is signed for GET.
    const response = await get(uri, signal, { Range: 'bytes=0-0' }, [200, 206, 416]);
    response.destroy();
    return statOf(response);
  },

  async open(uri, signal, { range, tag } = {}) {
    const headers: OutgoingHttpHeaders = {};
    if (range !== undefined) headers['Range'] = `bytes=${range.start}-${range.end - 1}`;
    // A weak tag never matches by the rules of If-Match; it is compared below.
    if (tag?.startsWith('"')) headers['If-Match'] = tag;
    const response = await get(uri, signal, headers, range === undefined ? [200] : [200, 206]);
    if (tag !== undefined && tagOf(response) !== tag) {
      response.destroy();
      throw new SourceError('changed', `${shownUri(uri)} was replaced while it was fetched`);
    }
    if (range !== undefined && response.statusCode !== 206) {
      response.destroy();
      throw new SourceError('permanent', `${shownUri(uri)} is sent whole where a part of it is asked for`);
    }
    return response;
  },
};

function statOf(response: IncomingMessage): SourceStat {
  const { statusCode, headers } = response;
  // An empty file has no first byte: `bytes */0`.
  const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  const length = statusCode === 200 ? headers['content-length'] : total;
  const tag = tagOf(response);
  return {
    ...(length === undefined ? {} : { bytes: Number(length) }),
    ...(tag === undefined ? {} : { tag }),
    hasRanges: statusCode === 206 && total !== undefined,
  };
}

function tagOf({ headers }: IncomingMessage): string | undefined {
  return headers.etag ?? headers['last-modified'];
}

async function get(
  uri: string,
  signal: AbortSignal,
  headers: OutgoingHttpHeaders,
  accepted: readonly number[],
): Promise<IncomingMessage> {
  let { url, authorization } = parseUrl(uri);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await ask(uri, url, signal, {
      ...headers,
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    });
    const { statusCode = 0, headers: got } = response;
    if (accepted.includes(statusCode)) return response;
    response.destroy();
    if (![301, 302, 303, 307, 308].includes(statusCode) || got.location === undefined) {
      const refused = statusCode === 401 || statusCode === 403 ? 'does not exist or may not be read' : 'cannot be read';
      const what = statusCode === 404 || statusCode === 410 ? 'does not exist' : refused;
      throw new SourceError(failureOfStatus(statusCode), `${shownUri(uri)} ${what} (${statusCode})`);
    }
    const next = redirectTarget(uri, got.location, url);
    // What opens one host is nobody else's business.
    if (next.origin !== url.origin) authorization = undefined;
    url = next;
  }
  throw new SourceError('permanent', `${shownUri(uri)} redirects more than ${MAX_REDIRECTS} times`);
}

async function ask(uri: string, url: URL, signal: AbortSignal, headers: OutgoingHttpHeaders): Promise<IncomingMessage> {
  try {
    return await httpRequest(url, signal, { headers });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SourceError(failureOfSocket(error), `${shownUri(uri)} cannot be read: ${code ?? message}`);
  }
}

function parseUrl(uri: string): { readonly url: URL; readonly authorization: string | undefined } {
  const url = toUrl(uri);
  if (url === undefined) throw new SourceError('permanent', `${shownUri(uri)} is not a URL`);
  assertSafe(url, uri);
  const { username, password } = url;
  url.username = '';
  url.password = '';
  const isNamed = username !== '' || password !== '';
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url, authorization: isNamed ? `Basic ${Buffer.from(pair).toString('base64')}` : undefined };
}

function redirectTarget(uri: string, location: string, from: URL): URL {
  const url = toUrl(location, from);
  if (url === undefined) throw new SourceError('permanent', `${shownUri(uri)} redirects to what is not a URL`);
  if (from.protocol === 'https:' && url.protocol !== 'https:') {
    throw new SourceError('permanent', `${shownUri(uri)} redirects away from https://`);
  }
  assertSafe(url, uri);
  url.username = '';
  url.password = '';
  return url;
}

function assertSafe(url: URL, uri: string): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return;
  throw new SourceError(
    'permanent',
    `${shownUri(uri)} would be read unencrypted: use https://; http:// is for this machine alone`,
  );
}

function toUrl(text: string, base?: URL): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}
