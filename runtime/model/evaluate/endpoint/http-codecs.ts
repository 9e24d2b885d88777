import { parseJsonText } from '../../../onnx/json-text';
import { shapeOfNested, writeNested, writeNestedRow, type WriteElements } from '../../../onnx/nested-json';
import { showJson } from '../../../onnx/show-json';
import { decodeTensorData, encodeTensorData, type Tensor } from '../../../onnx/tensor-encoding';
import { tensorDataFromJson } from '../../../onnx/tensor-json';
import { writeElements } from '../../../onnx/write-tensor-json';
import { isDatatype } from '../../../spec/datatypes';
import type { TensorSignature } from '../../../spec/model-facts';

/** A body, and what must be said of it. */
export interface HttpBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface HttpReply {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** How tensors travel in one protocol over HTTP. Decoding throws an Error that says what is wrong. */
export interface HttpCodec {
  encode(inputs: readonly Tensor[]): HttpBody;
  decode(reply: HttpReply, outputs: readonly TensorSignature[]): readonly Tensor[];
}

const LENGTH_HEADER = 'Inference-Header-Content-Length';
const JSON_HEADERS = { 'Content-Type': 'application/json', Accept: 'application/json' };

/** The Open Inference Protocol's JSON. */
export const openInferenceJson: HttpCodec = {
  encode: (inputs) => {
    const tensors = inputs.map((input) => `{${head(input)},"data":[${writeElements(input)}]}`);
    return { headers: JSON_HEADERS, body: Buffer.from(`{"inputs":[${tensors.join(',')}]}`) };
  },
  decode: ({ body }, outputs) => decodeOpenInference(parseObject(body), undefined, outputs),
};

/** The same with tensors as bytes behind the JSON. */
export const openInferenceBinary: HttpCodec = {
  encode: (inputs) => {
    const parts = inputs.map(({ datatype, data }) => encodeTensorData(datatype, data));
    const tensors = inputs.map(
      (input, i) => `{${head(input)},"parameters":{"binary_data_size":${parts[i]!.byteLength}}}`,
    );
    const json = Buffer.from(`{"inputs":[${tensors.join(',')}],"parameters":{"binary_data_output":true}}`);
    return {
      headers: { 'Content-Type': 'application/octet-stream', [LENGTH_HEADER]: String(json.byteLength) },
      body: Buffer.concat([json, ...parts]),
    };
  },
  decode: ({ headers, body }, outputs) => {
    const length = Number(headers[LENGTH_HEADER.toLowerCase()] ?? body.byteLength);
    return decodeOpenInference(parseObject(body.subarray(0, length)), body.subarray(length), outputs);
  },
};

/** TensorFlow Serving's columns: whole tensors. */
export const tensorflowColumns: HttpCodec = {
  encode: (inputs) => {
    const fields = inputs.map((input) => `${JSON.stringify(input.name)}:${writeNested(input, writerOf(input))}`);
    return { headers: JSON_HEADERS, body: Buffer.from(`{"inputs":{${fields.join(',')}}}`) };
  },
  decode: ({ body }, outputs) => {
    const { outputs: given } = parseObject(body);
    return outputs.map((output) => readNested(outputs.length === 1 ? given : fieldOf(given, output.name), output));
  },
};

/** Rows in `instances`, rows in `predictions`: KServe V1, TensorFlow Serving, Vertex AI, SageMaker, `/predict`. */
export const predictionRows: HttpCodec = {
  encode: (inputs) => {
    const rows = Array.from({ length: inputs[0]?.shape[0] ?? 0 }, (_, row) => {
      const values = inputs.map((input) => writeNestedRow(input, row, writerOf(input)));
      if (values.length === 1) return values[0]!;
      return `{${values.map((value, i) => `${JSON.stringify(inputs[i]!.name)}:${value}`).join(',')}}`;
    });
    return { headers: JSON_HEADERS, body: Buffer.from(`{"instances":[${rows.join(',')}]}`) };
  },
  decode: ({ body }, outputs) => {
    const { predictions } = parseObject(body);
    if (!Array.isArray(predictions))
      throw new Error(`the answer has no list of predictions, got ${showJson(predictions)}`);
    return outputs.map((output) => {
      const rows = outputs.length === 1 ? predictions : predictions.map((row: unknown) => fieldOf(row, output.name));
      return readNested(rows, output);
    });
  },
};

function head({ name, datatype, shape }: Tensor): string {
  return `"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}]`;
}

const writerOf = ({ datatype }: Tensor): WriteElements =>
  datatype === 'BYTES'
    ? ({ data }) =>
        (data as readonly string[]).map((text) => `{"b64":"${Buffer.from(text).toString('base64')}"}`).join(',')
    : writeElements;

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const json = parseJsonText(Buffer.from(bytes).toString('utf8'));
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new Error(`the answer must be an object, got ${showJson(json)}`);
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, name))
    return (value as Record<string, unknown>)[name];
  throw new Error(`the answer lacks the output '${name}'`);
}

function readNested(given: unknown, { name, datatype }: TensorSignature): Tensor {
  const shape = shapeOfNested(given);
  const values = datatype === 'BYTES' ? textOf(given) : given;
  return { name, datatype, shape, data: tensorDataFromJson(datatype, shape, shape.length === 0 ? [values] : values) };
}

/** Text comes as it is, or as `{"b64": …}`. */
function textOf(given: unknown): unknown {
  if (Array.isArray(given)) return given.map(textOf);
  const base64 = typeof given === 'object' && given !== null ? (given as { b64?: unknown }).b64 : undefined;
  return typeof base64 === 'string' ? Buffer.from(base64, 'base64').toString('utf8') : given;
}

interface GivenOutput {
  readonly name?: unknown;
  readonly datatype?: unknown;
  readonly shape?: unknown;
  readonly data?: unknown;
  readonly parameters?: { readonly binary_data_size?: unknown };
}

function decodeOpenInference(
  { outputs: given }: Readonly<Record<string, unknown>>,
  binary: Buffer | undefined,
  outputs: readonly TensorSignature[],
): readonly Tensor[] {
  if (!Array.isArray(given)) throw new Error(`the answer has no list of outputs, got ${showJson(given)}`);
  let at = 0;
  const tensors = new Map<unknown, Tensor>();
  for (const { name, datatype, shape, data, parameters } of given as readonly GivenOutput[]) {
    const isShape = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
    if (typeof name !== 'string' || !isDatatype(datatype) || !isShape) {
      throw new Error(`each output must have a name, a datatype and a shape, got ${showJson(name)}`);
    }
    const sizes = shape as number[];
    const bytes = parameters?.binary_data_size;
    const elements =
      typeof bytes === 'number' && binary !== undefined
        ? decodeTensorData(datatype, sizes, binary.subarray(at, (at += bytes)))
        : tensorDataFromJson(datatype, sizes, data);
    tensors.set(name, { name, datatype, shape: sizes, data: elements });
  }
  return outputs.map(({ name }) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`the answer lacks the output '${name}'`);
    return tensor;
  });
}
