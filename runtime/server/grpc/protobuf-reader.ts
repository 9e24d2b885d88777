import { ServerError } from '../errors';

/** https://protobuf.dev/programming-guides/encoding/#structure */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const;

const MAX_VARINT_BYTES = 10;
const MAX_GROUP_DEPTH = 32;

/**
 * Walks over the fields of one protobuf message without copying what they hold. A field comes as its tag: the number times
 * eight plus the wire type; whoever does not know it calls `skip`.
 * @throws ServerError MALFORMED_REQUEST from every method when the bytes are no protobuf
 */
export class ProtobufReader {
  /** The upper 32 bits of the varint that was read last. */
  private high = 0;

  constructor(
    private readonly bytes: Buffer,
    private at = 0,
    private readonly end = bytes.byteLength,
  ) {}

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  /** Field number times eight plus wire type. */
  tag(): number {
    const byte = this.bytes[this.at]!;
    if (byte < 0x80 && byte > 7 && this.at < this.end) {
      this.at += 1;
      return byte;
    }
    const tag = this.uint();
    if (tag < 8 || tag > 0xffff_ffff) throw malformed(`field number ${Math.floor(tag / 8)} does not exist`);
    return tag;
  }

  /** The number's 64 bits as if it were unsigned; above 2^53 only its magnitude is right. */
  uint(): number {
    const low = this.bits();
    return this.high === 0 ? low : this.high * 2 ** 32 + low;
  }

  /** The number's 64 bits in two's complement; beyond 2^53 only its magnitude is right. */
  int(): number {
    const low = this.bits();
    return (this.high | 0) * 2 ** 32 + low;
  }

  int32(): number {
    return this.bits() | 0;
  }

  bool(): boolean {
    const low = this.bits();
    return low !== 0 || this.high !== 0;
  }

  bigint(isSigned: boolean): bigint {
    const low = this.bits();
    const bits = (BigInt(this.high) << 32n) | BigInt(low);
    return isSigned ? BigInt.asIntN(64, bits) : bits;
  }

  /** Puts the number's 64 bits into two elements, the lower ones first. */
  into(words: Uint32Array, i: number): void {
    words[i] = this.bits();
    words[i + 1] = this.high;
  }

  double(): number {
    const start = this.take(8);
    return this.bytes.readDoubleLE(start);
  }

  /** A view of the next length-delimited field. */
  view(): Buffer {
    const start = this.delimited();
    return this.bytes.subarray(start, this.at);
  }

  /** A view of so many bytes. */
  fixed(length: number): Buffer {
    const start = this.take(length);
    return this.bytes.subarray(start, this.at);
  }

  /** A reader of the next sub-message, or of packed numbers. */
  message(): ProtobufReader {
    const start = this.delimited();
    return new ProtobufReader(this.bytes, start, this.at);
  }

  string(): string {
    const start = this.delimited();
    const text = this.bytes.toString('utf8', start, this.at);
    // The replacement character is what Node makes of bytes that are no UTF-8; only then is it worth to look again.
    if (text.includes('\ufffd') && !Buffer.from(text).equals(this.bytes.subarray(start, this.at))) {
      throw malformed('text is not UTF-8');
    }
    return text;
  }

  /** Passes over the field whose tag has just been read. */
  skip(tag: number, depth = 0): void {
    switch (tag % 8) {
      case WIRE.varint:
        this.bits();
        return;
      case WIRE.fixed64:
        this.take(8);
        return;
      case WIRE.bytes:
        this.delimited();
        return;
      case WIRE.fixed32:
        this.take(4);
        return;
      case WIRE.groupStart:
        return this.skipGroup(tag, depth + 1);
      default:
        throw malformed(`wire type ${tag % 8} does not belong here`);
    }
  }

  /** Reads a varint. @returns its lower 32 bits */
  private bits(): number {
    const { bytes } = this;
    const byte = bytes[this.at]!;
    if (byte < 0x80 && this.at < this.end) {
      this.at += 1;
      this.high = 0;
      return byte;
    }
    let low = 0;
    let high = 0;
    for (let length = 0; length < MAX_VARINT_BYTES; length++) {
      if (this.at >= this.end) throw malformed('it ends within a number');
      const next = bytes[this.at++]!;
      const seven = next & 0x7f;
      if (length < 4) low |= seven << (7 * length);
      else if (length === 4) {
        low |= seven << 28;
        high = seven >>> 4;
      } else if (length < 9) high |= seven << (7 * length - 32);
      else high |= seven << 31;
      if (next < 0x80) {
        this.high = high >>> 0;
        return low >>> 0;
      }
    }
    throw malformed(`a number takes more than ${MAX_VARINT_BYTES} bytes`);
  }

  private delimited(): number {
    return this.take(this.uint());
  }

  private take(length: number): number {
    const start = this.at;
    if (length > this.end - start) throw malformed(`a field of ${length} bytes has only ${this.end - start}`);
    this.at = start + length;
    return start;
  }

  private skipGroup(start: number, depth: number): void {
    if (depth > MAX_GROUP_DEPTH) throw malformed(`groups are nested deeper than ${MAX_GROUP_DEPTH}`);
    while (!this.isAtEnd) {
      const tag = this.tag();
      if (tag % 8 !== WIRE.groupEnd) this.skip(tag, depth);
      else if (tag === start + 1) return;
      else throw malformed('a group ends that did not begin');
    }
    throw malformed('it ends within a group');
  }
}

function malformed(message: string): ServerError {
  return new ServerError('MALFORMED_REQUEST', `the message is no protobuf: ${message}`);
}
