import {
  allocateTensorData,
  decodeTensorData,
  encodeTensorData,
  TensorEncodingError,
  type TensorData,
} from '../../onnx/tensor-encoding';
import { ELEMENT_BYTES, type Datatype } from '../../spec/datatypes';
import { ProtobufReader, WIRE } from './protobuf-reader';
import type { ProtobufWriter } from './protobuf-writer';

interface ContentsField {
  readonly number: number;
  readonly name: string;
  readonly wire: number;
}

const FIELDS = {
  bool: { number: 1, name: 'bool_contents', wire: WIRE.varint },
  int: { number: 2, name: 'int_contents', wire: WIRE.varint },
  int64: { number: 3, name: 'int64_contents', wire: WIRE.varint },
  uint: { number: 4, name: 'uint_contents', wire: WIRE.varint },
  uint64: { number: 5, name: 'uint64_contents', wire: WIRE.varint },
  fp32: { number: 6, name: 'fp32_contents', wire: WIRE.fixed32 },
  fp64: { number: 7, name: 'fp64_contents', wire: WIRE.fixed64 },
  bytes: { number: 8, name: 'bytes_contents', wire: WIRE.bytes },
} as const satisfies Record<string, ContentsField>;

const FIELD_NAMES: ReadonlyMap<number, string> = new Map(
  Object.values(FIELDS).map(({ number, name }) => [number, name]),
);

/** The field of `InferTensorContents` that holds a datatype; it has none for FP16. */
const FIELD_OF: Readonly<Record<Datatype, ContentsField | undefined>> = {
  BOOL: FIELDS.bool,
  INT8: FIELDS.int,
  INT16: FIELDS.int,
  INT32: FIELDS.int,
  INT64: FIELDS.int64,
  UINT8: FIELDS.uint,
  UINT16: FIELDS.uint,
  UINT32: FIELDS.uint,
  UINT64: FIELDS.uint64,
  FP16: undefined,
  FP32: FIELDS.fp32,
  FP64: FIELDS.fp64,
  BYTES: FIELDS.bytes,
};

/** Of the datatypes that are narrower than the elements of their field. */
const RANGES: Partial<Record<Datatype, readonly [number, number]>> = {
  INT8: [-(2 ** 7), 2 ** 7 - 1],
  INT16: [-(2 ** 15), 2 ** 15 - 1],
  UINT8: [0, 2 ** 8 - 1],
  UINT16: [0, 2 ** 16 - 1],
};

/** Whether tensors of this datatype can go as `InferTensorContents`, and need not be raw. */
export function hasContentsField(datatype: Datatype): boolean {
  return FIELD_OF[datatype] !== undefined;
}

/**
 * Reads the elements of a tensor out of an `InferTensorContents`.
 * @param pieces The message, in as many pieces as it came in.
 * @throws TensorEncodingError when the elements are too few, too many, out of range or in another datatype's field;
 * ServerError MALFORMED_REQUEST
 */
export function readTensorContents(pieces: readonly Buffer[], datatype: Datatype, count: number): TensorData {
  const field = FIELD_OF[datatype];
  if (field === undefined) {
    throw new TensorEncodingError(`${datatype} must come in raw_input_contents: contents have no field for it`);
  }
  const elements: ElementSink = datatype === 'BYTES' ? new TextSink(count) : new NumberSink(datatype, count, pieces);
  for (const piece of pieces) {
    const reader = new ProtobufReader(piece);
    while (!reader.isAtEnd) {
      const tag = reader.tag();
      if (tag === field.number * 8 + WIRE.bytes) elements.takePacked(reader);
      else if (tag === field.number * 8 + field.wire) elements.takeOne(reader);
      else {
        const other = FIELD_NAMES.get(Math.floor(tag / 8));
        if (other !== undefined && other !== field.name) {
          throw new TensorEncodingError(`${datatype} must come in ${field.name}, got ${other}`);
        }
        reader.skip(tag);
      }
    }
  }
  return elements.finish();
}

interface ElementSink {
  takePacked(reader: ProtobufReader): void;
  takeOne(reader: ProtobufReader): void;
  finish(): TensorData;
}

class NumberSink implements ElementSink {
  private readonly data: Exclude<TensorData, readonly string[]>;
  private readonly bytes: Uint8Array;
  private readonly elementBytes: number;
  private readonly read: (reader: ProtobufReader) => void;
  private taken = 0;

  constructor(
    private readonly datatype: Datatype,
    private readonly count: number,
    pieces: readonly Buffer[],
  ) {
    // Every element takes a byte at least: memory is set aside only for what can be there.
    const most = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (count > most) throw this.wrongCount(`at most ${most}`);
    this.data = allocateTensorData(datatype, count) as Exclude<TensorData, readonly string[]>;
    this.bytes = new Uint8Array(this.data.buffer);
    this.elementBytes = ELEMENT_BYTES[datatype]!;
    this.read = this.chooseRead();
  }

  takePacked(reader: ProtobufReader): void {
    if (this.datatype === 'FP32' || this.datatype === 'FP64') {
      const view = reader.view();
      const elements = view.byteLength / this.elementBytes;
      if (!Number.isInteger(elements)) {
        throw new TensorEncodingError(`packed ${this.datatype} of ${view.byteLength} bytes end within an element`);
      }
      this.assertRoom(elements);
      this.bytes.set(view, this.taken * this.elementBytes);
      this.taken += elements;
      return;
    }
    for (const packed = reader.message(); !packed.isAtEnd;) this.takeOne(packed);
  }

  takeOne(reader: ProtobufReader): void {
    this.assertRoom(1);
    this.read(reader);
    this.taken += 1;
  }

  finish(): TensorData {
    if (this.taken !== this.count) throw this.wrongCount(String(this.taken));
    return this.data;
  }

  private chooseRead(): (reader: ProtobufReader) => void {
    const { datatype } = this;
    const data = this.data as { [i: number]: number };
    if (datatype === 'FP32' || datatype === 'FP64') {
      const { elementBytes } = this;
      return (reader) => this.bytes.set(reader.fixed(elementBytes), this.taken * elementBytes);
    }
    if (datatype === 'INT64' || datatype === 'UINT64') {
      const words = new Uint32Array(this.data.buffer);
      return (reader) => reader.into(words, this.taken * 2);
    }
    if (datatype === 'BOOL') return (reader) => (data[this.taken] = reader.bool() ? 1 : 0);
    const isSigned = datatype === 'INT8' || datatype === 'INT16' || datatype === 'INT32';
    const range = RANGES[datatype];
    return (reader) => {
      const value = isSigned ? reader.int32() : reader.int32() >>> 0;
      if (range !== undefined && (value < range[0] || value > range[1])) {
        throw new TensorEncodingError(
          `${datatype} element ${this.taken} must be from ${range[0]} to ${range[1]}, got ${value}`,
        );
      }
      data[this.taken] = value;
    };
  }

  private assertRoom(elements: number): void {
    if (this.taken + elements > this.count) throw this.wrongCount('more');
  }

  private wrongCount(got: string): TensorEncodingError {
    return new TensorEncodingError(`contents must hold ${this.count} elements of ${this.datatype}, got ${got}`);
  }
}

/** Lays text out as in the raw encoding, whose reader knows all rules about it. */
class TextSink implements ElementSink {
  private readonly parts: Buffer[] = [];
  private taken = 0;

  constructor(private readonly count: number) {}

  takePacked(reader: ProtobufReader): void {
    this.takeOne(reader);
  }

  takeOne(reader: ProtobufReader): void {
    const text = reader.view();
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(text.byteLength);
    this.parts.push(length, text);
    this.taken += 1;
  }

  finish(): TensorData {
    if (this.taken !== this.count) {
      throw new TensorEncodingError(`contents must hold ${this.count} elements of BYTES, got ${this.taken}`);
    }
    return decodeTensorData('BYTES', [this.count], Buffer.concat(this.parts));
  }
}

/** Writes the fields of an `InferTensorContents`. @param datatype one that has such a field */
export function writeTensorContents(writer: ProtobufWriter, datatype: Datatype, data: TensorData): void {
  const field = FIELD_OF[datatype]!;
  if (datatype === 'BYTES') {
    const raw = Buffer.from(encodeTensorData(datatype, data));
    for (let at = 0; at < raw.byteLength;) {
      const end = at + 4 + raw.readUInt32LE(at);
      writer.delimited(field.number, end - at - 4);
      writer.raw(raw.subarray(at + 4, end));
      at = end;
    }
    return;
  }
  const numbers = data as Exclude<TensorData, readonly string[]>;
  if (numbers.length === 0) return;
  writer.nested(field.number, () => {
    if (field.wire !== WIRE.varint) return writer.raw(encodeTensorData(datatype, numbers));
    if (datatype === 'INT64' || datatype === 'UINT64') {
      const words = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length * 2);
      for (let i = 0; i < words.length; i += 2) writer.varint64(words[i]!, words[i + 1]!);
      return;
    }
    // A negative number of 32 bits goes as one of 64.
    for (const value of numbers as Int32Array) {
      if (value < 0) writer.varint64(value >>> 0, 0xffff_ffff);
      else writer.varint(value);
    }
  });
}
