import { createHash } from 'node:crypto';
import { encodeTensorData, type Tensor } from '../onnx/tensor-encoding';

/** The same for two requests if and only if their inputs are: names, datatypes, shapes and every bit. */
export function digestInputs(inputs: readonly Tensor[]): string {
  const hash = createHash('sha256');
  for (const { name, datatype, shape, data } of inputs) {
    // As JSON, no name runs into what follows it.
    hash.update(JSON.stringify([name, datatype, shape]));
    hash.update(encodeTensorData(datatype, data));
  }
  return hash.digest('base64');
}
