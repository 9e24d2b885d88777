import type { Datatype } from '../spec/datatypes';
import { toHalfBits, fromHalfBits } from './half-float';
import { showJson } from './show-json';
import {
  allocateTensorData,
  elementCount,
  encodeTensorData,
  makeTensorData,
  TensorEncodingError,
  type Tensor,
  type TensorData,
} from './tensor-encoding';

/** What an NPY file holds. */
export interface NpyArray {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** In row-major order, however the file has it. */
  readonly data: TensorData;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const VERSION_AT = 6;
/** Version 1 has a two-byte length of the header behind its version, the later ones four bytes. */
const HEADER_AT = { 1: 10, 2: 12, 3: 12 } as const;
const ALIGNMENT = 64;
const MAX_DIMENSIONS = 32;

/** Kind and size of NumPy's type strings (https://numpy.org/doc/stable/reference/arrays.interface.html). */
const DATATYPES: Readonly<Record<string, Datatype>> = {
  b1: 'BOOL',
  u1: 'UINT8',
  u2: 'UINT16',
  u4: 'UINT32',
  u8: 'UINT64',
  i1: 'INT8',
  i2: 'INT16',
  i4: 'INT32',
  i8: 'INT64',
  f2: 'FP16',
  f4: 'FP32',
  f8: 'FP64',
};
const TYPE_STRINGS = Object.fromEntries(Object.entries(DATATYPES).map(([type, datatype]) => [datatype, type]));

/** What the head of an NPY file says of the elements behind it. */
export interface NpyHeader {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Whether the elements lie in column-major order. */
  readonly isFortran: boolean;
  /** Bytes of one element in the file. */
  readonly elementBytes: number;
  /** Bytes before the first element. */
  readonly dataAt: number;
  /** Byte order, kind and size as NumPy writes them; for text of kind `U` the size is in characters. */
  readonly order: string;
  readonly kind: string;
  readonly size: number;
}

type WrittenHeader = Omit<NpyHeader, 'datatype' | 'elementBytes' | 'dataAt'>;

/**
 * Reads an NPY file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1 to 3: numbers of
 * either byte order, truth values and text of fixed length, in row-major or column-major order. Nothing in it is executed.
 * @throws TensorEncodingError saying what is wrong.
 */
export function readNpy(bytes: Uint8Array): NpyArray {
  const header = readNpyHeader(bytes);
  const { datatype, shape, elementBytes } = header;
  const wanted = elementCount(shape) * elementBytes;
  const body = bytes.subarray(header.dataAt);
  if (!Number.isSafeInteger(wanted) || body.byteLength !== wanted) {
    throw new TensorEncodingError(
      `NPY of shape [${shape.join(', ')}] must hold ${wanted} bytes of elements, got ${body.byteLength}`,
    );
  }
  const data = readNpyElements(header, body);
  return { datatype, shape, data: header.isFortran ? toRowMajor(datatype, shape, data) : data };
}

/** Bytes that tell how long the header is, `npyHeaderBytes`. */
export const NPY_PREFIX_BYTES = 12;

/**
 * Where the elements of an NPY file begin, by its first bytes.
 * @throws TensorEncodingError when it is no NPY file, or of a version that nobody knows.
 */
export function npyHeaderBytes(prefix: Uint8Array): number {
  const file = Buffer.from(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  if (file.byteLength < 10 || !file.subarray(0, MAGIC.byteLength).equals(MAGIC)) {
    throw new TensorEncodingError('an NPY file must begin with \\x93NUMPY');
  }
  const version = file[VERSION_AT]!;
  const headerAt = HEADER_AT[version as keyof typeof HEADER_AT];
  if (headerAt === undefined) throw new TensorEncodingError(`the version of NPY must be 1, 2 or 3, got ${version}`);
  if (file.byteLength < headerAt) throw new TensorEncodingError('NPY ends within its header');
  return headerAt + (version === 1 ? file.readUInt16LE(VERSION_AT + 2) : file.readUInt32LE(VERSION_AT + 2));
}

/**
 * Reads the head of an NPY file; what follows it need not be there.
 * @throws TensorEncodingError saying what is wrong, such as elements that are Python objects.
 */
export function readNpyHeader(bytes: Uint8Array): NpyHeader {
  const dataAt = npyHeaderBytes(bytes);
  if (dataAt > bytes.byteLength) throw new TensorEncodingError('NPY ends within its header');
  const headerAt = HEADER_AT[bytes[VERSION_AT] as keyof typeof HEADER_AT];
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const written = parseHeader(file.toString('latin1', headerAt, Math.min(dataAt, headerAt + 10_000)));
  const { order, kind, size } = written;
  const datatype = kind === 'U' || kind === 'S' ? 'BYTES' : DATATYPES[`${kind}${size}`];
  if (datatype === undefined) throw unsupported(`${order}${kind}${size}`);
  return { ...written, datatype, elementBytes: kind === 'U' ? size * 4 : size, dataAt };
}

/**
 * Elements as they lie in an NPY file, any run of them, in the order of the file.
 * @throws TensorEncodingError for a BOOL that is neither 0 nor 1, or text that is not UTF-8.
 */
export function readNpyElements(header: NpyHeader, body: Uint8Array): TensorData {
  const { datatype, elementBytes } = header;
  if (datatype !== 'BYTES') return readNumbers(datatype, body, header);
  // Text of no length takes no bytes at all, so that its count is known from the shape alone.
  const count = elementBytes === 0 ? elementCount(header.shape) : body.byteLength / elementBytes;
  return readText(body, count, header);
}

/** The header is a Python dictionary with three keys; only its literal form is read. */
function parseHeader(text: string): WrittenHeader {
  const descr = /'descr'\s*:\s*'([<>|=])([a-zA-Z])(\d{1,6})'/.exec(text);
  if (descr === null) throw unsupported(/'descr'\s*:\s*(.{0,40})/s.exec(text)?.[1] ?? 'nothing');
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text);
  const shape = /'shape'\s*:\s*\(([\d,L ]*)\)/.exec(text);
  if (order === null || shape === null) {
    throw new TensorEncodingError(`the header of NPY must have descr, fortran_order and shape, got ${showJson(text)}`);
  }
  const sizes = (shape[1]!.match(/\d+/g) ?? []).map(Number);
  if (sizes.length > MAX_DIMENSIONS || !Number.isSafeInteger(elementCount(sizes))) {
    throw new TensorEncodingError(`the shape of NPY must have at most ${MAX_DIMENSIONS} sizes of whole numbers`);
  }
  return {
    order: descr[1]!,
    kind: descr[2]!,
    size: Number(descr[3]),
    isFortran: order[1] === 'True',
    shape: sizes,
  };
}

function unsupported(type: string): TensorEncodingError {
  const known = [...Object.keys(DATATYPES), 'S<length>', 'U<length>'].join(', ');
  return new TensorEncodingError(`the elements of NPY must be ${known}, got ${showJson(type)}`);
}

function readNumbers(datatype: Exclude<Datatype, 'BYTES'>, body: Uint8Array, { order, size }: NpyHeader): TensorData {
  const data = allocateTensorData(datatype, body.byteLength / size);
  const target = encodeTensorData(datatype, data);
  target.set(body);
  if (order === '>') {
    const swapped = Buffer.from(target.buffer, target.byteOffset, target.byteLength);
    if (size === 2) swapped.swap16();
    else if (size === 4) swapped.swap32();
    else if (size === 8) swapped.swap64();
  }
  if (datatype === 'BOOL') {
    const wrong = target.findIndex((byte) => byte > 1);
    if (wrong >= 0) throw new TensorEncodingError(`BOOL element ${wrong} must be 0 or 1, got ${target[wrong]}`);
  }
  return data;
}

function readText(body: Uint8Array, count: number, { kind, size, order }: NpyHeader): readonly string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  return Array.from({ length: count }, (_, i) => {
    if (kind === 'U') return readCharacters(view, i * size * 4, size, order !== '>', i);
    const element = body.subarray(i * size, (i + 1) * size);
    let end = size;
    // NumPy pads with zeros and does not count them.
    while (end > 0 && element[end - 1] === 0) end--;
    try {
      return decoder.decode(element.subarray(0, end));
    } catch {
      throw new TensorEncodingError(`BYTES element ${i} must be UTF-8 text, which ONNX strings are`);
    }
  });
}

function readCharacters(view: DataView, at: number, size: number, isLittle: boolean, i: number): string {
  let text = '';
  let zeros = '';
  for (let k = 0; k < size; k++) {
    const code = view.getUint32(at + k * 4, isLittle);
    if (code > 0x10ffff) throw new TensorEncodingError(`BYTES element ${i} must be text, got the code point ${code}`);
    if (code === 0) {
      zeros += '\0';
      continue;
    }
    text += zeros + String.fromCodePoint(code);
    zeros = '';
  }
  return text;
}

function toRowMajor(datatype: Datatype, shape: readonly number[], data: TensorData): TensorData {
  const steps: number[] = [];
  shape.reduce((step, size) => (steps.push(step), step * size), 1);
  const place = new Array<number>(shape.length).fill(0);
  let from = 0;
  return makeTensorData(datatype, data.length, () => {
    const element = data[from]!;
    for (let d = shape.length - 1; d >= 0; d--) {
      from += steps[d]!;
      if (++place[d]! < shape[d]!) break;
      from -= steps[d]! * shape[d]!;
      place[d] = 0;
    }
    return element;
  });
}

/**
 * Elements in another datatype, where nothing but precision is lost: any number in a floating point one, whole numbers in
 * an integer one that has room for each of them.
 * @throws TensorEncodingError naming the datatypes, or the element that has no room.
 */
export function castNpy({ datatype, data }: Omit<NpyArray, 'shape'> & Partial<NpyArray>, wanted: Datatype): TensorData {
  if (datatype === wanted) return data;
  const isFloat = (type: Datatype): boolean => type.startsWith('FP');
  const isText = datatype === 'BYTES' || wanted === 'BYTES';
  if (isText || datatype === 'BOOL' || wanted === 'BOOL' || (isFloat(datatype) && !isFloat(wanted))) {
    throw new TensorEncodingError(`NPY must hold ${wanted}, got ${datatype}`);
  }
  const numbers = data as Exclude<TensorData, readonly string[]>;
  const numberAt = (i: number): number =>
    datatype === 'FP16' ? fromHalfBits(numbers[i] as number) : Number(numbers[i]);
  if (wanted === 'FP16') return makeTensorData(wanted, numbers.length, (i) => toHalfBits(numberAt(i)));
  if (isFloat(wanted)) return makeTensorData(wanted, numbers.length, numberAt);
  const isWide = wanted === 'INT64' || wanted === 'UINT64';
  const cast = makeTensorData(wanted, numbers.length, (i) => (isWide ? BigInt(numbers[i]!) : Number(numbers[i])));
  for (let i = 0; i < numbers.length; i++) {
    if (BigInt(cast[i]!) !== BigInt(numbers[i]!)) {
      throw new TensorEncodingError(`${wanted} has no room for element ${i}, ${numbers[i]}`);
    }
  }
  return cast;
}

/** An NPY file, version 1, little-endian and row-major. @throws TensorEncodingError for text, whose length NPY fixes. */
export function writeNpy({
  datatype,
  shape,
  data,
}: Pick<Tensor, 'datatype' | 'shape' | 'data'>): readonly Uint8Array[] {
  const type = TYPE_STRINGS[datatype];
  if (type === undefined) throw new TensorEncodingError(`NPY holds numbers, got ${datatype}`);
  const order = type.endsWith('1') ? '|' : '<';
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dictionary = `{'descr': '${order}${type}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((HEADER_AT[1] + dictionary.length + 1) / ALIGNMENT) * ALIGNMENT;
  const header = Buffer.alloc(length, ' ');
  MAGIC.copy(header);
  header.set([1, 0], VERSION_AT);
  header.writeUInt16LE(length - HEADER_AT[1], VERSION_AT + 2);
  header.write(dictionary, HEADER_AT[1], 'latin1');
  header.write('\n', length - 1);
  return [header, encodeTensorData(datatype, data)];
}
