import { showJson } from '../onnx/show-json';
import { TensorEncodingError } from '../onnx/tensor-encoding';

/**
 * Text whose UTF-8 came as base64, an element of a BYTES tensor.
 * @throws TensorEncodingError when it is no base64, or not of text, naming the element.
 */
export function textOfBase64(base64: string, i: number): string {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(base64)) {
    throw new TensorEncodingError(`BYTES element ${i} must be base64, got ${showJson(base64)}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(base64, 'base64'));
  } catch {
    throw new TensorEncodingError(`BYTES element ${i} must be UTF-8 text in base64, which ONNX strings are`);
  }
}
