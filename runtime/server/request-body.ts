import type { IncomingMessage } from 'node:http';
import { ServerError } from './errors';

/** The largest element: what an aligned tensor begins at a multiple of. */
const ALIGNMENT = 8;

export interface ReadBodyOptions {
  readonly maxBytes: number;
  /** Bytes in front of the first binary tensor: the body is placed so that this tensor can be viewed without a copy. */
  readonly headerLength?: number;
  readonly signal: AbortSignal;
  /** Called before memory is used for so many bytes more; throws where there is none. @default - not counted */
  readonly take?: (bytes: number) => void;
  /** Called when nothing speaks against the body so far: the client may be waiting for leave to send it. */
  readonly onAccept: () => void;
}

/**
 * Reads a request's body into memory of its own.
 * @throws ServerError BODY_TOO_LARGE before reading when the length is declared, CLIENT_GONE when the client ends early;
 * or the reason of the abort.
 */
export async function readBody(request: IncomingMessage, options: ReadBodyOptions): Promise<Uint8Array> {
  const declared = request.headers['content-length'];
  const length = Number(declared ?? 0);
  assertSize(length, options.maxBytes);
  options.take?.(length);
  options.onAccept();
  if (declared === undefined) return place(await readChunks(request, options), options);
  const body = allocate(length, options);
  let at = 0;
  await consume(request, options.signal, (chunk) => {
    body.set(chunk, at);
    at += chunk.byteLength;
  });
  return body;
}

async function readChunks(
  request: IncomingMessage,
  { maxBytes, signal, take }: ReadBodyOptions,
): Promise<readonly Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  await consume(request, signal, (chunk) => {
    length += chunk.byteLength;
    assertSize(length, maxBytes);
    take?.(chunk.byteLength);
    chunks.push(chunk);
  });
  return chunks;
}

function place(chunks: readonly Uint8Array[], options: ReadBodyOptions): Uint8Array {
  const body = allocate(
    chunks.reduce((sum, { byteLength }) => sum + byteLength, 0),
    options,
  );
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

// A buffer of our own, never one of Node's pool: it is handed to the executor's thread.
function allocate(length: number, { headerLength = 0 }: ReadBodyOptions): Uint8Array {
  const padding = (ALIGNMENT - (headerLength % ALIGNMENT)) % ALIGNMENT;
  return new Uint8Array(new ArrayBuffer(padding + length), padding, length);
}

function assertSize(length: number, maxBytes: number): void {
  if (length > maxBytes) {
    throw new ServerError('BODY_TOO_LARGE', `the body must be at most ${maxBytes} bytes, got ${length}`);
  }
}

function consume(request: IncomingMessage, signal: AbortSignal, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error): void => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      signal.removeEventListener('abort', onAbort);
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
    const onAbort = (): void => finish(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}
