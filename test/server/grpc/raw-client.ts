import http2 from 'node:http2';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** What a stream of HTTP/2 brought back. */
export interface RawAnswer {
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders | undefined;
  readonly body: Buffer;
  /** Whether the headers were all there was. */
  readonly endedWithHeaders: boolean;
  /** Of headers or trailers. */
  readonly grpcStatus: number | undefined;
  readonly grpcMessage: string;
  /** The code of the RST_STREAM that ended it; 0 for none. */
  readonly resetCode: number;
}

/** Node's own HTTP/2, which knows nothing of gRPC; closed with the test. */
export function connectRaw(port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  // In Node 20 a session that is destroyed while it reads a frame, as it may be when an answer ends the test, never returns.
  onTestFinished(async () => {
    await nextTurn();
    session.destroy();
  });
  return session;
}

const HEADERS = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

/** Sends the pieces of a body one by one. @param end False leaves the request open. */
export function send(
  session: http2.ClientHttp2Session,
  path: string,
  body: readonly Buffer[] = [],
  { headers = {}, end = true }: { headers?: http2.OutgoingHttpHeaders; end?: boolean } = {},
): Promise<RawAnswer> {
  const stream = session.request({ ...HEADERS, ':path': path, ...headers }, { endStream: end && body.length === 0 });
  return new Promise((resolve, reject) => {
    let received: http2.IncomingHttpHeaders | undefined;
    let trailers: http2.IncomingHttpHeaders | undefined;
    let endedWithHeaders = false;
    const chunks: Buffer[] = [];
    stream.on('response', (answer, flags) => {
      received = answer;
      endedWithHeaders = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    });
    stream.on('trailers', (answer) => (trailers = answer));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('close', () => {
      if (received === undefined) return reject(new Error(`reset with ${stream.rstCode} before any headers`));
      const status = (trailers ?? received)['grpc-status'];
      resolve({
        headers: received,
        trailers,
        body: Buffer.concat(chunks),
        endedWithHeaders,
        grpcStatus: status === undefined ? undefined : Number(status),
        grpcMessage: decodeURIComponent(String((trailers ?? received)['grpc-message'] ?? '')),
        resetCode: stream.rstCode ?? 0,
      });
    });
    for (const piece of body) stream.write(piece);
    if (end && body.length > 0) stream.end();
  });
}

/** A message of gRPC behind its header. */
export function frame(message: Buffer, { flag = 0, length = message.byteLength } = {}): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flag;
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, message]);
}
