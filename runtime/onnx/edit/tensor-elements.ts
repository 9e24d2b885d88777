import { clearField } from '@bufbuild/protobuf';
import { closeSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { elementType } from '../element-types';
import { externalRange } from '../external-data';
import { TensorProto_DataType, TensorProtoSchema, type TensorProto } from '../generated/onnx-ml_pb';
import { fromHalfBits, toHalfBits } from '../half-float';
import { OnnxFileError } from '../onnx-file-error';
import { isExternal, tensorBytes } from '../tensor-bytes';
import type { EditableModel } from './editable-model';

/** Numbers, as tensors have them: a file may hold one that no ONNX release has given out. */
const Type: Readonly<Record<keyof typeof TensorProto_DataType, number>> = TensorProto_DataType;

/** Elements of a floating-point tensor as numbers: FP16 and BF16 widened to FP32, which holds each of theirs. */
export type FloatElements = Float32Array | Float64Array;

/**
 * The elements of a tensor as `raw_data` has them, little-endian and row-major, whichever field or file they lie in. A view
 * of the model where that is possible: not to be written to.
 * @throws OnnxFileError MALFORMED for text, or when the elements are not as many as the shape says; FILE_UNREADABLE
 */
export function bytesOfTensor(model: EditableModel, tensor: TensorProto): Uint8Array {
  const length = tensorBytes(tensor, model.path);
  if (isExternal(tensor)) return readExternal(model, tensor, length);
  if (tensor.dataType === Type.STRING) throw malformed(model, tensor, 'is text, which has no bytes of a fixed size');
  const bytes = tensor.rawData.byteLength > 0 ? tensor.rawData : bytesOfFields(tensor);
  if (bytes.byteLength === length) return bytes;
  throw malformed(
    model,
    tensor,
    `must be ${length} bytes by its shape [${tensor.dims.join(', ')}], got ${bytes.byteLength}`,
  );
}

/** Puts elements into a tensor, as `raw_data`, and takes those away that were there. */
export function setTensorBytes(tensor: TensorProto, dims: readonly number[], bytes: Uint8Array): void {
  tensor.dims = dims.map(BigInt);
  tensor.rawData = bytes;
  tensor.floatData = [];
  tensor.int32Data = [];
  tensor.int64Data = [];
  tensor.doubleData = [];
  tensor.uint64Data = [];
  tensor.stringData = [];
  tensor.externalData = [];
  clearField(tensor, TensorProtoSchema.field.dataLocation);
}

/** Whether `floatsOfTensor` has an answer: FP32, FP64, FP16 and BF16. */
export function isFloatTensor({ dataType }: TensorProto): boolean {
  return dataType === Type.FLOAT || dataType === Type.DOUBLE || dataType === Type.FLOAT16 || dataType === Type.BFLOAT16;
}

/**
 * A copy of the elements as numbers; undefined for what is no floating-point tensor.
 * @throws as `bytesOfTensor`
 */
export function floatsOfTensor(model: EditableModel, tensor: TensorProto): FloatElements | undefined {
  if (!isFloatTensor(tensor)) return undefined;
  const bytes = bytesOfTensor(model, tensor);
  // A copy lies at a multiple of the element size, which a view of a file need not; `slice` of a Buffer is a view.
  const copy = new Uint8Array(bytes).buffer;
  switch (tensor.dataType) {
    case Type.FLOAT:
      return new Float32Array(copy, 0, bytes.byteLength / 4);
    case Type.DOUBLE:
      return new Float64Array(copy, 0, bytes.byteLength / 8);
    case Type.FLOAT16:
      return Float32Array.from(new Uint16Array(copy, 0, bytes.byteLength / 2), fromHalfBits);
    default:
      return widenBrain(new Uint16Array(copy, 0, bytes.byteLength / 2));
  }
}

/** The inverse, in the tensor's own element type: FP16 and BF16 take the nearest number that they have. */
export function setTensorFloats(tensor: TensorProto, dims: readonly number[], values: FloatElements): void {
  setTensorBytes(tensor, dims, bytesOfFloats(tensor.dataType, values));
}

/** @throws Error for an element type that is no floating-point one of `isFloatTensor` */
export function bytesOfFloats(dataType: number, values: FloatElements): Uint8Array {
  const viewed = (array: Float32Array | Float64Array | Uint16Array) =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  switch (dataType) {
    case Type.FLOAT:
      return viewed(values instanceof Float32Array ? values : Float32Array.from(values));
    case Type.DOUBLE:
      return viewed(values instanceof Float64Array ? values : Float64Array.from(values));
    case Type.FLOAT16:
      return viewed(Uint16Array.from(values, toHalfBits));
    case Type.BFLOAT16:
      return viewed(narrowToBrain(Float32Array.from(values)));
    default:
      throw new Error(`element type ${dataType} holds no floating-point numbers`);
  }
}

/**
 * Elements of a tensor of whole numbers, which are indices and sizes: exact up to 2^53. Undefined for other tensors.
 * @throws as `bytesOfTensor`
 */
export function integersOfTensor(model: EditableModel, tensor: TensorProto): readonly number[] | undefined {
  const { dataType } = tensor;
  if (dataType !== Type.INT64 && dataType !== Type.INT32) return undefined;
  const bytes = bytesOfTensor(model, tensor);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = dataType === Type.INT64 ? 8 : 4;
  return Array.from({ length: bytes.byteLength / size }, (_, i) =>
    size === 8 ? Number(view.getBigInt64(i * 8, true)) : view.getInt32(i * 4, true),
  );
}

/** The inverse. */
export function setTensorIntegers(tensor: TensorProto, dims: readonly number[], values: readonly number[]): void {
  const isWide = tensor.dataType === Type.INT64;
  const bytes = new Uint8Array(values.length * (isWide ? 8 : 4));
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) =>
    isWide ? view.setBigInt64(i * 8, BigInt(value), true) : view.setInt32(i * 4, value, true),
  );
  setTensorBytes(tensor, dims, bytes);
}

function readExternal(model: EditableModel, tensor: TensorProto, length: number): Uint8Array {
  const { path: name, start } = externalRange(tensor, model.path);
  const bytes = Buffer.allocUnsafe(length);
  try {
    const file = openSync(path.join(path.dirname(model.path), name), 'r');
    try {
      for (let at = 0; at < length;) {
        // A single read takes at most 2 GiB.
        const count = readSync(file, bytes, at, Math.min(length - at, 2 ** 30), start + at);
        if (count === 0) throw new Error(`ends before byte ${start + length}`);
        at += count;
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new OnnxFileError(
      'FILE_UNREADABLE',
      model.path,
      `tensor '${tensor.name}' in '${name}': ${(error as Error).message}`,
    );
  }
  return bytes;
}

/** The typed fields of a tensor, each by the element types that `onnx.proto` puts there. */
function bytesOfFields({ dataType, floatData, int32Data, int64Data, doubleData, uint64Data }: TensorProto): Uint8Array {
  const viewed = (array: { buffer: ArrayBufferLike; byteOffset: number; byteLength: number }) =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  switch (dataType) {
    case Type.FLOAT:
    case Type.COMPLEX64:
      return viewed(Float32Array.from(floatData));
    case Type.DOUBLE:
    case Type.COMPLEX128:
      return viewed(Float64Array.from(doubleData));
    case Type.INT64:
      return viewed(BigInt64Array.from(int64Data));
    case Type.UINT64:
      return viewed(BigUint64Array.from(uint64Data));
    case Type.UINT32:
      return viewed(Uint32Array.from(uint64Data, Number));
    case Type.INT32:
      return viewed(Int32Array.from(int32Data));
    default:
      // One entry per element of 16 or 8 bits; elements below a byte are packed into entries of a byte.
      return (elementType(dataType)?.bits ?? 8) === 16
        ? viewed(Uint16Array.from(int32Data))
        : viewed(Uint8Array.from(int32Data));
  }
}

/** BF16 is the upper half of FP32. */
function widenBrain(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (half) => half * 2 ** 16).buffer);
}

/** To the nearest, ties to even; a NaN stays one. */
function narrowToBrain(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word, i) => {
    if (Number.isNaN(values[i])) return 0x7fc0;
    return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  });
}

function malformed(model: EditableModel, tensor: TensorProto, message: string): OnnxFileError {
  return new OnnxFileError('MALFORMED', model.path, `tensor '${tensor.name}' ${message}`);
}
