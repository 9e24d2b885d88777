import { encodeTensorData, type Tensor } from '../onnx/tensor-encoding';
import { writeElements } from '../onnx/write-tensor-json';
import { classify } from './classification';
import type { EncodedAnswer, ModelIdentity } from './codec';
import type { InferRequest, InferTarget } from './infer-request';

/** Writes an Open Inference Protocol answer with the outputs that the request names, each in the encoding it asks for. */
export function encodeInferResponse(
  model: ModelIdentity,
  request: Pick<InferRequest, 'id' | 'outputs'>,
  outputs: readonly Tensor[],
  target: Pick<InferTarget, 'maxRows' | 'labels'>,
): EncodedAnswer {
  const binary: Uint8Array[] = [];
  const entries = request.outputs.map(({ name, isBinary, classes }) => {
    const output = outputs.find((candidate) => candidate.name === name)!;
    const hasRows = target.maxRows !== undefined;
    const labels = target.labels?.get(name);
    const tensor = classes === undefined ? output : classify(output, { count: classes, hasRows, labels });
    const { datatype, shape, data } = tensor;
    const head = `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}]`;
    if (!isBinary) return `${head},"data":[${writeElements(tensor)}]}`;
    const bytes = encodeTensorData(datatype, data);
    binary.push(bytes);
    return `${head},"parameters":{"binary_data_size":${bytes.byteLength}}}`;
  });
  const id = request.id === undefined ? '' : `,"id":${JSON.stringify(request.id)}`;
  const json = `{"model_name":${JSON.stringify(model.name)},"model_version":"${model.version}"${id},"outputs":[${entries.join(',')}]}`;
  const jsonLength = Buffer.byteLength(json);
  if (!request.outputs.some((output) => output.isBinary)) {
    // As text: it leaves in one piece with the headers.
    return { headers: { 'Content-Type': 'application/json', 'Content-Length': String(jsonLength) }, parts: [json] };
  }
  let length = jsonLength;
  for (const { byteLength } of binary) length += byteLength;
  return {
    headers: {
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(length),
      'Inference-Header-Content-Length': String(jsonLength),
    },
    parts: [json, ...binary],
  };
}
