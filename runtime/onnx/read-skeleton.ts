import { fromBinary } from '@bufbuild/protobuf';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { checkOutermostFields } from './decode-model';
import { TensorProtoSchema, type TensorProto } from './generated/onnx-ml_pb';
import { OnnxFileError } from './onnx-file-error';
import { tensorBytes } from './tensor-bytes';

/**
 * The bytes of an ONNX file without the elements of its tensors: a model to `decodeModel`, and a few hundred kilobytes
 * where the file has gigabytes, because what is skipped is never read.
 * @throws OnnxFileError NOT_ONNX when the bytes are no protocol buffer message, TRUNCATED, MALFORMED, FILE_UNREADABLE
 */
export function readSkeleton(path: string): Uint8Array {
  try {
    const file = openSync(path, 'r');
    try {
      const reader = new SkeletonReader(file, path);
      const { size } = statSync(path);
      checkOutermostFields((start, end) => reader.bytes(start, end), size, path);
      return Buffer.concat(reader.message(0, size, 'model'));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (OnnxFileError.is(error)) throw error;
    throw new OnnxFileError('FILE_UNREADABLE', path, (error as Error).message);
  }
}

type Kind = 'model' | 'graph' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'function';

/** Which fields of a message are messages that may hold tensors, by the numbers of `onnx-ml.proto`. */
const CHILDREN: Readonly<Record<Kind, ReadonlyMap<number, Kind>>> = {
  model: new Map([
    [7, 'graph'],
    [25, 'function'],
  ]),
  graph: new Map([
    [1, 'node'],
    [5, 'tensor'],
    [15, 'sparse'],
  ]),
  function: new Map([
    [7, 'node'],
    [11, 'attribute'],
  ]),
  node: new Map([[5, 'attribute']]),
  attribute: new Map([
    [5, 'tensor'],
    [6, 'graph'],
    [10, 'tensor'],
    [11, 'graph'],
    [22, 'sparse'],
    [23, 'sparse'],
  ]),
  tensor: new Map(),
  sparse: new Map([
    [1, 'tensor'],
    [2, 'tensor'],
  ]),
};

/** Shapes, axes and names are shorter. Longer fields are elements of weights, documentation, or tables of trees. */
const KEPT_BYTES = 4_096;
const WINDOW_BYTES = 16_384;
const MAX_DEPTH = 64;
/** Of a tensor: elements of numbers, and of text, whose lengths are sizes that people ask for. */
const RAW_DATA = 9;
const STRING_DATA = 6;

class SkeletonReader {
  private window = Buffer.alloc(0);
  private windowStart = 0;
  private at = 0;

  constructor(
    private readonly file: number,
    private readonly path: string,
  ) {}

  message(start: number, end: number, kind: Kind, depth = 0): Buffer[] {
    if (depth > MAX_DEPTH) throw this.broken(start);
    const parts: Buffer[] = [];
    let skippedBytes: number | undefined;
    this.at = start;
    while (this.at < end) {
      const fieldStart = this.at;
      const tag = this.varint(end);
      const wireType = tag & 7;
      if (wireType !== 2) {
        this.skipScalar(wireType, end, fieldStart);
        parts.push(this.bytes(fieldStart, this.at));
        continue;
      }
      const length = this.varint(end);
      const bodyStart = this.at;
      const bodyEnd = bodyStart + length;
      if (bodyEnd > end) throw this.broken(fieldStart);
      const number = tag >>> 3;
      const child = CHILDREN[kind].get(number);
      if (length <= KEPT_BYTES || (kind === 'tensor' && number === STRING_DATA)) {
        parts.push(this.bytes(fieldStart, bodyEnd));
      } else if (child !== undefined) {
        const body = this.message(bodyStart, bodyEnd, child, depth + 1);
        const bodyLength = body.reduce((total, part) => total + part.length, 0);
        parts.push(encodeVarint(tag), encodeVarint(bodyLength), ...[Buffer.concat(body)]);
      } else if (kind === 'tensor' && number === RAW_DATA) {
        skippedBytes = length;
      }
      this.at = bodyEnd;
    }
    if (skippedBytes !== undefined) this.checkTensor(parts, skippedBytes);
    return parts;
  }

  /** What is left out is not there for the decoder's readers to check. */
  private checkTensor(parts: readonly Buffer[], storedBytes: number): void {
    let tensor: TensorProto;
    try {
      tensor = fromBinary(TensorProtoSchema, Buffer.concat(parts), { readUnknownFields: false });
    } catch (error) {
      throw new OnnxFileError('MALFORMED', this.path, `cannot be decoded: ${(error as Error).message}`);
    }
    tensorBytes(tensor, this.path, storedBytes);
  }

  private skipScalar(wireType: number, end: number, fieldStart: number): void {
    if (wireType === 0) this.skipVarint(end);
    else if (wireType === 1) this.at += 8;
    else if (wireType === 5) this.at += 4;
    else throw this.broken(fieldStart);
    if (this.at > end) throw this.broken(fieldStart);
  }

  private skipVarint(end: number): void {
    for (let i = 0; i < 10 && this.at < end; i++) if (this.byte() < 0x80) return;
    throw this.broken(this.at);
  }

  /** Tags and lengths are below 2^32. */
  private varint(end: number): number {
    let value = 0;
    for (let shift = 0; shift < 35 && this.at < end; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw this.broken(this.at);
  }

  private byte(): number {
    this.fill(this.at, 1);
    return this.window[this.at++ - this.windowStart]!;
  }

  bytes(start: number, end: number): Buffer {
    this.fill(start, end - start);
    return Buffer.from(this.window.subarray(start - this.windowStart, end - this.windowStart));
  }

  private fill(start: number, length: number): void {
    const isThere = start >= this.windowStart && start + length <= this.windowStart + this.window.length;
    if (isThere) return;
    const window = Buffer.allocUnsafe(Math.max(WINDOW_BYTES, length));
    this.window = window.subarray(0, readSync(this.file, window, 0, window.length, start));
    this.windowStart = start;
    if (this.window.length < length) throw this.broken(start);
  }

  private broken(at: number): OnnxFileError {
    return new OnnxFileError(
      'NOT_ONNX',
      this.path,
      `is not an ONNX model, or cut off: no field of one ends behind byte ${at}`,
    );
  }
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}
