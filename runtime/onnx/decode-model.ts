import { fromBinary, ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { ModelProtoSchema, type GraphProto, type ModelProto } from './generated/onnx-ml_pb';
import { OnnxFileError } from './onnx-file-error';

/** A decoded model that is known to have a graph. Tensor bytes are views of the bytes it was decoded from. */
export type DecodedModel = ModelProto & { readonly graph: GraphProto };

const GIT_LFS_POINTER = 'version https://git-lfs.github.com/spec';
const WIRE_TYPES = new Map(
  ModelProtoSchema.fields.map((field) => [
    field.number,
    field.fieldKind === 'scalar' && field.scalar !== ScalarType.STRING ? WireType.Varint : WireType.LengthDelimited,
  ]),
);

/**
 * Decodes the bytes of an ONNX file.
 * @throws OnnxFileError NOT_ONNX, TRUNCATED or MALFORMED, with the byte where it shows.
 */
export function decodeModel(bytes: Uint8Array, file: string): DecodedModel {
  if (bytes.byteLength === 0) throw new OnnxFileError('NOT_ONNX', file, 'is empty');
  if (new TextDecoder('latin1').decode(bytes.subarray(0, GIT_LFS_POINTER.length)) === GIT_LFS_POINTER) {
    throw new OnnxFileError('NOT_ONNX', file, 'is a Git LFS pointer, not the model: fetch it with `git lfs pull`');
  }
  checkOutermostFields(bytes, file);
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw new OnnxFileError('MALFORMED', file, `cannot be decoded: ${(error as Error).message}`);
  }
  const { graph } = model;
  const cutShort = `not an ONNX model, or cut off at byte ${bytes.byteLength}`;
  if (graph === undefined) throw new OnnxFileError('NOT_ONNX', file, `holds no graph: ${cutShort}`);
  if (model.opsetImport.length === 0) throw new OnnxFileError('NOT_ONNX', file, `names no opset: ${cutShort}`);
  return Object.assign(model, { graph });
}

/**
 * Walks over the outermost fields, where a file that is no ONNX model or that was cut off shows at once and with its
 * byte offset; the decoder's own errors carry none.
 */
function checkOutermostFields(bytes: Uint8Array, file: string): void {
  const reader = new BinaryReader(bytes);
  // A later ONNX may have fields that we do not know: they are let pass, unless the file turns out broken as well.
  let allKnown = true;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const field = skipField(reader);
    allKnown &&= field !== 'invalid' && field.isKnown;
    if (field === 'invalid' || (field.end > reader.len && !allKnown)) {
      throw new OnnxFileError('NOT_ONNX', file, `is not an ONNX model: no field of one begins at byte ${start}`);
    }
    if (field.end > reader.len) {
      const needed = Number.isFinite(field.end) ? `needs ${field.end} bytes` : 'goes on';
      throw new OnnxFileError(
        'TRUNCATED',
        file,
        `is cut off: the field at byte ${start} ${needed}, the file ends at byte ${bytes.byteLength}`,
      );
    }
  }
}

/** Moves past one field. Its end may lie past the end of the bytes; infinity when not even its length is there. */
function skipField(reader: BinaryReader): { isKnown: boolean; end: number } | 'invalid' {
  let isKnown = true;
  try {
    const [number, wireType] = reader.tag();
    const expected = WIRE_TYPES.get(number);
    if (expected !== undefined && expected !== wireType) return 'invalid';
    isKnown = expected !== undefined;
    if (wireType === WireType.LengthDelimited) {
      const length = reader.uint32();
      reader.pos += length;
    } else {
      reader.skip(wireType, number);
    }
    return { isKnown, end: reader.pos };
  } catch (error) {
    return error instanceof RangeError ? { isKnown, end: Infinity } : 'invalid';
  }
}
