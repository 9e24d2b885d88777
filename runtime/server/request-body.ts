import type { IncomingMessage } from 'node:http';
import { joinChunks, paddingBefore } from './aligned-memory';
import type { Cancellation } from './cancellation';
import { ServerError } from './errors';
import { MEMORY } from './reusable-memory';

const POOLED_BYTES = 2_048;

export interface ReadBodyOptions {
  readonly maxBytes: number;
  /** Bytes in front of the first binary tensor: the body is placed so that this tensor can be viewed without a copy. */
  readonly headerLength?: number;
  readonly cancellation: Cancellation;
  /** Called before memory is used for so many bytes more; throws where there is none. @default - not counted */
  readonly take?: (bytes: number) => void;
  /** Called when nothing speaks against the body so far: the client may be waiting for leave to send it. */
  readonly onAccept: () => void;
}

/**
 * Reads a request's body into memory of its own.
 * @throws ServerError BODY_TOO_LARGE before reading when the length is declared, CLIENT_GONE when the client ends early;
 * or the reason of the cancellation.
 */
export async function readBody(request: IncomingMessage, options: ReadBodyOptions): Promise<Uint8Array> {
  const declared = request.headers['content-length'];
  if (declared === undefined) return readUndeclared(request, options);
  const length = Number(declared);
  assertSize(length, options.maxBytes);
  options.take?.(length);
  options.onAccept();
  const body = allocate(length, options);
  let at = 0;
  await consume(request, options.cancellation, (chunk) => {
    body.set(chunk, at);
    at += chunk.byteLength;
  });
  return body;
}

async function readUndeclared(request: IncomingMessage, options: ReadBodyOptions): Promise<Uint8Array> {
  const { maxBytes, cancellation, take } = options;
  options.onAccept();
  const chunks: Uint8Array[] = [];
  let length = 0;
  await consume(request, cancellation, (chunk) => {
    length += chunk.byteLength;
    assertSize(length, maxBytes);
    take?.(chunk.byteLength);
    chunks.push(chunk);
  });
  return joinChunks(chunks, allocate(length, options));
}

function allocate(length: number, { headerLength = 0 }: ReadBodyOptions): Uint8Array {
  const padding = paddingBefore(headerLength);
  const bytes = padding + length;
  // Small ones come from Node's pool, at a multiple of 8: memory of its own for each would keep the garbage collector busy.
  if (bytes <= POOLED_BYTES) return Buffer.allocUnsafe(bytes).subarray(padding);
  return new Uint8Array(MEMORY.take(bytes), padding, length);
}

function assertSize(length: number, maxBytes: number): void {
  if (length > maxBytes) {
    throw new ServerError('BODY_TOO_LARGE', `the body must be at most ${maxBytes} bytes, got ${length}`);
  }
}

function consume(request: IncomingMessage, cancellation: Cancellation, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error): void => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      cancellation.offCancel(finish);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onData = (chunk: Buffer): void => {
      try {
        take(chunk);
      } catch (error) {
        finish(error as Error);
      }
    };
    const onEnd = (): void => finish();
    const onClose = (): void =>
      finish(new ServerError('CLIENT_GONE', 'the client closed the connection before the body ended'));
    if (cancellation.reason !== undefined) {
      reject(cancellation.reason);
      return;
    }
    cancellation.onCancel(finish);
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}
