import type { Readable } from 'node:stream';

/** Takes a stream apart in pieces of any length, holding no more than a piece and the chunk that comes next. */
export class ByteReader {
  private readonly chunks: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(private readonly stream: Readable) {
    this.chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** So many bytes in memory of their own; fewer only at the end of the stream. @throws what the stream fails with */
  async take(length: number): Promise<Uint8Array> {
    const taken = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.rest.byteLength === 0) {
        const next = await this.chunks.next();
        if (next.done === true) return taken.subarray(0, filled);
        this.rest = next.value;
      }
      const part = this.rest.subarray(0, length - filled);
      taken.set(part, filled);
      filled += part.byteLength;
      this.rest = this.rest.subarray(part.byteLength);
    }
    return taken;
  }

  close(): void {
    this.stream.destroy();
  }
}
