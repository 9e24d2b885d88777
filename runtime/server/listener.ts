import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ENVIRONMENT, type ServerSettings } from '../spec/environment';
import { StartupError } from './errors';

const MAX_HEADER_BYTES = 16 * 1_024;
const MAX_HEADERS = 64;
/** Between a limit of ours, which gives a proper answer, and the limit of Node's that only ends the connection. */
const SLACK_SECONDS = 5;

/** An HTTP server whose every wait has a bound. */
export function createListener(
  settings: Pick<ServerSettings, 'keepAliveSeconds' | 'requestDeadlineSeconds'>,
  handle: RequestListener,
): Server {
  const { keepAliveSeconds, requestDeadlineSeconds } = settings;
  // Longer than keep-alive: a shorter one would end a connection that the load balancer still counts on.
  const headersSeconds = keepAliveSeconds + 1;
  const requestSeconds = Math.max(headersSeconds, requestDeadlineSeconds) + SLACK_SECONDS;
  const server = createServer(
    {
      // 0 would mean for ever to Node.
      keepAliveTimeout: Math.max(1, keepAliveSeconds * 1_000),
      headersTimeout: headersSeconds * 1_000,
      requestTimeout: requestSeconds * 1_000,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    handle,
  );
  server.maxHeadersCount = MAX_HEADERS;
  // A client that reads its answer so slowly that nothing moves for this long.
  server.timeout = (requestSeconds + SLACK_SECONDS) * 1_000;
  return server;
}

/**
 * @param variable What sets the port, for the message.
 * @returns the port, which is a free one for port 0.
 * @throws StartupError PORT_UNAVAILABLE
 */
export function listen(server: Server, host: string, port: number, variable: string): Promise<number> {
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
