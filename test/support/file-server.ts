import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

export interface FileServer {
  readonly url: string;
  /** What is served, by path. Put another file there at any time. */
  readonly files: Map<string, Buffer>;
  /** Every request so far: its path and its range. */
  readonly requests: { readonly path: string; readonly range: string | undefined; readonly authorization?: string }[];
  /** Bytes of files that left so far. */
  bytes: number;
}

export interface FileServerOptions {
  /** Answers a request in place of the server; false leaves it to the server. `count` is 1 for the first request. */
  readonly fault?: (request: IncomingMessage, response: ServerResponse, count: number) => boolean;
  /** A web server that sends files whole only. @default true */
  readonly hasRanges?: boolean;
  readonly hasTags?: boolean;
  /** Pause between two pieces of 64 KiB. @default 0 */
  readonly pauseMs?: number;
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** A web server with files in memory, on the loopback interface; it closes with the test. */
export async function startFileServer(options: FileServerOptions = {}): Promise<FileServer> {
  const files = new Map<string, Buffer>();
  const requests: FileServer['requests'] = [];
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const path = decodeURIComponent(request.url!.split('?')[0]!);
    const { range, authorization } = request.headers;
    requests.push({ path, range, ...(authorization === undefined ? {} : { authorization }) });
    if (options.fault?.(request, response, requests.length) === true) return;
    const file = files.get(path);
    if (file === undefined) return void response.writeHead(404).end();
    const tag = tagOf(file);
    if (options.hasTags ?? true) response.setHeader('ETag', tag);
    const condition = request.headers['if-match'];
    if (condition !== undefined && condition !== tag) return void response.writeHead(412).end();
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    const isPart = first !== undefined && (options.hasRanges ?? true);
    const body = isPart ? file.subarray(Number(first), Number(last) + 1) : file;
    response.setHeader('Content-Length', body.byteLength);
    if (isPart)
      response.setHeader('Content-Range', `bytes ${first}-${Number(first) + body.byteLength - 1}/${file.byteLength}`);
    response.writeHead(isPart ? 206 : 200);
    const pieces = piecesOf(body, options.pauseMs ?? 0, (bytes) => (served.bytes += bytes));
    // Who asked may go away at any time.
    pipeline(pieces, response).catch(() => undefined);
  };
  const server = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const scheme = options.tls === undefined ? 'http' : 'https';
  const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const served: FileServer = { url, files, requests, bytes: 0 };
  return served;
}

const tags = new WeakMap<Buffer, string>();

function tagOf(file: Buffer): string {
  const tag = tags.get(file) ?? `"${createHash('sha256').update(file).digest('hex').slice(0, 16)}"`;
  tags.set(file, tag);
  return tag;
}

const PIECE_BYTES = 65_536;

async function* piecesOf(body: Buffer, pauseMs: number, count: (bytes: number) => void): AsyncGenerator<Buffer> {
  for (let start = 0; start < body.byteLength; start += PIECE_BYTES) {
    const piece = body.subarray(start, start + PIECE_BYTES);
    count(piece.byteLength);
    yield piece;
    if (pauseMs > 0) await wait(pauseMs);
  }
}
