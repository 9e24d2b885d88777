import {
  connect,
  constants,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import { ConformanceFailure } from './conformance-case';
import { AnswerTooLarge, MAX_ANSWER_BYTES, MAX_ANSWER_MS } from './http-client';

export interface GrpcAnswer {
  /** The gRPC status: 0 is OK. */
  readonly status: number;
  readonly message: string;
  /** The messages, without their five bytes of framing. */
  readonly messages: readonly Buffer[];
  /** When to ask again, by `grpc-retry-pushback-ms`. */
  readonly retryAfterMs: number | undefined;
}

const TIMEOUT_MS = 30_000;
const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_CONTENT_TYPE, HTTP2_HEADER_TE, NGHTTP2_NO_ERROR } =
  constants;

/** A gRPC client of a few lines, so that cases can send what generated clients cannot. Cleartext with prior knowledge, or TLS. */
export class GrpcClient {
  private session: ClientHttp2Session | undefined;

  constructor(
    /** As in `http://127.0.0.1:8081`. */
    private readonly base: string,
    private readonly headers: Readonly<Record<string, string>> = {},
    private readonly maxAnswerBytes = MAX_ANSWER_BYTES,
  ) {}

  call(
    method: string,
    messages: readonly Uint8Array[],
    headers: Readonly<Record<string, string>> = {},
  ): Promise<GrpcAnswer> {
    const session = this.connected();
    return new Promise((resolve, reject) => {
      const stream = session.request({
        [HTTP2_HEADER_METHOD]: 'POST',
        [HTTP2_HEADER_PATH]: method.startsWith('/') ? method : `/inference.GRPCInferenceService/${method}`,
        [HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
        [HTTP2_HEADER_TE]: 'trailers',
        ...this.headers,
        ...headers,
      });
      const chunks: Buffer[] = [];
      let status: string | undefined;
      let message = '';
      let retryAfterMs: number | undefined;
      const read = (fields: IncomingHttpHeaders): void => {
        if (fields['grpc-status'] !== undefined) status = fields['grpc-status'] as string;
        if (fields['grpc-retry-pushback-ms'] !== undefined) retryAfterMs = Number(fields['grpc-retry-pushback-ms']);
        if (fields['grpc-message'] !== undefined) message = decodeMessage(fields['grpc-message'] as string);
      };
      stream.setTimeout(TIMEOUT_MS, () => stream.close());
      stream.on('response', (fields) => {
        const httpStatus = (fields as IncomingHttpStatusHeader)[':status'];
        if (httpStatus !== 200) {
          reject(new ConformanceFailure(`expected HTTP status 200 beneath gRPC, got ${httpStatus}`));
        }
        read(fields);
      });
      stream.on('trailers', read);
      let bytes = 0;
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        if (bytes > this.maxAnswerBytes) stream.destroy(new AnswerTooLarge(this.maxAnswerBytes));
        else chunks.push(chunk);
      });
      const end = setTimeout(() => stream.close(), MAX_ANSWER_MS);
      stream.on('error', reject);
      stream.on('close', () => {
        clearTimeout(end);
        if (status === undefined) reject(new ConformanceFailure('the stream ended without a grpc-status'));
        else resolve({ status: Number(status), message, messages: unframe(Buffer.concat(chunks)), retryAfterMs });
      });
      for (const each of messages) stream.write(frame(each));
      stream.end();
    });
  }

  close(): void {
    this.session?.close();
    this.session?.destroy(undefined, NGHTTP2_NO_ERROR);
  }

  private connected(): ClientHttp2Session {
    if (this.session === undefined || this.session.closed || this.session.destroyed) {
      this.session = connect(this.base);
      // What fails is each stream; the session's own report of it would be one nobody listens to.
      this.session.on('error', () => {});
    }
    return this.session;
  }
}

/** Percent-encoded as a rule, and as it is where a stranger did not. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

function unframe(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.byteLength;) {
    const length = bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return messages;
}
