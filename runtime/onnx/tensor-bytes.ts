import { elementType } from './element-types';
import { TensorProto_DataLocation, type TensorProto } from './generated/onnx-ml_pb';
import { OnnxFileError } from './onnx-file-error';

/**
 * Bytes that a tensor's elements take in memory, from its shape and element type, whichever field or file holds them.
 * Elements below a byte are packed: five INT4 take three bytes.
 * @param storedBytes how many the tensor itself holds, where it was read without them
 * @throws OnnxFileError MALFORMED when shape, type and stored bytes contradict each other.
 */
export function tensorBytes(tensor: TensorProto, file: string, storedBytes = tensor.rawData.byteLength): number {
  const type = elementType(tensor.dataType);
  const malformed = (message: string) => new OnnxFileError('MALFORMED', file, `tensor '${tensor.name}' ${message}`);
  if (type === undefined) throw malformed(`has element type ${tensor.dataType}, which ONNX does not define`);
  if (type.bits === undefined) return tensor.stringData.reduce((sum, element) => sum + element.byteLength, 0);
  if (tensor.dims.some((size) => size < 0n))
    throw malformed(`has a negative size in its shape [${tensor.dims.join(', ')}]`);

  const elements = tensor.dims.reduce((count, size) => count * size, 1n);
  const bytes = (elements * BigInt(type.bits) + 7n) / 8n;
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(`has the impossible shape [${tensor.dims.join(', ')}]`);
  if (!isExternal(tensor) && storedBytes > 0 && BigInt(storedBytes) !== bytes) {
    throw malformed(`must be ${bytes} bytes, ${type.name} of shape [${tensor.dims.join(', ')}], got ${storedBytes}`);
  }
  return Number(bytes);
}

/** True when the elements lie in another file. */
export function isExternal(tensor: TensorProto): boolean {
  return tensor.dataLocation === TensorProto_DataLocation.EXTERNAL;
}
