import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

interface Refusal {
  readonly status: number;
  readonly message: string;
}

/**
 * Answers what the HTTP parser refuses: there is no request to answer yet, only a connection.
 * @param isAnswering Whether an answer to an earlier request of this connection is still due: this one would be taken for it.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex, isAnswering: boolean): void {
  // A reset connection reads nothing any more.
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const { status, message } = REFUSALS.get(error.code ?? '') ?? UNREADABLE;
  const body = JSON.stringify({ error: message });
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Connection: close',
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
    () => socket.destroy(),
  );
}

const BODY_LENGTH: Refusal = {
  status: 400,
  message: 'Content-Length and Transfer-Encoding must say once how long the body is',
};

const REFUSALS: ReadonlyMap<string, Refusal> = new Map([
  ['HPE_HEADER_OVERFLOW', { status: 431, message: 'the request line and headers are too large' }],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', { status: 413, message: 'the chunk extensions are too large' }],
  ['ERR_HTTP_REQUEST_TIMEOUT', { status: 408, message: 'the request did not arrive in time' }],
  ['HPE_INVALID_TRANSFER_ENCODING', BODY_LENGTH],
  ['HPE_INVALID_CONTENT_LENGTH', BODY_LENGTH],
  ['HPE_UNEXPECTED_CONTENT_LENGTH', BODY_LENGTH],
]);

const UNREADABLE: Refusal = { status: 400, message: 'this is no HTTP request that can be read' };
