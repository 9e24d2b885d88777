/** Numbers that follow from a seed (mulberry32): the same case again from the same seed and index. */
export class Random {
  private state: number;

  constructor(seed: number, index = 0) {
    this.state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) >>> 0;
    this.next();
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 up to, not including, `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) bytes[i] = this.below(256);
    return bytes;
  }

  /** Bytes changed in a few places: flipped, cut, repeated, put in. */
  mutate(bytes: Buffer): Buffer {
    let changed = Buffer.from(bytes);
    for (let n = 1 + this.below(4); n > 0 && changed.byteLength > 0; n--) {
      const at = this.below(changed.byteLength);
      const length = this.below(Math.min(24, changed.byteLength - at) + 1);
      const [before, piece, after] = [
        changed.subarray(0, at),
        changed.subarray(at, at + length),
        changed.subarray(at + length),
      ];
      const kind = this.below(5);
      if (kind === 0) changed[at] = changed[at]! ^ (1 << this.below(8));
      else if (kind === 1) changed = Buffer.concat([before, after]);
      else if (kind === 2) changed = Buffer.concat([before, piece, piece, after]);
      else if (kind === 3) changed = Buffer.concat([before, this.bytes(this.below(8)), after]);
      else
        changed = this.chance(0.3)
          ? Buffer.from(before)
          : Buffer.concat([before, Buffer.from(this.pick(WORDS)), after]);
    }
    return changed;
  }
}

/** What parsers stumble over. */
const WORDS = [
  'null',
  'NaN',
  '-Infinity',
  '1e999',
  '-0',
  '9223372036854775808',
  '18446744073709551616',
  '0x10',
  '1.',
  '.5',
  '--1',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '\0',
  '\ufeff',
  '\xff',
  '[[[[[[[[',
  '{"__proto__":1}',
  '\r\n',
  '\r\n\r\n',
  '%00',
  '%2e%2e',
  '../',
  ';',
  '=',
  '\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01',
];
