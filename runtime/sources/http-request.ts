import { once } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders, RequestOptions } from 'node:http';

/** A server that sends nothing for so long is given up. */
const IDLE_MS = 30_000;
const MAX_TEXT_BYTES = 4 * 2 ** 20;

export interface HttpRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
  /** Longest silence, connecting included. @default 30 s */
  readonly timeoutMs?: number;
}

/**
 * One request without redirects, proxies or decompression, as a byte count must be the file's own.
 * The signal and the limit on silence hold for the body too.
 * @throws the error of the socket, with its `code`
 */
export async function httpRequest(url: URL, signal: AbortSignal, options: HttpRequest = {}): Promise<IncomingMessage> {
  const { request } = url.protocol === 'http:' ? await import('node:http') : await import('node:https');
  const { method = 'GET', headers = {}, body, timeoutMs = IDLE_MS } = options;
  const plain: RequestOptions = { method, signal, timeout: timeoutMs };
  const outgoing = request(url, { ...plain, headers: { 'Accept-Encoding': 'identity', ...headers } });
  outgoing.on('timeout', () => outgoing.destroy(new Error(`nothing came for ${timeoutMs / 1_000} s`)));
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return response;
}

/** A small answer as text. @throws Error when it is longer than 4 MiB */
export async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).byteLength;
    if (bytes > MAX_TEXT_BYTES) throw new Error(`the answer is longer than ${MAX_TEXT_BYTES} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Whether a host is this machine, so that nobody can listen in between. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** How an HTTP status is taken where files are read. */
export function failureOfStatus(status: number): 'missing' | 'transient' | 'changed' | 'permanent' {
  if (status === 404 || status === 410 || status === 401 || status === 403) return 'missing';
  if (status === 412 || status === 416) return 'changed';
  return status >= 500 || status === 408 || status === 429 ? 'transient' : 'permanent';
}

/** Certificates that do not fit stay so; every other failure of a connection may pass. */
export function failureOfSocket(error: unknown): 'transient' | 'permanent' {
  const { code = '' } = error as NodeJS.ErrnoException;
  return /CERT|^ERR_TLS|^ERR_SSL|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code) ? 'permanent' : 'transient';
}
