import type { Datatype } from '../../runtime/spec/datatypes';

/** A tensor as the binary forms of the protocol carry it: little-endian, BYTES with a length before each element. */
export interface WireTensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

// Written for the tests alone: what the server has of this kind is what they judge.
type Numeric = Exclude<Datatype, 'BYTES'>;
type Read = (view: DataView, at: number) => string;
type Write = (view: DataView, at: number, text: string) => void;

/** Bytes of an element, how its number is written in JSON, and how one is read. */
export const NUMBERS: Readonly<Record<Numeric, readonly [size: number, read: Read, write: Write]>> = {
  BOOL: [1, (v, i) => (v.getUint8(i) === 0 ? 'false' : 'true'), (v, i, t) => v.setUint8(i, t === 'true' ? 1 : 0)],
  UINT8: [1, (v, i) => String(v.getUint8(i)), (v, i, t) => v.setUint8(i, whole(t))],
  INT8: [1, (v, i) => String(v.getInt8(i)), (v, i, t) => v.setInt8(i, whole(t))],
  UINT16: [2, (v, i) => String(v.getUint16(i, true)), (v, i, t) => v.setUint16(i, whole(t), true)],
  INT16: [2, (v, i) => String(v.getInt16(i, true)), (v, i, t) => v.setInt16(i, whole(t), true)],
  FP16: [2, (v, i) => jsonNumber(halfValue(v.getUint16(i, true))), (v, i, t) => v.setUint16(i, halfBits(t), true)],
  UINT32: [4, (v, i) => String(v.getUint32(i, true)), (v, i, t) => v.setUint32(i, whole(t), true)],
  INT32: [4, (v, i) => String(v.getInt32(i, true)), (v, i, t) => v.setInt32(i, whole(t), true)],
  FP32: [4, (v, i) => jsonNumber(v.getFloat32(i, true)), (v, i, t) => v.setFloat32(i, Number(t), true)],
  UINT64: [8, (v, i) => String(v.getBigUint64(i, true)), (v, i, t) => v.setBigUint64(i, BigInt(t), true)],
  INT64: [8, (v, i) => String(v.getBigInt64(i, true)), (v, i, t) => v.setBigInt64(i, BigInt(t), true)],
  FP64: [8, (v, i) => jsonNumber(v.getFloat64(i, true)), (v, i, t) => v.setFloat64(i, Number(t), true)],
};

/** The elements as a flat JSON list, with the tokens NaN, Infinity and -Infinity. */
export function toJsonList({ datatype, bytes }: WireTensor): string {
  if (datatype === 'BYTES') return JSON.stringify(textsOf(bytes));
  const [size, read] = NUMBERS[datatype];
  const view = viewOf(bytes);
  return `[${Array.from({ length: bytes.byteLength / size }, (_, i) => read(view, i * size)).join()}]`;
}

/** What an answer in JSON says: numbers are still text, whatever their size. */
export function readAnswer(text: string): any {
  const quoted = text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?\d[\d.eE+-]*|true|false/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
  return JSON.parse(quoted);
}

/** The bytes of `data` of an answer that `readAnswer` has read. */
export function fromJsonList(datatype: Datatype, data: unknown): Buffer {
  const elements = (data as unknown[]).flat(Infinity) as string[];
  if (datatype === 'BYTES') return bytesOfTexts(elements);
  const [size, , write] = NUMBERS[datatype];
  const bytes = Buffer.alloc(elements.length * size);
  elements.forEach((element, i) => write(viewOf(bytes), i * size, element));
  return bytes;
}

export function textsOf(bytes: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const end = at + 4 + bytes.readUInt32LE(at);
    texts.push(bytes.toString('utf8', at + 4, end));
    at = end;
  }
  return texts;
}

export function bytesOfTexts(texts: readonly string[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(Buffer.byteLength(text));
      return [length, Buffer.from(text)];
    }),
  );
}

/** Undefined when two tensors are equal to the bit, except that any NaN equals any other. */
export function difference(expected: WireTensor, got: WireTensor): string | undefined {
  const head = ({ name, datatype, shape }: WireTensor): string => `${name} ${datatype} [${shape.join()}]`;
  if (head(expected) !== head(got)) return `expected ${head(expected)}, got ${head(got)}`;
  if (expected.bytes.equals(got.bytes)) return undefined;
  const [mine, theirs] = [toElements(expected), toElements(got)];
  if (mine.length !== theirs.length) return `${head(got)}: expected ${mine.length} elements, got ${theirs.length}`;
  const i = mine.findIndex((element, at) => element !== theirs[at]);
  return i < 0 ? undefined : `${head(got)}: element ${i}: expected ${mine[i]}, got ${theirs[i]}`;
}

function toElements(tensor: WireTensor): readonly string[] {
  if (tensor.datatype === 'BYTES') return textsOf(tensor.bytes);
  const list = toJsonList(tensor).slice(1, -1);
  return list === '' ? [] : list.split(',');
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function whole(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new Error(`${text} is no whole number`);
  return Number(text);
}

function jsonNumber(value: number): string {
  return Object.is(value, -0) ? '-0.0' : String(value);
}

function halfValue(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1_023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1_024) * 2 ** (exponent - 15));
}

/** Every finite half is looked up by its value: slow, and plain. */
function halfBits(text: string): number {
  const value = Number(text);
  if (Number.isNaN(value)) return 0x7e00;
  const sign = Object.is(Math.sign(value), -0) || value < 0 ? 0x8000 : 0;
  const bits = HALVES.get(Math.abs(value));
  if (bits === undefined) throw new Error(`${text} is no half-precision number`);
  return sign | bits;
}

const HALVES = new Map(Array.from({ length: 0x7c01 }, (_, bits) => [halfValue(bits), bits]));
