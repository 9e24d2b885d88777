import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { ServerError, toServerError } from './errors';

/** How long a client may go on sending a body that nobody reads, before its connection is closed. */
const DISCARD_MS = 5_000;

export interface ExchangeOptions {
  /** The client waits for leave to send its body. */
  readonly expectsContinue: boolean;
  /** Asked when the answer leaves: whether the connection ends with it. */
  readonly isLast: () => boolean;
}

/** One request and its answer. */
export class Exchange {
  readonly startedAt = performance.now();
  private readonly controller = new AbortController();

  constructor(
    readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly options: ExchangeOptions,
  ) {
    response.once('close', () => {
      if (!response.writableFinished) this.abort(new ServerError('CLIENT_GONE', 'the client closed the connection'));
    });
  }

  /** Aborted with the reason when the answer is no longer wanted, or can no longer be had. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  abort(reason: ServerError): void {
    this.controller.abort(reason);
  }

  get secondsSoFar(): number {
    return (performance.now() - this.startedAt) / 1_000;
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  allowBody(): void {
    if (this.options.expectsContinue) this.response.writeContinue();
  }

  /** Resolves when the answer is handed to the operating system, or the connection is gone. */
  async send(status: number, headers: Readonly<Record<string, string>>, parts: readonly Uint8Array[]): Promise<void> {
    const { response, request } = this;
    if (response.headersSent || response.destroyed) return;
    if (!request.complete) this.discardBody();
    const closed = new Promise((resolve) => response.once('close', resolve));
    if (this.options.isLast()) response.setHeader('Connection', 'close');
    response.writeHead(status, headers);
    for (const part of parts) response.write(part);
    response.end();
    await closed;
  }

  sendJson(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(body));
    const all = { 'Content-Type': 'application/json', 'Content-Length': String(bytes.byteLength), ...headers };
    return this.send(status, all, [bytes]);
  }

  sendError(error: unknown): Promise<void> {
    const { status, message, headers } = toServerError(error);
    return this.sendJson(status, { error: message }, headers);
  }

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
