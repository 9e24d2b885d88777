import { promisify } from 'node:util';
import {
  brotliCompress,
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  deflate,
  gzip,
} from 'node:zlib';
import type { Transform } from 'node:stream';
import { joinChunks, paddingBefore } from './aligned-memory';
import type { Cancellation } from './cancellation';
import type { EncodedAnswer } from './codec';
import { ServerError } from './errors';
import { malformed } from './json-body';
import { MEMORY } from './reusable-memory';

const CHUNK_BYTES = 64 * 1_024;
/** Shorter answers are sent sooner than they are compressed. */
const COMPRESSED_FROM_BYTES = 16 * 1_024;
const FASTEST_GZIP = { level: constants.Z_BEST_SPEED };
const FASTEST_BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

export interface InflateOptions {
  /** Of the inflated body. */
  readonly maxBytes: number;
  /** Inflated bytes in front of the first binary tensor, which is placed so that it can be viewed without a copy. @default 0 */
  readonly headerLength?: number;
  readonly cancellation: Cancellation;
  /** Called before memory is used for so many bytes more; throws where there is none. */
  readonly take: (bytes: number) => void;
}

/** What opens a body of each `Content-Encoding`. */
const INFLATERS: Readonly<Record<string, (body: Uint8Array) => Transform>> = {
  gzip: () => createGunzip({ chunkSize: CHUNK_BYTES }),
  'x-gzip': () => createGunzip({ chunkSize: CHUNK_BYTES }),
  deflate: (body) => (hasZlibHeader(body) ? createInflate : createInflateRaw)({ chunkSize: CHUNK_BYTES }),
  br: () => createBrotliDecompress({ chunkSize: CHUNK_BYTES }),
};

/**
 * Checks a `Content-Encoding` before any of the body is read.
 * @returns undefined when the body is as it is.
 * @throws ServerError CONTENT_ENCODING with what works.
 */
export function parseContentEncoding(header: string | undefined): string | undefined {
  const encoding = header?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') return undefined;
  if (Object.hasOwn(INFLATERS, encoding)) return encoding;
  throw new ServerError(
    'CONTENT_ENCODING',
    `Content-Encoding must be gzip, deflate, br or identity, got '${encoding.slice(0, 40)}'`,
  );
}

/**
 * Inflates the body of a request. What comes out counts against the limits piece by piece: few bytes can stand for very many.
 * @param encoding As `parseContentEncoding` gave it.
 * @throws ServerError BODY_TOO_LARGE, MALFORMED_REQUEST for a body that is not so encoded, or the reason of the cancellation.
 */
export async function inflateBody(body: Uint8Array, encoding: string, options: InflateOptions): Promise<Uint8Array> {
  const { maxBytes, headerLength = 0, cancellation, take } = options;
  const inflater = INFLATERS[encoding]!(body);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    inflater.end(body);
    for await (const chunk of inflater as AsyncIterable<Buffer>) {
      cancellation.throwIfCancelled();
      length += chunk.byteLength;
      if (length > maxBytes) {
        throw new ServerError('BODY_TOO_LARGE', `the inflated body must be at most ${maxBytes} bytes, got more`);
      }
      take(chunk.byteLength);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ServerError) throw error;
    throw malformed(`the body must be ${encoding}, as Content-Encoding says: ${(error as Error).message}`);
  } finally {
    inflater.destroy();
  }
  const padding = paddingBefore(headerLength);
  return joinChunks(chunks, new Uint8Array(MEMORY.take(padding + length), padding, length));
}

/** RFC 9110 means zlib's format by `deflate`; some clients send the bare one. */
function hasZlibHeader([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
}

type Compress = (bytes: Uint8Array) => Promise<Uint8Array>;

/** The one that costs least first. */
const COMPRESSORS: readonly (readonly [encoding: string, compress: Compress])[] = [
  ['gzip', (bytes) => promisify(gzip)(bytes, FASTEST_GZIP)],
  ['deflate', (bytes) => promisify(deflate)(bytes, FASTEST_GZIP)],
  ['br', (bytes) => promisify(brotliCompress)(bytes, FASTEST_BROTLI)],
];

/**
 * Compresses an answer where that helps: long JSON, for a client that asks. Binary tensors stay as they are: they hardly get
 * smaller, and KServe's client asks every time.
 * @returns undefined when the answer is best sent as it is.
 */
export function compressAnswer(
  { headers, parts }: EncodedAnswer,
  acceptEncoding: string | undefined,
): Promise<EncodedAnswer> | undefined {
  if (acceptEncoding === undefined || headers['Content-Type'] !== 'application/json') return undefined;
  if (Number(headers['Content-Length']) < COMPRESSED_FROM_BYTES) return undefined;
  const accepted = acceptedEncodings(acceptEncoding);
  const found = COMPRESSORS.find(([encoding]) => accepted.has(encoding));
  return found === undefined ? undefined : compress(headers, parts, ...found);
}

async function compress(
  headers: EncodedAnswer['headers'],
  parts: EncodedAnswer['parts'],
  encoding: string,
  compressBytes: Compress,
): Promise<EncodedAnswer> {
  const whole = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const bytes = await compressBytes(whole);
  return {
    headers: {
      ...headers,
      'Content-Length': String(bytes.byteLength),
      'Content-Encoding': encoding,
      Vary: 'Accept-Encoding',
    },
    parts: [bytes],
  };
}

/** Without those that are refused by `q=0`. */
function acceptedEncodings(header: string): ReadonlySet<string> {
  const accepted = header.split(',').flatMap((item) => {
    const [encoding = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    return parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? [] : [encoding];
  });
  return new Set(accepted);
}
