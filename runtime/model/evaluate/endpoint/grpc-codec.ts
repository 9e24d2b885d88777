import { bytesOf, field, message, numbers, texts, varint } from '../../../conformance/protobuf';
import { decodeTensorData, encodeTensorData, type Tensor } from '../../../onnx/tensor-encoding';
import { isDatatype } from '../../../spec/datatypes';
import type { TensorSignature } from '../../../spec/model-facts';

// Field numbers of https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto

/** A ModelInferRequest with raw contents. */
export function encodeInferRequest(model: string, version: string, inputs: readonly Tensor[]): Buffer {
  return message(
    field(1, model),
    ...(version === '' ? [] : [field(2, version)]),
    ...inputs.map(({ name, datatype, shape }) =>
      field(5, message(field(1, name), field(2, datatype), field(3, Buffer.concat(shape.map(varint))))),
    ),
    ...inputs.map(({ datatype, data }) => field(7, encodeTensorData(datatype, data))),
  );
}

/** The tensors of a ModelInferResponse with raw contents. @throws Error saying what is wrong */
export function decodeInferResponse(bytes: Uint8Array, outputs: readonly TensorSignature[]): readonly Tensor[] {
  const raw = bytesOf(bytes, 6);
  const tensors = bytesOf(bytes, 5).map((output, i): Tensor => {
    const { name, datatype, shape } = readTensor(output);
    const contents = raw[i];
    if (contents === undefined) throw new Error(`the output '${name}' has no raw contents`);
    const sizes = shape as readonly number[];
    return { name, datatype, shape: sizes, data: decodeTensorData(datatype, sizes, contents) };
  });
  return outputs.map(({ name }) => {
    const tensor = tensors.find((each) => each.name === name);
    if (tensor === undefined) throw new Error(`the answer lacks the output '${name}'`);
    return tensor;
  });
}

export function encodeMetadataRequest(model: string, version: string): Buffer {
  return message(field(1, model), ...(version === '' ? [] : [field(2, version)]));
}

/** Inputs, outputs and properties of a ModelMetadataResponse. */
export function decodeMetadata(bytes: Uint8Array): {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  readonly properties: Readonly<Record<string, string>>;
} {
  const entries = bytesOf(bytes, 6).map((entry) => [texts(entry, 1)[0] ?? '', texts(entry, 2)[0] ?? ''] as const);
  return {
    inputs: bytesOf(bytes, 4).map(readTensor),
    outputs: bytesOf(bytes, 5).map(readTensor),
    properties: Object.fromEntries(entries),
  };
}

/** Sizes below 0 are free. */
function readTensor(bytes: Uint8Array): TensorSignature {
  const [name = '', datatype = ''] = [texts(bytes, 1)[0], texts(bytes, 2)[0]];
  if (!isDatatype(datatype)) throw new Error(`the tensor '${name}' has the datatype '${datatype}', which nobody knows`);
  return { name, datatype, shape: numbers(bytes, 3).map((size) => (size < 0 ? '' : size)) };
}
