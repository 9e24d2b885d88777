import { parseJsonText } from '../onnx/json-text';
import { showJson } from '../onnx/show-json';
import { decodeTensorData, type Tensor } from '../onnx/tensor-encoding';
import { tensorDataFromJson } from '../onnx/tensor-json';
import { ELEMENT_BYTES } from '../spec/datatypes';
import type { TensorSignature } from '../spec/model-facts';
import { checkInput, countRows, findInput, findOutput, inModelOrder, readInput, showShape } from './check-inputs';
import { ServerError } from './errors';

/** What a request is checked against. */
export interface InferTarget {
  readonly name: string;
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** Most rows of one request; undefined when dimension 0 is not a number of rows. */
  readonly maxRows: number | undefined;
}

export interface RequestedOutput {
  readonly name: string;
  readonly isBinary: boolean;
}

/** A request that fits the model: inputs in the model's order, outputs in the client's. */
export interface InferRequest {
  readonly id?: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly RequestedOutput[];
  readonly rows: number;
}

type Json = Readonly<Record<string, unknown>>;

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
  const request = parseJson(body.subarray(0, headerLength));
  const parameters = parametersOf(request, 'the request');
  const id = request['id'];
  if (id !== undefined && typeof id !== 'string') throw malformed(`id must be a string, got ${showJson(id)}`);
  const inputs = readInputs(request, headerLength === undefined ? undefined : body.subarray(headerLength), target);
  return {
    ...(id === undefined ? {} : { id }),
    inputs,
    rows: countRows(inputs, target),
    outputs: readOutputs(request, flag(parameters, 'binary_data_output', 'the request') ?? false, target),
  };
}

function parseJson(bytes: Uint8Array): Json {
  let value: unknown;
  try {
    value = parseJsonText(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'not UTF-8';
    throw malformed(`the request must be JSON: ${reason}`);
  }
  if (!isObject(value)) throw malformed(`the request must be a JSON object, got ${showJson(value)}`);
  return value;
}

function readInputs(request: Json, binary: Uint8Array | undefined, target: InferTarget): readonly Tensor[] {
  const entries = request['inputs'];
  if (!Array.isArray(entries) || entries.length === 0) {
    throw malformed(`inputs must be a list of at least one tensor, got ${showJson(entries)}`);
  }
  const given = new Map<string, Tensor>();
  let binaryOffset = 0;
  for (const [i, entry] of (entries as unknown[]).entries()) {
    if (!isObject(entry)) throw malformed(`inputs[${i}] must be an object, got ${showJson(entry)}`);
    const { name } = entry;
    if (typeof name !== 'string') throw malformed(`inputs[${i}].name must be a string, got ${showJson(name)}`);
    const signature = findInput(name, target);
    if (given.has(name)) throw invalid(`input '${name}' is given twice`);
    const shape = checkInput(entry, signature, target);
    const size = binarySize(entry, name);
    if (size === undefined) {
      given.set(
        name,
        readInput(signature, shape, () => tensorDataFromJson(signature.datatype, shape, entry['data'])),
      );
      continue;
    }
    if (binary === undefined) {
      throw malformed(
        `input '${name}' has binary_data_size, but the request has no header Inference-Header-Content-Length`,
      );
    }
    const rest = binary.byteLength - binaryOffset;
    if (size > rest)
      throw malformed(`input '${name}' has binary_data_size ${size}, but the body has only ${rest} bytes left`);
    const bytes = binary.subarray(binaryOffset, binaryOffset + size);
    given.set(
      name,
      readInput(signature, shape, () => decodeTensorData(signature.datatype, shape, bytes)),
    );
    binaryOffset += size;
  }
  const unread = (binary?.byteLength ?? 0) - binaryOffset;
  if (unread > 0) throw malformed(`the body has ${unread} bytes behind the last binary tensor`);
  return inModelOrder(given, target);
}

function binarySize(entry: Json, name: string): number | undefined {
  const size = parametersOf(entry, `input '${name}'`)['binary_data_size'];
  if (size === undefined) {
    if (entry['data'] === undefined)
      throw malformed(`input '${name}' needs data, or binary_data_size in its parameters`);
    return undefined;
  }
  if (!Number.isSafeInteger(size) || (size as number) < 0) {
    throw malformed(`binary_data_size of input '${name}' must be a whole number from 0 up, got ${showJson(size)}`);
  }
  if (entry['data'] !== undefined)
    throw malformed(`input '${name}' must have either data or binary_data_size, got both`);
  return size as number;
}

function readOutputs(request: Json, isBinaryByDefault: boolean, target: InferTarget): readonly RequestedOutput[] {
  const entries = request['outputs'];
  if (entries === undefined || (Array.isArray(entries) && entries.length === 0)) {
    return target.outputs.map(({ name }) => ({ name, isBinary: isBinaryByDefault }));
  }
  if (!Array.isArray(entries)) throw malformed(`outputs must be a list, got ${showJson(entries)}`);
  const names = new Set<string>();
  return (entries as unknown[]).map((entry, i) => {
    if (!isObject(entry) || typeof entry['name'] !== 'string') {
      throw malformed(`outputs[${i}] must be an object with a name, got ${showJson(entry)}`);
    }
    const { name } = entry as { name: string };
    findOutput(name, target);
    if (names.has(name)) throw malformed(`output '${name}' is requested twice`);
    names.add(name);
    const parameters = parametersOf(entry, `output '${name}'`);
    if (parameters['classification'] !== undefined) {
      throw malformed(`output '${name}' asks for classification, which this server does not have`);
    }
    return { name, isBinary: flag(parameters, 'binary_data', `output '${name}'`) ?? isBinaryByDefault };
  });
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
  const parameters = entry['parameters'];
  if (parameters === undefined) return {};
  if (!isObject(parameters)) throw malformed(`parameters of ${of} must be an object, got ${showJson(parameters)}`);
  return parameters;
}

function flag(parameters: Json, name: string, of: string): boolean | undefined {
  const value = parameters[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw malformed(`${name} of ${of} must be true or false, got ${showJson(value)}`);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(message: string): ServerError {
  return new ServerError('MALFORMED_REQUEST', message);
}

function invalid(message: string): ServerError {
  return new ServerError('INPUT_INVALID', message);
}
