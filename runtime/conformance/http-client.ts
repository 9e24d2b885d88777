import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { parseJsonText } from '../onnx/json-text';
import { ConformanceFailure } from './conformance-case';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  /** The body as JSON; whole numbers beyond 2^53 as bigint. @throws ConformanceFailure */
  json(): unknown;
}

export interface HttpRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

const TIMEOUT_MS = 30_000;
/** However slowly an answer dribbles in. */
export const MAX_ANSWER_MS = 10 * 60_000;
/** Of an answer's body: a client holds it whole. */
export const MAX_ANSWER_BYTES = 512 * 2 ** 20;

/** An answer that is larger than this client holds. Asked again it would be as large. */
export class AnswerTooLarge extends ConformanceFailure {
  constructor(maxBytes: number) {
    super(`the answer has more than the ${maxBytes} bytes that are read of one: ask for fewer rows at once`);
  }
}

/** A client that adds nothing to what a case says: no content type, no compression, no redirects. */
export class HttpClient {
  constructor(
    /** As in `http://127.0.0.1:8080`. */
    readonly base: string,
    private readonly headers: Readonly<Record<string, string>> = {},
    private readonly maxAnswerBytes = MAX_ANSWER_BYTES,
  ) {}

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return this.send('GET', path, { headers });
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    const bytes = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    return this.send('POST', path, { headers, body: bytes });
  }

  send(method: string, path: string, { headers = {}, body }: HttpRequest = {}): Promise<HttpAnswer> {
    const url = new URL(this.base);
    const bytes = body === undefined ? undefined : Buffer.from(body as string);
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'https:' ? requestTls : request;
      const outgoing = send(
        {
          host: url.hostname.replace(/^\[|\]$/g, ''),
          port: url.port || (url.protocol === 'https:' ? 443 : 80),
          method,
          // As it is: cases send paths that a URL would tidy up.
          path: `${url.pathname.replace(/\/$/, '')}${path}`,
          headers: {
            ...this.headers,
            ...(bytes === undefined ? {} : { 'Content-Length': String(bytes.byteLength) }),
            ...headers,
          },
          timeout: TIMEOUT_MS,
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          incoming.on('data', (chunk: Buffer) => {
            bytes += chunk.byteLength;
            if (bytes > this.maxAnswerBytes) outgoing.destroy(new AnswerTooLarge(this.maxAnswerBytes));
            else chunks.push(chunk);
          });
          incoming.on('error', reject);
          incoming.on('end', () => {
            const whole = Buffer.concat(chunks);
            const names = incoming.headers as Record<string, string | undefined>;
            resolve({ status: incoming.statusCode!, headers: names, body: whole, json: () => parseBody(whole) });
          });
        },
      );
      outgoing.on('timeout', () =>
        outgoing.destroy(new ConformanceFailure(`no answer within ${TIMEOUT_MS / 1_000} s`)),
      );
      const end = setTimeout(
        () => outgoing.destroy(new ConformanceFailure(`no whole answer within ${MAX_ANSWER_MS / 1_000} s`)),
        MAX_ANSWER_MS,
      );
      outgoing.on('close', () => clearTimeout(end));
      outgoing.on('error', reject);
      outgoing.end(bytes);
    });
  }
}

function parseBody(body: Buffer): unknown {
  try {
    return parseJsonText(body.toString('utf8'));
  } catch (error) {
    throw new ConformanceFailure(
      `expected JSON, got ${body.toString('utf8').slice(0, 200)}: ${(error as Error).message}`,
    );
  }
}
