import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Logger } from 'pino';
import { ENVIRONMENT, type ServerSettings } from '../spec/environment';
import { answerClientError } from './client-error';
import { ServerError, StartupError } from './errors';
import type { TlsFiles } from './tls-files';

export interface ListenerOptions {
  readonly settings: Pick<ServerSettings, 'keepAliveSeconds' | 'requestDeadlineSeconds'>;
  readonly handle: RequestListener;
  /** With it the listener speaks HTTPS. */
  readonly tls?: TlsFiles | undefined;
  /** Whether an answer is still due on a connection. */
  readonly isAnswering: (socket: Socket) => boolean;
}

const MAX_HEADER_BYTES = 16 * 1_024;
const MAX_HEADERS = 64;
/** Between a limit of ours, which gives a proper answer, and the limit of Node's that only ends the connection. */
const SLACK_SECONDS = 5;
/** Between two lines of the log about refused connections: there may be thousands a second. */
const REFUSAL_LOG_MS = 10_000;

/** An HTTP server whose every wait has a bound. */
export function createListener(options: ListenerOptions): Server | SecureServer {
  const { settings, handle, tls, isAnswering } = options;
  const { keepAliveSeconds, requestDeadlineSeconds } = settings;
  // Longer than keep-alive: a shorter one would end a connection that the load balancer opened and has not used yet.
  const headersSeconds = keepAliveSeconds + 1;
  const requestSeconds = Math.max(headersSeconds, requestDeadlineSeconds) + SLACK_SECONDS;
  const limits = {
    // 0 would mean for ever to Node.
    keepAliveTimeout: Math.max(1, keepAliveSeconds * 1_000),
    headersTimeout: headersSeconds * 1_000,
    requestTimeout: requestSeconds * 1_000,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: MAX_HEADER_BYTES,
    // `assertWellFormed` says so in JSON.
    requireHostHeader: false,
  };
  const server =
    tls === undefined ? createServer(limits, handle) : createSecureServer({ ...limits, ...tls.serverOptions }, handle);
  if (tls !== undefined && 'setSecureContext' in server) tls.keepCurrent(server);
  // One more than is let in: the parser leaves out what is above without a word, and `assertWellFormed` counts.
  server.maxHeadersCount = MAX_HEADERS + 1;
  // A client that reads its answer so slowly that nothing moves for this long.
  server.timeout = (requestSeconds + SLACK_SECONDS) * 1_000;
  server.on('clientError', (error, socket) => answerClientError(error, socket, isAnswering(socket as Socket)));
  return server;
}

/**
 * What Node's parser lets pass and we do not.
 * @throws ServerError MALFORMED_REQUEST, HEADERS_TOO_LARGE
 */
export function assertWellFormed(request: IncomingMessage): void {
  // Names and values in turns.
  if (request.rawHeaders.length > 2 * MAX_HEADERS) {
    throw new ServerError('HEADERS_TOO_LARGE', `a request has at most ${MAX_HEADERS} headers`);
  }
  if (request.headers.host === undefined && request.httpVersion === '1.1') {
    throw new ServerError('MALFORMED_REQUEST', 'HTTP/1.1 wants a Host header');
  }
}

export interface ConnectionLimit {
  readonly maxConnections: number;
  readonly log: Logger;
  /** A connection was closed at once because so many were open. */
  readonly onRefused: () => void;
}

/** Open connections of a listener. */
export interface Connections {
  readonly count: number;
}

/**
 * Beyond the limit a connection is closed at once: whatever else was done for it would be done for an attacker too.
 * @param server Of `node:http` or `node:http2`.
 */
export function limitConnections(server: NetServer, { maxConnections, log, onRefused }: ConnectionLimit): Connections {
  const connections = { count: 0 };
  let loggedAt = -Infinity;
  server.maxConnections = maxConnections;
  server.on('connection', (socket) => {
    connections.count += 1;
    socket.once('close', () => (connections.count -= 1));
  });
  server.on('drop', () => {
    onRefused();
    if (Date.now() - loggedAt < REFUSAL_LOG_MS) return;
    loggedAt = Date.now();
    log.warn({ maxConnections }, 'connections refused: so many are open');
  });
  return connections;
}

/**
 * @param variable What sets the port, for the message.
 * @returns the port, which is a free one for port 0.
 * @throws StartupError PORT_UNAVAILABLE
 */
export function listen(server: NetServer, host: string, port: number, variable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const why = LISTEN_ERRORS[error.code ?? ''] ?? error.message;
      const wrong = HOST_ERRORS.has(error.code ?? '') ? ENVIRONMENT.host.variable : variable;
      reject(
        new StartupError(
          'PORT_UNAVAILABLE',
          `cannot listen on ${host} port ${port}: ${why}; set ${wrong} to another one`,
        ),
      );
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process uses it',
  EACCES: 'this user may not use it',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'no such host name',
};

/** No other port would help. */
const HOST_ERRORS: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'ENOTFOUND']);
