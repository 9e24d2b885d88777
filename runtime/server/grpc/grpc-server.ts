import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Credentials } from '../auth/authenticator';
import type { Principal } from '../auth/principal';
import type { BodyMemory } from '../body-memory';
import { Deadlines } from '../deadlines';
import { ServerError } from '../errors';
import type { RouteGroup } from '../router';
import type { TlsFiles } from '../tls-files';
import type { Tracing } from '../tracing';
import { decompressDeflate, decompressGzip } from './decompress';
import { ACCEPTED_ENCODINGS, GrpcCall } from './grpc-call';
import { GrpcConnection } from './grpc-connection';
import type { Answer, GrpcMethod, GrpcMethods } from './grpc-method';
import { serveUnary, serveWatch, type MessageOptions } from './single-message-call';
import { StreamingCall } from './streaming-call';
import { endCallTrace, isServerFault, traceCall } from './traced-call';

type Caller = Pick<Principal, 'name' | 'tenant'>;

export interface GrpcServerOptions {
  readonly methods: GrpcMethods;
  readonly maxMessageBytes: number;
  readonly bodyMemory: BodyMemory;
  readonly requestDeadlineSeconds: number;
  /** How long a connection without calls is kept. */
  readonly keepAliveSeconds: number;
  /** @default - plaintext */
  readonly tls?: TlsFiles | undefined;
  /** @throws ServerError when the caller may not call. @default - anybody may, and nobody is told apart */
  readonly authorize?: (credentials: Credentials, group: RouteGroup) => Caller | Promise<Caller>;
  /** Asked for each call: what follows it through the server. @default - nothing */
  readonly tracing?: () => Tracing | undefined;
  /** A request for inference ended before it was there as a whole: too large, too slow, or given up. @default - not told */
  readonly onUnheard?: (reason: unknown, startedAt: number) => void;
  readonly log: Logger;
}

const MIB = 2 ** 20;
/** Bytes that a client may send ahead of what was read, for one call and for all of a connection. */
const STREAM_WINDOW_BYTES = 4 * MIB;
const CONNECTION_WINDOW_BYTES = 16 * MIB;
const MAX_FRAME_BYTES = 1 * MIB;
const MAX_STREAMS = 1_000;
const MAX_HEADER_BYTES = 16 * 1_024;
const MAX_HEADERS = 64;
/** Memory that the frames of one connection may wait in; beyond it, new calls of that connection are refused. */
const SESSION_MEMORY_MB = 1_024;
/** How often a connection with open calls is asked whether its client is still there, and what it may take to say so. */
const PING_MS = 30_000;
/** What it may take when its connection seems to be broken: at most half of what a shutdown may take. */
const SOON_MS = { least: 250, most: 10_000 };
/** A stream that was answered closes at once, unless its client reads slowly or its connection is broken. */
const CLOSING_MS = 2_000;
const LOOK_MS = 1_000;
/** The highest number that a stream can have: says that calls which are on their way are still answered. */
const LAST_STREAM_ID = 2 ** 31 - 1;

/** How a call takes part in a shutdown. */
interface OpenCall {
  /** Whether an answer is owed. */
  readonly isBusy: boolean;
  /** Ends when no answer is owed. */
  drain(): void;
}

const CLOSED_BY_ITSELF: OpenCall = { isBusy: true, drain: () => {} };
const GRPC_CONTENT = /^application\/grpc(\+proto)?( *;.*)?$/;

/** gRPC over `node:http2`: calls, limits and shutdown; what is answered is the methods' business. */
export class GrpcServer {
  readonly server: Http2Server | Http2SecureServer;
  private readonly connections = new Map<ServerHttp2Session, GrpcConnection>();
  private readonly calls = new Map<GrpcCall, OpenCall>();
  private readonly deadlines = new Deadlines();
  /** For calls that announce no compression, and for those that do. */
  private readonly plain: MessageOptions;
  private readonly byEncoding: ReadonlyMap<string, MessageOptions>;
  private readonly looks: NodeJS.Timeout;
  private readonly soonMs: number;
  private isClosing = false;

  constructor(private readonly options: GrpcServerOptions) {
    const { maxMessageBytes, bodyMemory, requestDeadlineSeconds, tls } = options;
    this.soonMs = Math.max(SOON_MS.least, Math.min(SOON_MS.most, requestDeadlineSeconds * 500));
    this.plain = { maxBytes: maxMessageBytes, bodyMemory, decompress: refuseCompressed };
    this.byEncoding = new Map([
      ['gzip', { ...this.plain, decompress: (message) => decompressGzip(message, maxMessageBytes) }],
      ['deflate', { ...this.plain, decompress: (message) => decompressDeflate(message, maxMessageBytes) }],
    ]);
    const http2: ServerOptions = {
      settings: {
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxFrameSize: MAX_FRAME_BYTES,
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: MAX_HEADER_BYTES,
        enablePush: false,
      },
      maxHeaderListPairs: MAX_HEADERS,
      maxSessionMemory: SESSION_MEMORY_MB,
    };
    this.server = tls === undefined ? createServer(http2) : secure(http2, tls);
    this.server.on('session', (session: ServerHttp2Session) => this.opened(session));
    this.server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => this.called(stream, headers));
    // Malformed frames end their connection; they are the client's business, and nobody else's.
    this.server.on('sessionError', (error) => options.log.debug({ reason: error.message }, 'a connection failed'));
    this.looks = setInterval(() => this.lookForBroken(), LOOK_MS).unref();
  }

  /** Whether nothing is being answered; a stream that is open but owes no answer does not count. */
  get isIdle(): boolean {
    for (const { isBusy } of this.calls.values()) if (isBusy) return false;
    return true;
  }

  /** Tells clients to open their next calls elsewhere; whatever comes all the same is still answered. */
  announceDrain(): void {
    for (const session of this.connections.keys()) {
      if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID);
    }
  }

  /** Takes no connections and no calls any more. Calls that were taken are answered. */
  stopAccepting(): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.server.close();
    for (const [call, open] of this.calls) {
      open.drain();
      // Also a call that owes no answer: its client is to read the status that it ends with.
      this.calls.set(call, CLOSED_BY_ITSELF);
    }
    for (const connection of this.connections.values()) connection.close(this.soonMs);
  }

  /** Answers everything that waits with the reason. */
  abort(reason: ServerError): void {
    for (const call of this.calls.keys()) call.cancellation.cancel(reason);
  }

  /** Ends every connection at once. */
  close(): void {
    this.stopAccepting();
    clearInterval(this.looks);
    for (const session of this.connections.keys()) session.destroy();
  }

  private opened(session: ServerHttp2Session): void {
    this.connections.set(session, new GrpcConnection(session));
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on('error', () => {});
    session.once('close', () => this.connections.delete(session));
    session.setTimeout(Math.max(1, this.options.keepAliveSeconds * 1_000), () => {
      if (this.connections.get(session)?.hasCalls === false) session.close();
    });
  }

  private called(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const connection = this.connections.get(stream.session as ServerHttp2Session);
    connection?.began();
    const call = new GrpcCall(stream, headers, () => {
      connection?.ended();
      this.closed(call);
    });
    this.calls.set(call, CLOSED_BY_ITSELF);
    try {
      const method = this.methodOf(call);
      if (method === undefined) return;
      const tracing = this.options.tracing?.();
      if (tracing !== undefined) traceCall(tracing, call);
      this.admit(call, method);
    } catch (error) {
      call.fail(error);
    }
  }

  private methodOf(call: GrpcCall): GrpcMethod | undefined {
    if (call.header(':method') !== 'POST') return call.refuse({ ':status': 405, allow: 'POST' });
    if (!GRPC_CONTENT.test(call.header('content-type') ?? '')) return call.refuse({ ':status': 415 });
    const method = this.options.methods.get(call.path);
    if (method === undefined) throw new ServerError('PATH_UNKNOWN', `unknown method ${call.path.slice(0, 200)}`);
    const encoding = call.header('grpc-encoding') ?? 'identity';
    if (!ACCEPTED_ENCODINGS.includes(encoding)) {
      throw new ServerError(
        'CONTENT_ENCODING',
        `grpc-encoding must be identity, deflate or gzip, got '${encoding.slice(0, 40)}'`,
      );
    }
    if (this.isClosing) throw draining();
    return method;
  }

  private admit(call: GrpcCall, method: GrpcMethod): void {
    const { requestDeadlineSeconds, authorize } = this.options;
    const timeoutMs = Math.min(
      call.timeoutMs ?? Infinity,
      method.kind === 'unary' ? requestDeadlineSeconds * 1_000 : Infinity,
    );
    if (timeoutMs !== Infinity) this.deadlines.add(call.expireAfter(timeoutMs));
    const principal = authorize?.(call, method.group);
    if (principal instanceof Promise) {
      principal.then(
        (known) => this.serve(call, method, known),
        (error: unknown) => call.fail(error),
      );
    } else {
      this.serve(call, method, principal);
    }
  }

  private serve(call: GrpcCall, method: GrpcMethod, principal: Caller | undefined): void {
    if (call.isOver) return;
    if (principal !== undefined) {
      call.tenant = principal.tenant;
      call.caller = principal.name;
    }
    const messages = this.byEncoding.get(call.header('grpc-encoding') ?? '') ?? this.plain;
    if (method.kind === 'unary') {
      call.isUnheard = method.group === 'infer';
      const answer: Answer = (bytes, context) => {
        call.isUnheard = false;
        // A model takes as long as it takes to be loaded, which has a limit of its own.
        if (method.group === 'admin') this.keepOnlyItsOwnDeadline(call);
        return method.answer(bytes, context);
      };
      serveUnary(call, answer, messages);
    } else if (method.kind === 'watch') {
      this.calls.set(call, { isBusy: false, drain: () => call.fail(draining()) });
      serveWatch(call, method.answer, messages);
    } else {
      this.calls.set(call, new StreamingCall(call, method.answer, messages));
    }
  }

  private keepOnlyItsOwnDeadline(call: GrpcCall): void {
    if (call.deadline !== undefined) this.deadlines.remove(call.deadline);
    if (call.timeoutMs !== undefined) this.deadlines.add(call.expireAfter(call.timeoutMs));
  }

  private closed(call: GrpcCall): void {
    this.calls.delete(call);
    if (call.deadline !== undefined) this.deadlines.remove(call.deadline);
    endCallTrace(call);
    const { log, onUnheard } = this.options;
    const { requestId, path, caller, status, failure } = call;
    if (call.isUnheard) onUnheard?.(failure ?? call.cancellation.reason, call.startedAt);
    if (failure !== undefined && !(failure instanceof ServerError)) {
      log.error({ err: failure, requestId, path }, 'call failed');
    }
    const level = isServerFault(status) ? 'info' : 'debug';
    if (!log.isLevelEnabled(level)) return;
    const traceId = call.trace?.context.traceId;
    const seconds = (performance.now() - call.startedAt) / 1_000;
    log[level](
      {
        requestId,
        path,
        grpcStatus: status,
        seconds,
        ...(caller === '' ? {} : { caller }),
        ...(traceId && { traceId }),
      },
      'call',
    );
  }

  /** Calls of a connection that neither says anything nor closes would hold their memory for ever. */
  private lookForBroken(): void {
    const now = performance.now();
    for (const { stream, endedAt } of this.calls.keys()) {
      if (endedAt === undefined || now - endedAt < CLOSING_MS) continue;
      const connection = this.connections.get(stream.session as ServerHttp2Session);
      // Behind an answer that is read slowly, a ping is too.
      if (connection?.wasAskedSince(endedAt) === false) connection.ping(stream.bufferSize > 0 ? PING_MS : this.soonMs);
    }
    for (const connection of this.connections.values()) {
      if (connection.hasCalls && !connection.wasAskedSince(now - PING_MS)) connection.ping(PING_MS);
    }
  }
}

function secure(http2: ServerOptions, tls: TlsFiles): Http2SecureServer {
  const server = createSecureServer({ ...http2, ...tls.serverOptions });
  tls.keepCurrent(server);
  return server;
}

function refuseCompressed(): Promise<never> {
  const message = 'the message says that it is compressed, but the call has no grpc-encoding';
  return Promise.reject(new ServerError('MALFORMED_REQUEST', message));
}

function draining(): ServerError {
  return new ServerError('DRAINING', 'the server is shutting down');
}
