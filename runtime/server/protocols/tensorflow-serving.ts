import { NumberList } from '../../onnx/json-numbers';
import { showJson } from '../../onnx/show-json';
import type { Tensor } from '../../onnx/tensor-encoding';
import { countRows } from '../check-inputs';
import type { Codec, DecodedRequest, EncodedAnswer } from '../codec';
import { ServerError } from '../errors';
import type { InferTarget } from '../infer-request';
import { isJsonObject, malformed, parseJsonObject, showGiven, type Json } from '../json-body';
import { tensorFromJson } from './json-tensor';
import { writeNested, writeNestedRow, writeTypedElements } from '../../onnx/nested-json';

/** What a model of ONNX calls its one signature here. */
export const SIGNATURE_NAME = 'serving_default';

/**
 * The predict call of TensorFlow Serving's REST interface: rows in `instances` or columns in `inputs`. KServe's V1
 * protocol is its rows.
 */
export const tensorflowServingCodec: Codec = {
  protocol: 'tensorflow',
  decode: (body, target) => decodePredictRequest(parseJsonObject(body), target),
};

/** @throws ServerError MALFORMED_REQUEST, INPUT_INVALID */
export function decodePredictRequest(request: Json, target: InferTarget): DecodedRequest {
  assertSignature(request['signature_name']);
  const { instances, inputs: columns } = request;
  if ((instances === undefined) === (columns === undefined)) {
    const got = instances === undefined ? 'neither' : 'both';
    throw malformed(`a predict request must have either 'instances' or 'inputs', got ${got}`);
  }
  const byName = columns === undefined ? readRows(instances, target) : readColumns(columns, target);
  const inputs = target.inputs.map((signature) => tensorFromJson(signature, byName.get(signature.name), target));
  return {
    inputs,
    rows: countRows(inputs, target),
    encode: (_, outputs) => (columns === undefined ? encodeRows(outputs) : encodeColumns(outputs)),
  };
}

function assertSignature(name: unknown): void {
  if (name === undefined || name === null || name === '' || name === SIGNATURE_NAME) return;
  throw malformed(
    `Serving signature name: ${showGiven(name)} not found in signature def; an ONNX model has '${SIGNATURE_NAME}' only`,
  );
}

type JsonByInput = ReadonlyMap<string, unknown>;

function readRows(instances: unknown, { inputs }: InferTarget): JsonByInput {
  const [input] = inputs;
  if (instances instanceof NumberList && inputs.length === 1) return new Map([[input!.name, instances]]);
  if (!Array.isArray(instances) || instances.length === 0) {
    if (!(instances instanceof NumberList)) {
      throw malformed(`'instances' must be a list of at least one instance, got ${showGiven(instances)}`);
    }
  }
  const rows = (instances instanceof NumberList ? instances.toLists() : instances) as readonly unknown[];
  if (inputs.length === 1 && !isNamed(rows[0], input!.name)) return new Map([[input!.name, rows]]);
  const names = inputs.map(({ name }) => name);
  for (const [i, row] of rows.entries()) {
    const hasAll = isJsonObject(row) && names.every((name) => Object.hasOwn(row, name));
    if (hasAll && Object.keys(row).length === names.length) continue;
    const got = isJsonObject(row)
      ? Object.keys(row)
          .slice(0, 20)
          .map((key) => showJson(key))
          .join(',')
      : showGiven(row);
    throw malformed(`instance ${i} must be an object whose keys must be equal to: ${names.join(',')}, got ${got}`);
  }
  return new Map(names.map((name) => [name, rows.map((row) => (row as Json)[name])]));
}

/** `{"name": …}` and nothing more; `{"b64": …}` is text unless an input has that name. */
function isNamed(row: unknown, name: string): boolean {
  return isJsonObject(row) && (Object.hasOwn(row, name) || !Object.hasOwn(row, 'b64'));
}

function readColumns(columns: unknown, { inputs }: InferTarget): JsonByInput {
  const [input] = inputs;
  if (inputs.length === 1 && !isNamed(columns, input!.name)) return new Map([[input!.name, columns]]);
  if (!isJsonObject(columns)) {
    throw malformed(`'inputs' must be an object with a tensor for each input, got ${showGiven(columns)}`);
  }
  for (const { name } of inputs) {
    if (!Object.hasOwn(columns, name)) throw malformed(`Missing named input: ${name} in 'inputs' object.`);
  }
  return new Map(inputs.map(({ name }) => [name, columns[name]]));
}

function encodeRows(outputs: readonly Tensor[]): EncodedAnswer {
  return jsonAnswer(`{"predictions":${writePredictions(outputs)}}`);
}

/** A list with an element for each row: the value of the only output, or an object of all. */
export function writePredictions(outputs: readonly Tensor[]): string {
  const [first] = outputs;
  const rows = first?.shape[0];
  for (const { name, shape } of outputs) {
    if (shape[0] !== undefined && shape[0] === rows) continue;
    throw new ServerError(
      'OUTPUT_UNKNOWN',
      `outputs have inconsistent batch sizes: '${first!.name}' is [${first!.shape.join(',')}] and '${name}' is [${shape.join(',')}]; ask with 'inputs' instead of 'instances'`,
    );
  }
  const predictions = Array.from({ length: rows ?? 0 }, (_, row) => {
    if (outputs.length === 1) return writeNestedRow(first!, row, writerOf(first!));
    const fields = outputs.map(
      (output) => `${JSON.stringify(output.name)}:${writeNestedRow(output, row, writerOf(output))}`,
    );
    return `{${fields.join(',')}}`;
  });
  return `[${predictions.join(',')}]`;
}

function encodeColumns(outputs: readonly Tensor[]): EncodedAnswer {
  const [first] = outputs;
  if (outputs.length === 1) return jsonAnswer(`{"outputs":${writeNested(first!, writerOf(first!))}}`);
  const fields = outputs.map((output) => `${JSON.stringify(output.name)}:${writeNested(output, writerOf(output))}`);
  return jsonAnswer(`{"outputs":{${fields.join(',')}}}`);
}

/** Text of outputs whose name says so leaves as base64. */
function writerOf({ name, datatype }: Tensor): typeof writeTypedElements {
  if (datatype !== 'BYTES' || !name.endsWith('_bytes')) return writeTypedElements;
  return ({ data }) =>
    (data as readonly string[]).map((text) => `{"b64":"${Buffer.from(text).toString('base64')}"}`).join(',');
}

/** An answer of JSON text. */
export function jsonAnswer(text: string): EncodedAnswer {
  const body = Buffer.from(text);
  return {
    headers: { 'Content-Type': 'application/json', 'Content-Length': String(body.byteLength) },
    parts: [body],
  };
}
