import { paddingBefore } from '../aligned-memory';
import type { BodyLease, BodyMemory } from '../body-memory';
import { ServerError } from '../errors';
import { MEMORY } from '../reusable-memory';
import { FRAME_HEADER_BYTES } from './protobuf-writer';

/** One message of a call. */
export interface Message {
  readonly bytes: Buffer;
  readonly isCompressed: boolean;
  /** What it holds of the memory for bodies; whoever is done with the message releases it. */
  readonly lease: BodyLease;
}

export interface MessageReaderOptions {
  readonly maxBytes: number;
  readonly bodyMemory: Pick<BodyMemory, 'lease'>;
  readonly onMessage: (message: Message) => void;
}

/** Cuts the bytes of a call into its messages (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export class MessageReader {
  private readonly header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  private headerAt = 0;
  private bytes: Buffer | undefined;
  private at = 0;
  private lease: BodyLease | undefined;

  constructor(private readonly options: MessageReaderOptions) {}

  /** @throws ServerError BODY_TOO_LARGE, BODY_MEMORY_FULL, MALFORMED_REQUEST */
  push(chunk: Buffer): void {
    for (let from = 0; from < chunk.byteLength;) {
      if (this.bytes === undefined) {
        const taken = chunk.copy(this.header, this.headerAt, from, from + FRAME_HEADER_BYTES - this.headerAt);
        this.headerAt += taken;
        from += taken;
        if (this.headerAt < FRAME_HEADER_BYTES) return;
        this.begin();
      }
      const taken = chunk.copy(this.bytes!, this.at, from);
      this.at += taken;
      from += taken;
      if (this.at === this.bytes!.byteLength) this.finish();
    }
  }

  /** The client has sent everything. @throws ServerError MALFORMED_REQUEST when it ended within a message. */
  end(): void {
    if (this.headerAt === 0) return;
    const length = this.bytes?.byteLength;
    throw new ServerError(
      'MALFORMED_REQUEST',
      length === undefined
        ? `the call ended within the header of a message`
        : `the call ended after ${this.at} bytes of a message of ${length}`,
    );
  }

  /** Frees what a message that was never finished holds. */
  close(): void {
    this.lease?.release();
    this.lease = undefined;
  }

  private begin(): void {
    const { maxBytes, bodyMemory } = this.options;
    const length = this.header.readUInt32BE(1);
    if (this.header[0]! > 1) {
      throw new ServerError('MALFORMED_REQUEST', `a message must begin with 0 or 1, got ${this.header[0]}`);
    }
    if (length > maxBytes) {
      throw new ServerError('BODY_TOO_LARGE', `a message must be at most ${maxBytes} bytes, got ${length}`);
    }
    this.lease = bodyMemory.lease();
    this.lease.take(length);
    this.bytes = allocateMessage(length);
    this.at = 0;
  }

  private finish(): void {
    const message = { bytes: this.bytes!, isCompressed: this.header[0] === 1, lease: this.lease! };
    this.bytes = undefined;
    this.lease = undefined;
    this.headerAt = 0;
    this.options.onMessage(message);
  }
}

/**
 * Memory of its own, never of Node's pool: it is handed to an executor's thread. A message ends with its last raw tensor,
 * whose length is a multiple of its element's: that tensor can be viewed where it lies when the message ends at a multiple
 * of sixteen.
 */
export function allocateMessage(length: number): Buffer {
  const padding = paddingBefore(length);
  return Buffer.from(MEMORY.take(padding + length), padding, length);
}
