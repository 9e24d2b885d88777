import { promisify } from 'node:util';
import { createInflate, gunzip } from 'node:zlib';
import { ServerError } from '../errors';
import { allocateMessage, type Message } from './message-reader';

/** A gzip file of nothing. */
const SMALLEST_GZIP_BYTES = 18;

const unzip = promisify(gunzip);

/**
 * The bytes of a message whose call says `grpc-encoding: gzip`. No more is unpacked than the message announces.
 * @throws ServerError BODY_TOO_LARGE, BODY_MEMORY_FULL, MALFORMED_REQUEST
 */
export async function decompressGzip({ bytes, lease }: Message, maxBytes: number): Promise<Buffer> {
  // RFC 1952, 2.3.1: a gzip file ends with the length of what it holds.
  const length = bytes.byteLength < SMALLEST_GZIP_BYTES ? 0 : bytes.readUInt32LE(bytes.byteLength - 4);
  if (length > maxBytes) {
    throw new ServerError('BODY_TOO_LARGE', `a message must be at most ${maxBytes} bytes, got ${length} compressed`);
  }
  lease.take(length);
  let unpacked: Buffer;
  try {
    unpacked = await unzip(bytes, { maxOutputLength: Math.max(1, length) });
  } catch (error) {
    throw new ServerError('MALFORMED_REQUEST', `the message is no gzip: ${(error as Error).message}`);
  }
  const message = allocateMessage(unpacked.byteLength);
  unpacked.copy(message);
  return message;
}

/**
 * The bytes of a message whose call says `grpc-encoding: deflate`, by which gRPC means zlib's format (RFC 1950). It does
 * not announce its length: what comes out counts against the limits piece by piece.
 * @throws ServerError BODY_TOO_LARGE, BODY_MEMORY_FULL, MALFORMED_REQUEST
 */
export async function decompressDeflate({ bytes, lease }: Message, maxBytes: number): Promise<Buffer> {
  const inflater = createInflate();
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    inflater.end(bytes);
    for await (const piece of inflater as AsyncIterable<Buffer>) {
      length += piece.byteLength;
      if (length > maxBytes) {
        throw new ServerError('BODY_TOO_LARGE', `a message must be at most ${maxBytes} bytes, got more compressed`);
      }
      lease.take(piece.byteLength);
      pieces.push(piece);
    }
  } catch (error) {
    if (error instanceof ServerError) throw error;
    throw new ServerError('MALFORMED_REQUEST', `the message is no deflate: ${(error as Error).message}`);
  } finally {
    inflater.destroy();
  }
  const message = allocateMessage(length);
  let at = 0;
  for (const piece of pieces) at += piece.copy(message, at);
  return message;
}
