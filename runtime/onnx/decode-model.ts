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
 * Decodes the bytes of an ONNX file, or its skeleton.
 * @param fileBytes how long the file is, where `bytes` are less than all of it
 * @param keepUnknownFields for those who write the model again: fields of a later ONNX stay in it
 * @throws OnnxFileError NOT_ONNX, TRUNCATED or MALFORMED, with the byte where it shows.
 */
export function decodeModel(
  bytes: Uint8Array,
  file: string,
  fileBytes = bytes.byteLength,
  { keepUnknownFields = false }: { readonly keepUnknownFields?: boolean } = {},
): DecodedModel {
  checkOutermostFields((start, end) => bytes.subarray(start, end), bytes.byteLength, file);
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: keepUnknownFields });
  } catch (error) {
    throw new OnnxFileError('MALFORMED', file, `cannot be decoded: ${(error as Error).message}`);
  }
  const { graph } = model;
  const cutShort = `not an ONNX model, or cut off at byte ${fileBytes}`;
  if (graph === undefined) throw new OnnxFileError('NOT_ONNX', file, `holds no graph: ${cutShort}`);
  if (model.opsetImport.length === 0) throw new OnnxFileError('NOT_ONNX', file, `names no opset: ${cutShort}`);
  return Object.assign(model, { graph });
}

/** A tag and a length, or a tag and a number. */
const MAX_HEAD_BYTES = 20;

/**
 * Walks over the outermost fields, where a file that is no ONNX model or that was cut off shows at once and with its
 * byte offset; the decoder's own errors carry none.
 */
export function checkOutermostFields(
  read: (start: number, end: number) => Uint8Array,
  length: number,
  file: string,
): void {
  if (length === 0) throw new OnnxFileError('NOT_ONNX', file, 'is empty');
  const beginning = read(0, Math.min(length, GIT_LFS_POINTER.length));
  if (new TextDecoder('latin1').decode(beginning) === GIT_LFS_POINTER) {
    throw new OnnxFileError('NOT_ONNX', file, 'is a Git LFS pointer, not the model: fetch it with `git lfs pull`');
  }
  // A later ONNX may have fields that we do not know: they are let pass, unless the file turns out broken as well.
  let allKnown = true;
  for (let start = 0, end = 0; start < length; start = end) {
    const field = skipField(read(start, Math.min(length, start + MAX_HEAD_BYTES)));
    allKnown &&= field !== 'invalid' && field.isKnown;
    end = field === 'invalid' ? Infinity : start + field.bytes;
    if (field === 'invalid' || (end > length && !allKnown)) {
      throw new OnnxFileError('NOT_ONNX', file, `is not an ONNX model: no field of one begins at byte ${start}`);
    }
    if (end > length) {
      const needed = Number.isFinite(end) ? `needs ${end} bytes` : 'goes on';
      throw new OnnxFileError(
        'TRUNCATED',
        file,
        `is cut off: the field at byte ${start} ${needed}, the file ends at byte ${length}`,
      );
    }
  }
}

/** How long a field is, by the bytes that it begins with: it may end past the end of the file; infinity when not even its length is there. */
function skipField(head: Uint8Array): { isKnown: boolean; bytes: number } | 'invalid' {
  const reader = new BinaryReader(head);
  let isKnown = true;
  try {
    const [number, wireType] = reader.tag();
    const expected = WIRE_TYPES.get(number);
    if (expected !== undefined && expected !== wireType) return 'invalid';
    isKnown = expected !== undefined;
    if (wireType === WireType.LengthDelimited) {
      const length = reader.uint32();
      return { isKnown, bytes: reader.pos + length };
    }
    reader.skip(wireType, number);
    return { isKnown, bytes: reader.pos };
  } catch (error) {
    return error instanceof RangeError ? { isKnown, bytes: Infinity } : 'invalid';
  }
}
