import { withoutNumberLists } from '../onnx/json-numbers';
import { decodeTensorData, type Tensor, type TensorData } from '../onnx/tensor-encoding';
import { tensorDataFromJson } from '../onnx/tensor-json';
import type { Preprocessor } from '../preprocess/preprocessor';
import { ELEMENT_BYTES } from '../spec/datatypes';
import type { TensorSignature } from '../spec/model-facts';
import { textOfBase64 } from './base64-text';
import { checkInput, countRows, findInput, findOutput, inModelOrder, readInput, showShape } from './check-inputs';
import { isJsonObject, malformed, parseJsonObject, showGiven, type Json } from './json-body';
import { readRequestParameters, type RequestParameters } from './request-parameters';
import { ServerError } from './errors';

/** What a request is checked against. */
export interface InferTarget {
  readonly name: string;
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** Most rows of one request; undefined when dimension 0 is not a number of rows. */
  readonly maxRows: number | undefined;
  /** Names of classes, by output. @default - none */
  readonly labels?: ReadonlyMap<string, readonly string[]>;
  /** Makes the inputs of what users have: pictures, text, records. @default - clients send tensors */
  readonly preprocessor?: Preprocessor;
}

export interface RequestedOutput {
  readonly name: string;
  readonly isBinary: boolean;
  /** So many of the greatest elements, as Triton's classification extension has them. @default - the output itself */
  readonly classes?: number;
}

/** A request that fits the model: inputs in the model's order, outputs in the client's. */
export interface InferRequest {
  readonly id?: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly RequestedOutput[];
  readonly rows: number;
  readonly parameters: RequestParameters;
}

/**
 * Reads an Open Inference Protocol request, as JSON or with the binary tensor extension, and checks it against the model.
 * @param headerLength `Inference-Header-Content-Length`: bytes of JSON at the beginning of the body; undefined when all
 * of it is JSON, 0 for a body that is the only input's tensor.
 * @throws ServerError MALFORMED_REQUEST, INPUT_INVALID or OUTPUT_UNKNOWN with what was expected and what came.
 */
export function parseInferRequest(
  body: Uint8Array,
  headerLength: number | undefined,
  target: InferTarget,
): InferRequest {
  if (headerLength !== undefined && headerLength > body.byteLength) {
    throw malformed(`inference header size should be in range (0, ${body.byteLength}), got: ${headerLength}`);
  }
  if (headerLength === 0) return parseRawRequest(body, target);
  const request = parseJsonObject(headerLength === undefined ? body : body.subarray(0, headerLength));
  return readInferRequest(request, headerLength === undefined ? undefined : body.subarray(headerLength), target);
}

/** As `parseInferRequest`, from JSON that has been read already and the binary tensors behind it. */
export function readInferRequest(request: Json, binary: Uint8Array | undefined, target: InferTarget): InferRequest {
  const parameters = readRequestParameters(Object.entries(parametersOf(request, 'the request')));
  const id = request['id'] ?? undefined;
  if (id !== undefined && typeof id !== 'string') throw malformed(`id must be a string, got ${showGiven(id)}`);
  const inputs = readInputs(request, binary, target);
  return {
    ...(id === undefined ? {} : { id }),
    inputs,
    rows: countRows(inputs, target),
    outputs: readOutputs(request, parameters.binaryOutputs, target),
    parameters,
  };
}

function readInputs(request: Json, binary: Uint8Array | undefined, target: InferTarget): readonly Tensor[] {
  // A model whose graph is all constants has no inputs to give.
  const entries = request['inputs'] ?? (target.inputs.length === 0 ? [] : undefined);
  if (!Array.isArray(entries) || (entries.length === 0 && target.inputs.length > 0)) {
    throw malformed(`inputs must be a list of at least one tensor, got ${showGiven(entries)}`);
  }
  const given = new Map<string, Tensor>();
  let binaryOffset = 0;
  for (const [i, entry] of (entries as unknown[]).entries()) {
    if (!isJsonObject(entry)) throw malformed(`inputs[${i}] must be an object, got ${showGiven(entry)}`);
    const { name } = entry;
    if (typeof name !== 'string') throw malformed(`inputs[${i}].name must be a string, got ${showGiven(name)}`);
    const signature = findInput(name, target);
    if (given.has(name)) throw new ServerError('INPUT_INVALID', `input '${name}' is given twice`);
    const shape = checkInput(
      { datatype: entry['datatype'], shape: withoutNumberLists(entry['shape']) },
      signature,
      target,
    );
    const parameters = parametersOf(entry, `input '${name}'`);
    const size = binarySize(entry, parameters, name);
    if (size === undefined) {
      given.set(
        name,
        readInput(signature, shape, () => readJsonData(signature, shape, parameters, entry['data'])),
      );
      continue;
    }
    // KServe's client sends an empty tensor so, in a request that is JSON alone.
    const bytes = binary ?? (size === 0 ? new Uint8Array() : undefined);
    if (bytes === undefined) {
      throw malformed(
        `input '${name}' has binary_data_size, but the request has no header Inference-Header-Content-Length`,
      );
    }
    const rest = bytes.byteLength - binaryOffset;
    if (size > rest) {
      throw malformed(`input '${name}' has binary_data_size ${size}, but the body has only ${rest} bytes left`);
    }
    const tensor = bytes.subarray(binaryOffset, binaryOffset + size);
    given.set(
      name,
      readInput(signature, shape, () => decodeTensorData(signature.datatype, shape, tensor)),
    );
    binaryOffset += size;
  }
  const unread = (binary?.byteLength ?? 0) - binaryOffset;
  if (unread > 0) throw malformed(`the body has ${unread} bytes behind the last binary tensor`);
  return inModelOrder(given, target);
}

function readJsonData(
  { datatype }: TensorSignature,
  shape: readonly number[],
  parameters: Json,
  json: unknown,
): TensorData {
  const data = tensorDataFromJson(datatype, shape, json);
  if (datatype !== 'BYTES' || parameters['content_type'] !== 'base64') return data;
  return (data as readonly string[]).map(textOfBase64);
}

function binarySize(entry: Json, parameters: Json, name: string): number | undefined {
  const size = parameters['binary_data_size'];
  const data = entry['data'] ?? undefined;
  if (size === undefined) {
    if (entry['data'] === undefined)
      throw malformed(`input '${name}' needs data, or binary_data_size in its parameters`);
    return undefined;
  }
  if (!Number.isSafeInteger(size) || (size as number) < 0) {
    throw malformed(`binary_data_size of input '${name}' must be a whole number from 0 up, got ${showGiven(size)}`);
  }
  if (data !== undefined) throw malformed(`input '${name}' must have either data or binary_data_size, got both`);
  return size as number;
}

function readOutputs(request: Json, isBinaryByDefault: boolean, target: InferTarget): readonly RequestedOutput[] {
  const entries = request['outputs'] ?? undefined;
  if (entries === undefined || (Array.isArray(entries) && entries.length === 0)) {
    return target.outputs.map(({ name }) => ({ name, isBinary: isBinaryByDefault }));
  }
  if (!Array.isArray(entries)) throw malformed(`outputs must be a list, got ${showGiven(entries)}`);
  const names = new Set<string>();
  return (entries as unknown[]).map((entry, i) => {
    if (!isJsonObject(entry) || typeof entry['name'] !== 'string') {
      throw malformed(`outputs[${i}] must be an object with a name, got ${showGiven(entry)}`);
    }
    const { name } = entry as { name: string };
    const { datatype } = findOutput(name, target);
    if (names.has(name)) throw malformed(`output '${name}' is requested twice`);
    names.add(name);
    const parameters = parametersOf(entry, `output '${name}'`);
    const classes = countClasses(parameters['classification'], name, datatype);
    const isBinary = flag(parameters, 'binary_data', `output '${name}'`) ?? isBinaryByDefault;
    return { name, isBinary, ...(classes === undefined ? {} : { classes }) };
  });
}

/** The `classification` of a requested output: 0, as in Triton, asks for the output itself. */
export function countClasses(value: unknown, name: string, datatype: TensorSignature['datatype']): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw malformed(`classification of output '${name}' must be a whole number from 0 up, got ${showGiven(value)}`);
  }
  if (datatype === 'BYTES') throw malformed(`output '${name}' holds text: classification needs numbers`);
  return value as number;
}

/** A body that is one tensor and nothing else: the model must have one input, and its length must tell the shape. */
function parseRawRequest(body: Uint8Array, target: InferTarget): InferRequest {
  const [signature, another] = target.inputs;
  if (signature === undefined || another !== undefined) {
    throw malformed(
      `a raw binary request needs a model with one input, model '${target.name}' has ${target.inputs.length}`,
    );
  }
  const shape = rawShape(body, signature, target);
  const input = readInput(signature, shape, () => decodeTensorData(signature.datatype, shape, body));
  return {
    inputs: [input],
    rows: countRows([input], target),
    outputs: target.outputs.map(({ name }) => ({ name, isBinary: true })),
    parameters: { binaryOutputs: true },
  };
}

function rawShape(body: Uint8Array, signature: TensorSignature, target: InferTarget): readonly number[] {
  // One row for a model that takes rows: only the other dimensions are read off the length.
  const shape = target.maxRows === undefined ? signature.shape : [1, ...signature.shape.slice(1)];
  const free = shape.filter((size) => typeof size === 'string').length;
  if (free > 1) {
    throw malformed(
      `a raw binary request needs an input with at most one free dimension, input '${signature.name}' is ${showShape(signature.shape)}`,
    );
  }
  const elementBytes = ELEMENT_BYTES[signature.datatype];
  const fixed = shape.reduce<number>((count, size) => (typeof size === 'string' ? count : count * size), 1);
  // The length of BYTES tells nothing: a raw request carries exactly one element.
  const elements = elementBytes === undefined ? 1 : body.byteLength / elementBytes;
  return shape.map((size) => (typeof size === 'string' ? Math.floor(elements / Math.max(1, fixed)) : size));
}

function parametersOf(entry: Json, of: string): Json {
  const parameters = entry['parameters'] ?? undefined;
  if (parameters === undefined) return {};
  if (!isJsonObject(parameters)) throw malformed(`parameters of ${of} must be an object, got ${showGiven(parameters)}`);
  return parameters;
}

function flag(parameters: Json, name: string, of: string): boolean | undefined {
  const value = parameters[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw malformed(`${name} of ${of} must be true or false, got ${showGiven(value)}`);
}
