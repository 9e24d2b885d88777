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
      response.resume();
      throw new GcsError(statusCode, `Google answers ${statusCode} to ${request.method ?? 'GET'} ${path}`);
    }, isWorthAnother);
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
