import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { Cancellation } from './cancellation';
import { ServerError, toServerError } from './errors';
import { requestIdOf } from './request-id';
import type { Listed } from './roster';
import { certificateNameOf } from './tls-files';
import type { RequestTrace } from './tracing';

/** How long a client may go on sending a body that nobody reads, before its connection is closed. */
const DISCARD_MS = 5_000;
/** Parts up to this size together are copied into one piece: cheaper than a system call's list of them. */
const JOINED_BYTES = 16 * 1_024;
/** What a client may take to read its answer: a while, and longer for a large one. */
const READ_GRACE_MS = 30_000;
const READ_BYTES_PER_MS = 16;

export interface ExchangeOptions {
  /** The client waits for leave to send its body. */
  readonly expectsContinue: boolean;
  /** Asked when the answer leaves: whether the connection ends with it. */
  readonly isLast: () => boolean;
  /** Called once, when the answer is handed to the operating system or the connection is gone. */
  readonly onClose: (exchange: Exchange) => void;
}

/** One request and its answer. */
export class Exchange implements Listed {
  slot = -1;
  readonly startedAt = performance.now();
  /** Cancelled with the reason when the answer is no longer wanted, or can no longer be had. */
  readonly cancellation = new Cancellation();
  /** Whom the queue is shared fairly between; empty when nobody said. */
  tenant = '';
  /** Who calls, for the log; empty when nobody was asked. */
  caller = '';
  /** undefined while traces are off. */
  trace: RequestTrace | undefined;
  readonly requestId: string;
  /** Names and values in turn. */
  private readonly extraHeaders: string[];
  private releases: (() => void)[] | undefined;
  private isClosed = false;
  private reading: { readonly since: number; readonly bytes: number } | undefined;

  constructor(
    readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly options: ExchangeOptions,
  ) {
    this.requestId = requestIdOf(this.header('x-request-id'));
    this.extraHeaders = ['X-Request-Id', this.requestId];
    response.on('close', this.close);
    if (response.socket !== null) return;
    // Pipelined behind another request: a response that never gets its turn on the connection hears nothing of its end.
    request.socket.setMaxListeners(0);
    request.socket.once('close', this.close);
  }

  abort(reason: ServerError): void {
    this.cancellation.cancel(reason);
  }

  get secondsSoFar(): number {
    return (performance.now() - this.startedAt) / 1_000;
  }

  /** Of the answer; 499, as proxies have it, when the client went away before there was one. */
  get status(): number {
    return this.response.headersSent ? this.response.statusCode : 499;
  }

  /** Without the query, which may hold what no log should. */
  get path(): string {
    return (this.request.url ?? '/').split('?', 1)[0]!;
  }

  get isPlaintext(): boolean {
    return !('encrypted' in this.request.socket);
  }

  /** The name that a trusted client certificate gives the caller. */
  get certificateName(): string | undefined {
    return certificateNameOf(this.request.socket);
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return typeof value === 'object' ? value[0] : value;
  }

  /** A header of the answer, whatever it will be. */
  setHeader(name: string, value: string): void {
    this.extraHeaders.push(name, value);
  }

  allowBody(): void {
    if (this.options.expectsContinue) this.response.writeContinue();
  }

  /** Frees something when the answer has left. */
  onClose(release: () => void): void {
    if (this.releases === undefined) this.releases = [release];
    else this.releases.push(release);
  }

  /** Sends the answer, unless one is on its way already. */
  send(status: number, headers: Readonly<Record<string, string>>, parts: readonly (Uint8Array | string)[]): void {
    const { response, request } = this;
    if (response.headersSent || response.destroyed) return;
    if (!request.complete) this.discardBody();
    if (this.options.isLast()) this.extraHeaders.push('Connection', 'close');
    // All at once and as a list: Node then writes them as they are, without a map of them.
    response.writeHead(status, listHeaders(this.extraHeaders, headers));
    const joined = joinSmall(parts);
    if (joined !== undefined) {
      // Text of one byte a character is those bytes, and leaves in one piece with the headers.
      response.end(joined, 'latin1');
      return;
    }
    const last = parts.length - 1;
    for (let i = 0; i < last; i++) response.write(parts[i]!);
    response.end(parts[last]);
  }

  sendJson(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    const text = JSON.stringify(body);
    const all = { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)), ...headers };
    this.send(status, all, [text]);
  }

  sendError(error: unknown): void {
    const { status, message, headers } = toServerError(error);
    this.sendJson(status, { error: message }, headers);
  }

  /** Ends the connection when the client takes ever so long to read the answer. Called now and then. */
  dropSlowReader(now: number): void {
    const { response } = this;
    // An answer that waits for the one before it on the same connection has no socket yet.
    if (!response.writableEnded || response.socket === null) return;
    this.reading ??= { since: now, bytes: response.socket.writableLength };
    if (now - this.reading.since > READ_GRACE_MS + this.reading.bytes / READ_BYTES_PER_MS) response.socket.destroy();
  }

  private readonly close = (): void => {
    const { request, response, releases } = this;
    if (this.isClosed) return;
    this.isClosed = true;
    request.socket.off('close', this.close);
    if (!response.writableFinished) this.abort(new ServerError('CLIENT_GONE', 'the client closed the connection'));
    this.releases = undefined;
    if (releases !== undefined) for (const release of releases) release();
    this.options.onClose(this);
  };

  // Closing at once would reset the connection, and a client that is still sending would never read why.
  private discardBody(): void {
    const { request, response } = this;
    if (this.options.expectsContinue) response.shouldKeepAlive = false;
    request.resume();
    const timer = setTimeout(() => {
      if (!request.complete) request.destroy();
    }, DISCARD_MS).unref();
    request.once('close', () => clearTimeout(timer));
  }
}

function listHeaders(extra: readonly string[], headers: Readonly<Record<string, string>>): string[] {
  const list = extra.slice();
  for (const name in headers) list.push(name, headers[name]!);
  return list;
}

/** Small parts as one text in Latin 1; undefined for large ones, and for one that is text already. */
function joinSmall(parts: readonly (Uint8Array | string)[]): string | undefined {
  if (parts.length === 0 || (parts.length === 1 && typeof parts[0] === 'string')) return undefined;
  let bytes = 0;
  // A character of text is at most three bytes.
  for (const part of parts) bytes += typeof part === 'string' ? 3 * part.length : part.byteLength;
  if (bytes > JOINED_BYTES) return undefined;
  const joined = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'string') {
      at += joined.write(part, at);
    } else {
      joined.set(part, at);
      at += part.byteLength;
    }
  }
  return joined.toString('latin1', 0, at);
}
