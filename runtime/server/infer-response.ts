import { fromHalfBits } from '../onnx/half-float';
import { encodeTensorData, type Tensor, type TensorData } from '../onnx/tensor-encoding';
import type { InferRequest } from './infer-request';

/** A whole answer: the JSON, then the binary tensors in the order of the JSON's outputs. */
export interface InferResponse {
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: readonly Uint8Array[];
}

/** Writes an Open Inference Protocol answer with the outputs that the request names, each in the encoding it asks for. */
export function encodeInferResponse(
  model: { readonly name: string; readonly version: number },
  request: InferRequest,
  outputs: readonly Tensor[],
): InferResponse {
  const binary: Uint8Array[] = [];
  const entries = request.outputs.map(({ name, isBinary }) => {
    const { datatype, shape, data } = outputs.find((output) => output.name === name)!;
    const head = `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}]`;
    if (!isBinary) return `${head},"data":[${elementsToJson(datatype, data)}]}`;
    const bytes = encodeTensorData(datatype, data);
    binary.push(bytes);
    return `${head},"parameters":{"binary_data_size":${bytes.byteLength}}}`;
  });
  const id = request.id === undefined ? '' : `,"id":${JSON.stringify(request.id)}`;
  const json = Buffer.from(
    `{"model_name":${JSON.stringify(model.name)},"model_version":"${model.version}"${id},"outputs":[${entries.join(',')}]}`,
  );
  const isBinary = request.outputs.some((output) => output.isBinary);
  const length = binary.reduce((sum, { byteLength }) => sum + byteLength, json.byteLength);
  return {
    headers: {
      'Content-Type': isBinary ? 'application/octet-stream' : 'application/json',
      'Content-Length': String(length),
      ...(isBinary ? { 'Inference-Header-Content-Length': String(json.byteLength) } : {}),
    },
    parts: [json, ...binary],
  };
}

// `join` writes NaN, Infinity and -Infinity as these tokens, as Triton does; JSON.stringify would write null and falsify
// the answer. It is also three times faster.
function elementsToJson(datatype: Tensor['datatype'], data: TensorData): string {
  if (datatype === 'BYTES') return Array.from(data as readonly string[], (text) => JSON.stringify(text)).join(',');
  if (datatype === 'BOOL') return Array.from(data as Uint8Array, (bit) => (bit === 0 ? 'false' : 'true')).join(',');
  if (datatype === 'FP16') return Array.from(data as Uint16Array, fromHalfBits).join(',');
  return data.join(',');
}
