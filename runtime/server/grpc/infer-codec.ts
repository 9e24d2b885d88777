import {
  decodeTensorData,
  elementCount,
  encodeTensorData,
  type Tensor,
  type TensorData,
} from '../../onnx/tensor-encoding';
import { checkInput, countRows, findInput, findOutput, inModelOrder, readInput } from '../check-inputs';
import type { DecodedRequest, ModelIdentity } from '../codec';
import { ServerError } from '../errors';
import { classify } from '../classification';
import { countClasses, type InferTarget } from '../infer-request';
import { malformed } from '../json-body';
import { readRequestParameters } from '../request-parameters';
import type { InferRequestMessage, InputMessage, Parameters } from './infer-request-message';
import { FRAME_HEADER_BYTES, ProtobufWriter } from './protobuf-writer';
import { hasContentsField, readTensorContents, writeTensorContents } from './tensor-contents';

/** One message of gRPC, its header included. */
export type Frame = readonly Uint8Array[];

export interface InferCodecOptions {
  /** Wraps the answer into a `ModelStreamInferResponse`. */
  readonly isStream: boolean;
}

/** Raw tensors up to this size are copied behind what goes before them, so that an answer leaves in one piece. */
const JOINED_BYTES = 16 * 1_024;

/** Parameters that mean memory which the client shares with a server on its own machine. */
const SHARED_MEMORY = 'shared_memory_region';

/**
 * Checks a `ModelInferRequest` against its model.
 * @throws ServerError MALFORMED_REQUEST, INPUT_INVALID, OUTPUT_UNKNOWN
 */
export function decodeInferRequest(
  message: InferRequestMessage,
  target: InferTarget,
  options: InferCodecOptions,
): DecodedRequest<Frame> {
  const inputs = readInputs(message, target);
  const outputs = readOutputs(message, target);
  const { priority, timeoutMicroseconds, others } = readRequestParameters(message.parameters);
  const isRaw = message.raw.length > 0 || message.inputs.every(({ contents }) => contents.length === 0);
  return {
    inputs,
    rows: countRows(inputs, target),
    priority,
    timeoutMicroseconds,
    parameters: others,
    encode: (model, all) => {
      const sent = outputs.map((output) => answerTo(output, all, target));
      // Raw or not is said of a whole message, and FP16 can be nothing but raw.
      return encodeInferResponse(model, message.id, sent, { ...options, isRaw: isRaw || !sent.every(isTyped) });
    },
  };
}

function readInputs(message: InferRequestMessage, target: InferTarget): readonly Tensor[] {
  const { inputs, raw } = message;
  if (raw.length > 0 && raw.length !== inputs.length) {
    throw malformed(`raw_input_contents must have one entry for each of ${inputs.length} inputs, got ${raw.length}`);
  }
  const given = new Map<string, Tensor>();
  for (const [i, input] of inputs.entries()) {
    const signature = findInput(input.name, target);
    const { name, datatype } = signature;
    if (given.has(name)) throw invalid(`input '${name}' is given twice`);
    refuseSharedMemory(input.parameters, `input '${name}'`);
    const shape = checkInput(input, signature, target);
    const bytes = raw[i];
    if (bytes !== undefined) refuseContents(input, target);
    const read = (): TensorData =>
      bytes === undefined
        ? readTensorContents(input.contents, datatype, elementCount(shape))
        : decodeTensorData(datatype, shape, bytes);
    given.set(name, readInput(signature, shape, read));
  }
  return inModelOrder(given, target);
}

function refuseContents({ name, contents }: InputMessage, target: InferTarget): void {
  if (contents.every(({ byteLength }) => byteLength === 0)) return;
  throw malformed(
    `contents field must not be specified when using raw_input_contents for '${name}' for model '${target.name}'`,
  );
}

function readOutputs({ outputs }: InferRequestMessage, target: InferTarget): readonly RequestedOutput[] {
  if (outputs.length === 0) return target.outputs;
  const names = new Set<string>();
  return outputs.map(({ name, parameters }) => {
    const { datatype } = findOutput(name, target);
    if (names.has(name)) throw malformed(`output '${name}' is requested twice`);
    names.add(name);
    refuseSharedMemory(parameters, `output '${name}'`);
    return { name, classes: countClasses(parameters.get('classification'), name, datatype) };
  });
}

function refuseSharedMemory(parameters: Parameters, of: string): void {
  if (parameters.has(SHARED_MEMORY)) {
    throw malformed(`${of} is in shared memory, which this server does not have; send it in the message`);
  }
}

function answerTo({ name, classes }: RequestedOutput, all: readonly Tensor[], target: InferTarget): Tensor {
  const output = all.find((candidate) => candidate.name === name)!;
  if (classes === undefined) return output;
  return classify(output, {
    count: classes,
    hasRows: target.maxRows !== undefined,
    labels: target.labels?.get(name),
  });
}

function isTyped({ datatype }: Tensor): boolean {
  return hasContentsField(datatype);
}

interface RequestedOutput {
  readonly name: string;
  readonly classes?: number | undefined;
}

interface EncodeOptions extends InferCodecOptions {
  readonly isRaw: boolean;
}

/** Writes a `ModelInferResponse` as one message of gRPC. */
export function encodeInferResponse(
  model: ModelIdentity,
  id: string,
  outputs: readonly Tensor[],
  { isRaw, isStream }: EncodeOptions,
): Frame {
  const writer = new ProtobufWriter();
  writer.string(1, model.name);
  writer.string(2, String(model.version));
  writer.string(3, id);
  // What clients of a stream look for: whether more answers to the same request follow.
  if (isStream) writeFlag(writer, 4, 'triton_final_response');
  for (const { name, datatype, shape, data } of outputs) {
    writer.nested(5, () => {
      writer.string(1, name);
      writer.string(2, datatype);
      if (shape.length > 0) writer.nested(3, () => shape.forEach((size) => writer.varint(size)));
      if (!isRaw) writer.nested(5, () => writeTensorContents(writer, datatype, data));
    });
  }
  const frame = isRaw ? writeRaw(writer, outputs) : [writer.finish()];
  return isStream ? wrap(frame) : frame;
}

function writeFlag(writer: ProtobufWriter, field: number, name: string): void {
  writer.nested(field, () => {
    writer.string(1, name);
    writer.nested(2, () => writer.bool(1, true));
  });
}

function writeRaw(writer: ProtobufWriter, outputs: readonly Tensor[]): Frame {
  const parts: Uint8Array[] = [];
  let following = 0;
  for (const { datatype, data } of outputs) {
    const bytes = encodeTensorData(datatype, data);
    if (parts.length === 0) writer.delimited(6, bytes.byteLength);
    if (parts.length === 0 && bytes.byteLength <= JOINED_BYTES) {
      writer.raw(bytes);
      continue;
    }
    if (parts.length > 0) {
      const head = new ProtobufWriter();
      head.delimited(6, bytes.byteLength);
      following += parts[parts.push(head.body()) - 1]!.byteLength;
    }
    parts.push(bytes);
    following += bytes.byteLength;
  }
  return [writer.finish(following), ...parts];
}

function wrap([first, ...rest]: Frame): Frame {
  const head = first!.subarray(FRAME_HEADER_BYTES);
  const following = rest.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const writer = new ProtobufWriter();
  writer.delimited(2, head.byteLength + following);
  writer.raw(head);
  return [writer.finish(following), ...rest];
}

/** A `ModelStreamInferResponse` that says why one request of the stream has no answer; the stream goes on. */
export function encodeStreamError(id: string, message: string): Frame {
  const writer = new ProtobufWriter();
  writer.string(1, message);
  if (id !== '') writer.nested(2, () => writer.string(3, id));
  return [writer.finish()];
}

function invalid(message: string): ServerError {
  return new ServerError('INPUT_INVALID', message);
}
