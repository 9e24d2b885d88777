import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { cloudVariables } from '../../sources/cloud-variables';
import { gcsAddress, gcsAuthorization } from '../../sources/gcs-access';
import { httpRequest, readBody, type HttpRequest } from '../../sources/http-request';
import { patiently } from './patiently';

/** What Google answers, with the request that failed named by its object. */
export class GcsError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const MAX_REASON_LENGTH = 300;

/** One request to the JSON API, whose body is memory, so that it can be sent again. */
export type AskGcs = (
  path: string,
  query: Readonly<Record<string, string>>,
  request?: Omit<HttpRequest, 'timeoutMs'>,
) => Promise<IncomingMessage>;

/** Asks again where trying again may help, and leaves every other answer to the caller as an error, but for 308. */
export function gcsAsker(uri: string): AskGcs {
  return (path, query, request = {}) =>
    patiently(async () => {
      const { origin, isEmulator } = gcsAddress(cloudVariables(), uri);
      const url = new URL(`${path}?${new URLSearchParams(query).toString()}`, origin);
      const identity = isEmulator ? {} : await gcsAuthorization(uri, 'read_write');
      const headers: OutgoingHttpHeaders = { ...request.headers, ...identity };
      const response = await httpRequest(url, new AbortController().signal, { ...request, headers });
      const { statusCode = 0 } = response;
      if ((statusCode >= 200 && statusCode < 300) || statusCode === 308) return response;
      const said = await reasonOf(response);
      throw new GcsError(statusCode, `Google answers ${statusCode} to ${request.method ?? 'GET'} ${path}${said}`);
    }, isWorthAnother);
}

/** Which permission is missing, or that there is no such bucket: Google says so in JSON, or in one line. */
async function reasonOf(response: IncomingMessage): Promise<string> {
  const text = await readBody(response).catch(() => '');
  const message = /"message":\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? (text.startsWith('<') ? '' : text);
  const line = message.replace(/\s+/g, ' ').trim().slice(0, MAX_REASON_LENGTH);
  return line === '' ? '' : `: ${line}`;
}

function isWorthAnother(error: unknown): boolean {
  return error instanceof GcsError
    ? error.status >= 500 || error.status === 408 || error.status === 429
    : (error as NodeJS.ErrnoException).code !== undefined;
}

/** A small answer. */
export async function json<T>(response: IncomingMessage): Promise<T> {
  return JSON.parse(await readBody(response)) as T;
}
