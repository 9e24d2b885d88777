/** Bytes in front of every message of gRPC: whether it is compressed, and its length. */
export const FRAME_HEADER_BYTES = 5;

const INITIAL_BYTES = 256;

/** Writes one protobuf message, with room for gRPC's header in front of it. Fields that hold their default are left out. */
export class ProtobufWriter {
  private bytes = Buffer.allocUnsafe(INITIAL_BYTES);
  private at = FRAME_HEADER_BYTES;

  string(field: number, text: string): void {
    if (text !== '') this.text(field, text);
  }

  /** Written even when it is empty, as an element of a repeated field is. */
  text(field: number, text: string): void {
    this.tag(field, 2);
    const length = Buffer.byteLength(text);
    this.varint(length);
    this.reserve(length);
    this.at += this.bytes.write(text, this.at);
  }

  bool(field: number, value: boolean): void {
    if (value) this.uint(field, 1);
  }

  uint(field: number, value: number): void {
    if (value === 0) return;
    this.tag(field, 0);
    this.varint(value);
  }

  /** @param value a whole number from 0 up */
  varint(value: number): void {
    this.reserve(10);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.bytes[this.at++] = (rest % 0x80) | 0x80;
    this.bytes[this.at++] = rest;
  }

  /** The varint of 64 bits, given as two halves. */
  varint64(low: number, high: number): void {
    if (high === 0) return this.varint(low);
    this.reserve(10);
    for (let shift = 0; shift < 28; shift += 7) this.bytes[this.at++] = ((low >>> shift) & 0x7f) | 0x80;
    // The fifth byte has bits of both halves.
    this.bytes[this.at++] = (low >>> 28) | ((high & 0x07) << 4) | (high > 0x07 ? 0x80 : 0);
    for (let rest = high >>> 3; rest > 0; rest >>>= 7) this.bytes[this.at++] = (rest & 0x7f) | (rest > 0x7f ? 0x80 : 0);
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.byteLength);
    this.bytes.set(bytes, this.at);
    this.at += bytes.byteLength;
  }

  /** Announces a field of so many bytes, which follow. */
  delimited(field: number, length: number): void {
    this.tag(field, 2);
    this.varint(length);
  }

  /** A sub-message, or packed numbers: whatever `write` writes, behind its length. */
  nested(field: number, write: () => void): void {
    this.tag(field, 2);
    this.reserve(10);
    const lengthAt = this.at;
    this.at += 1;
    write();
    const length = this.at - lengthAt - 1;
    if (length < 0x80) {
      this.bytes[lengthAt] = length;
      return;
    }
    // A longer length takes more than the one byte that was left for it.
    const lengthBytes = Math.ceil((32 - Math.clz32(length)) / 7);
    this.reserve(lengthBytes);
    this.bytes.copyWithin(lengthAt + lengthBytes, lengthAt + 1, this.at);
    const end = this.at + lengthBytes - 1;
    this.at = lengthAt;
    this.varint(length);
    this.at = end;
  }

  /**
   * @param following Bytes of the message that the caller sends behind this part.
   * @returns what was written, with gRPC's header for the whole message in front of it
   */
  finish(following = 0): Buffer {
    this.bytes[0] = 0;
    this.bytes.writeUInt32BE(this.at - FRAME_HEADER_BYTES + following, 1);
    return this.bytes.subarray(0, this.at);
  }

  /** What was written, without gRPC's header. */
  body(): Buffer {
    return this.bytes.subarray(FRAME_HEADER_BYTES, this.at);
  }

  private tag(field: number, wire: number): void {
    this.varint(field * 8 + wire);
  }

  private reserve(length: number): void {
    const needed = this.at + length;
    if (needed <= this.bytes.byteLength) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.bytes.byteLength * 2));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }
}
