import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { performance } from 'node:perf_hooks';
import type { Credentials } from '../auth/authenticator';
import { Cancellation } from '../cancellation';
import type { Deadline } from '../deadlines';
import { ServerError, toServerError } from '../errors';
import { requestIdOf } from '../request-id';
import type { RequestTrace } from '../tracing';
import { certificateNameOf } from '../tls-files';
import { encodeGrpcMessage, parseGrpcTimeout } from './call-metadata';
import type { Frame } from './infer-codec';

const CONTENT_TYPE = 'application/grpc';
/** How long an answer may wait for a client that does not read it. */
const SLOW_READER_MS = 60_000;

const OK = 0;
const UNKNOWN = 2;

/** What `grpc-encoding` of a request may be. */
export const ACCEPTED_ENCODINGS = ['identity', 'deflate', 'gzip'];

const ANSWER_HEADERS = {
  ':status': 200,
  'content-type': CONTENT_TYPE,
  'grpc-accept-encoding': ACCEPTED_ENCODINGS.join(','),
} as const;
const ANSWER_OPTIONS = { waitForTrailers: true } as const;

/** What a method may know about the call that a message came with. */
export interface CallContext {
  /** On the clock of `performance.now()`, in milliseconds. */
  readonly startedAt: number;
  /** How long the client waits, when it said so. */
  readonly timeoutMs: number | undefined;
  /** Cancelled with the reason when the answer is no longer wanted, or can no longer be had. */
  readonly cancellation: Cancellation;
  readonly tenant: string;
  /** Who calls; empty when nobody was asked. */
  readonly caller: string;
  /** undefined while traces are off. */
  readonly trace?: RequestTrace | undefined;
  /** Metadata, by its name in lower case. */
  header(name: string): string | undefined;
}

/** One call on its stream of HTTP/2: what it brought, and how it is answered. */
export class GrpcCall implements CallContext, Credentials {
  readonly startedAt = performance.now();
  readonly cancellation = new Cancellation();
  readonly requestId: string;
  tenant = '';
  /** Who calls; empty when nobody was asked. */
  caller = '';
  trace: RequestTrace | undefined;
  /** The status it ended with; undefined before, and when the client went away first. */
  status: number | undefined;
  /** When it ended so, on the clock of `performance.now()`. */
  endedAt: number | undefined;
  /** What it failed with; undefined when it did not. */
  failure: unknown;
  /** Whether its message is still to come that would have been handed to its method. */
  isUnheard = false;
  deadline: Deadline | undefined;
  private hasRequestEnded = false;

  /** @param onClose Called once, when nothing more can be sent or read. */
  constructor(
    readonly stream: ServerHttp2Stream,
    private readonly headers: IncomingHttpHeaders,
    onClose: (call: GrpcCall) => void,
  ) {
    this.requestId = requestIdOf(this.header('x-request-id'));
    stream.on('error', ignore);
    // Nothing moved for so long: what waits to be sent is never read.
    stream.setTimeout(SLOW_READER_MS, () => {
      if (stream.bufferSize > 0) stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.once('end', () => {
      this.hasRequestEnded = true;
    });
    stream.once('close', () => {
      if (this.status === undefined) this.cancellation.cancel(gone());
      onClose(this);
    });
    stream.once('aborted', () => {
      if (this.status === undefined) this.cancellation.cancel(gone());
    });
    this.cancellation.onCancel((reason) => this.fail(reason));
  }

  /** @throws ServerError MALFORMED_REQUEST */
  get timeoutMs(): number | undefined {
    return parseGrpcTimeout(this.header('grpc-timeout'));
  }

  get path(): string {
    return this.headers[':path'] ?? '';
  }

  /** @returns what ends the call so long after its beginning */
  expireAfter(timeoutMs: number): Deadline {
    this.deadline = {
      slot: -1,
      at: this.startedAt + timeoutMs,
      cancellation: this.cancellation,
      expired: () => new ServerError('DEADLINE', `no answer within ${timeoutMs / 1_000} s`),
    };
    return this.deadline;
  }

  get certificateName(): string | undefined {
    const { socket } = this.stream.session ?? {};
    return socket === undefined ? undefined : certificateNameOf(socket);
  }

  /** Whether the call was answered, or cannot be. */
  get isOver(): boolean {
    return this.status !== undefined || this.stream.destroyed || this.stream.closed;
  }

  header(name: string): string | undefined {
    const value = this.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /** Sends one message. @param onFlushed Called when it has left, or cannot leave. */
  send(frame: Frame, onFlushed?: () => void): void {
    const { stream } = this;
    if (this.isOver) {
      onFlushed?.();
      return;
    }
    this.begin();
    const last = frame.length - 1;
    if (last > 0) stream.cork();
    for (let i = 0; i < last; i++) stream.write(frame[i]!);
    stream.write(frame[last]!, onFlushed);
    if (last > 0) stream.uncork();
  }

  /** Ends the call well. */
  succeed(): void {
    if (this.isOver) return;
    this.begin();
    this.finish({ 'grpc-status': OK }, OK);
  }

  /** Ends the call with the status of an error, unless it has ended. */
  fail(error: unknown): void {
    if (this.isOver) return;
    this.failure = error;
    const { grpcStatus, message, headers } = toServerError(error);
    const retryAfter = headers['Retry-After'];
    const trailers = {
      'grpc-status': grpcStatus,
      'grpc-message': encodeGrpcMessage(message),
      ...(retryAfter === undefined ? {} : { 'grpc-retry-pushback-ms': String(Number(retryAfter) * 1_000) }),
    };
    if (this.stream.headersSent) this.finish(trailers, grpcStatus);
    else this.refuse({ ...this.answerHeaders(), ...trailers }, grpcStatus);
  }

  /** Answers with headers alone. */
  refuse(headers: OutgoingHttpHeaders, status = UNKNOWN): undefined {
    if (this.isOver) return;
    this.end(status);
    this.stream.respond(headers, { endStream: true });
    this.stopRequest();
  }

  private answerHeaders(): OutgoingHttpHeaders {
    return { ...ANSWER_HEADERS, 'x-request-id': this.requestId, ...this.trace?.headers };
  }

  private begin(): void {
    if (!this.stream.headersSent) this.stream.respond(this.answerHeaders(), ANSWER_OPTIONS);
  }

  private finish(trailers: OutgoingHttpHeaders, status: number): void {
    const { stream } = this;
    this.end(status);
    stream.once('wantTrailers', () => {
      stream.sendTrailers(trailers);
      this.stopRequest();
    });
    stream.end();
  }

  private end(status: number): void {
    this.status = status;
    this.endedAt = performance.now();
  }

  // A client that is still sending is told to stop, and that its answer stands (RFC 9113, 8.1). Not at once: nghttp2 drops
  // what is queued on a stream that is being reset, and that would be the trailers.
  private stopRequest(): void {
    if (!this.hasRequestEnded) setImmediate(() => this.stream.close(constants.NGHTTP2_NO_ERROR));
  }
}

function gone(): ServerError {
  return new ServerError('CLIENT_GONE', 'the client ended the call');
}

// Whatever goes wrong with a stream closes it, and what then is to be done is done there.
function ignore(): void {}
