import { isUtf8 } from 'node:buffer';
import type { NumberList } from './json-numbers';
import { JSON_LITERALS, MAX_INTEGER_LENGTH, MAX_JSON_DEPTH, parseJsonText } from './json-text';
import { scanJsonNumbers } from './scan-json-numbers';

/** From here on reading the bytes is faster than making text of them for the engine's own parser. */
const LARGE_BYTES = 1_024;
/** Shorter lists come as JavaScript's: whoever looks for a shape or a list of names finds it. */
const FEWEST_NUMBERS = 32;

/**
 * Reads JSON as `parseJsonText` does, from UTF-8 bytes, except that long lists of numbers may come as `NumberList`: they
 * are what bodies of inference requests consist of, and this way they are read several times faster.
 * @throws SyntaxError as `parseJsonText` does, and for bytes that are not UTF-8.
 */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8');
  // A byte order mark is no part of the text.
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  if (buffer.byteLength >= LARGE_BYTES) {
    try {
      return new JsonBytesReader(buffer).read();
    } catch (error) {
      if (error !== GIVE_UP) throw error;
    }
  }
  // This one says what is wrong, and where.
  return parseJsonText(buffer.toString('utf8'));
}

/** Thrown when the text is no JSON, or so unusual that the exact parser shall read it. */
const GIVE_UP = new Error('not read');

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const MAX_NUMBER_LENGTH = 1_100;
/** Longer strings are left to the engine, which looks for their end faster. */
const SHORT_STRING = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

class JsonBytesReader {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  read(): unknown {
    const value = this.value(0, false);
    if (this.next() !== undefined) throw GIVE_UP;
    return value;
  }

  private value(depth: number, isFlat: boolean): unknown {
    if (depth > MAX_JSON_DEPTH) throw GIVE_UP;
    const next = this.next();
    if (next === OPEN_OBJECT) return this.object(depth);
    if (next === OPEN_LIST) return this.list(depth, isFlat);
    return next === QUOTE ? this.string() : this.scalar();
  }

  /** The next byte that is no space; undefined at the end. */
  private next(): number | undefined {
    const { bytes } = this;
    let byte = bytes[this.at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++this.at];
    return byte;
  }

  private object(depth: number): Record<string, unknown> {
    // Without a prototype, so that a key `__proto__` is a key like any other.
    const object = Object.create(null) as Record<string, unknown>;
    this.at++;
    if (this.next() === CLOSE_OBJECT) {
      this.at++;
      return object;
    }
    for (;;) {
      if (this.next() !== QUOTE) throw GIVE_UP;
      const key = this.string();
      if (this.next() !== COLON) throw GIVE_UP;
      this.at++;
      object[key] = this.value(depth + 1, false);
      if (this.ends(CLOSE_OBJECT)) return object;
    }
  }

  private list(depth: number, isFlat: boolean): unknown[] | NumberList {
    const scanned = scanJsonNumbers(this.bytes, this.at, isFlat);
    if (scanned !== undefined) {
      this.at = scanned.end;
      return scanned.list.values.length < FEWEST_NUMBERS ? scanned.list.toLists() : scanned.list;
    }
    const list: unknown[] = [];
    this.at++;
    if (this.next() === CLOSE_LIST) {
      this.at++;
      return list;
    }
    for (;;) {
      // Lists in this list have been read in vain once; more than flat ones would be, once more for each level.
      list.push(this.value(depth + 1, true));
      if (this.ends(CLOSE_LIST)) return list;
    }
  }

  /** Steps over what is behind an item: whether it was the last one. */
  private ends(end: number): boolean {
    const next = this.next();
    if (next !== COMMA && next !== end) throw GIVE_UP;
    this.at++;
    return next === end;
  }

  private string(): string {
    const { bytes } = this;
    const start = this.at;
    const limit = Math.min(bytes.byteLength, start + SHORT_STRING);
    for (let at = start + 1; at < limit; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.at = at + 1;
        return bytes.toString('latin1', start + 1, at);
      }
      if (byte === BACKSLASH || byte < 0x20 || byte > 0x7e) break;
    }
    return this.longString(start);
  }

  private longString(start: number): string {
    const { bytes } = this;
    let end = start;
    do {
      end = bytes.indexOf(QUOTE, end + 1);
      if (end < 0) throw GIVE_UP;
    } while (this.isEscaped(end));
    this.at = end + 1;
    try {
      return JSON.parse(bytes.toString('utf8', start, this.at)) as string;
    } catch {
      throw GIVE_UP;
    }
  }

  private isEscaped(at: number): boolean {
    let backslashes = 0;
    while (this.bytes[at - 1 - backslashes] === BACKSLASH) backslashes++;
    return backslashes % 2 === 1;
  }

  private scalar(): unknown {
    const { bytes, at: start } = this;
    let end = start;
    while (end - start < MAX_NUMBER_LENGTH && isTokenByte(bytes[end])) end++;
    const token = bytes.toString('latin1', start, end);
    this.at = end;
    if (NUMBER.test(token)) {
      const value = Number(token);
      const isNumber = Number.isSafeInteger(value) || /[.eE]/.test(token) || token.length > MAX_INTEGER_LENGTH;
      return isNumber ? value : BigInt(token);
    }
    const literal = JSON_LITERALS.find(([text]) => text === token);
    if (literal === undefined) throw GIVE_UP;
    return literal[1];
  }
}

/** Digits, letters, and the signs in numbers. */
function isTokenByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const isDigit = byte >= 0x30 && byte <= 0x39;
  const isLetter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
  return isDigit || isLetter || byte === 0x2b || byte === 0x2d || byte === 0x2e;
}
