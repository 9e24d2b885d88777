import { castNpy, readNpy, writeNpy } from '../../onnx/npy';
import { NumberList } from '../../onnx/json-numbers';
import { TensorEncodingError, type Tensor } from '../../onnx/tensor-encoding';
import { writeElements } from '../../onnx/write-tensor-json';
import type { Protocol } from '../../spec/metric-names';
import { checkInput, countRows, readInput } from '../check-inputs';
import type { Codec, DecodedRequest, EncodedAnswer } from '../codec';
import { ServerError } from '../errors';
import type { Exchange } from '../exchange';
import { readInferRequest, parseInferRequest, type InferRequest, type InferTarget } from '../infer-request';
import { encodeInferResponse } from '../infer-response';
import { isJsonObject, malformed, parseJsonBody, showGiven } from '../json-body';
import { readCsv, readCsvRows } from './csv-input';
import { IMAGE_TYPES, readImage } from './image-input';
import { tensorFromJson } from './json-tensor';
import { labelledPredictions } from './labelled-predictions';
import { chooseMediaType, parseMediaType, type MediaType } from './media-type';
import { sliceRows } from '../../onnx/slice-rows';
import { decodePredictRequest, jsonAnswer, writePredictions } from './tensorflow-serving';
import { describeRow, onlyRow, readUserRows, takesOnly, takesUserData, userRowsOf } from './user-input';

const ANSWER_TYPES = ['application/json', 'text/csv', 'application/x-npy'] as const;
type AnswerType = (typeof ANSWER_TYPES)[number];
const NPY_TYPES = ['application/x-npy', 'application/npy'];
/** Types that say nothing, as `text/plain` where the model takes no text: `curl -d` sends the form's whatever the body is. */
const JSON_TYPES = ['application/json', '', 'application/x-www-form-urlencoded'];
const TRITON_TYPE = 'application/vnd.sagemaker-triton.binary+json';
const RAW_TYPE = 'application/octet-stream';

/**
 * Bodies that any tool can send: JSON of several protocols or plain lists, CSV, NPY, a picture, a raw tensor, by
 * `Content-Type`; answered as JSON, CSV or NPY, by `Accept`. Where the manifest says how users' data becomes inputs, text,
 * records and pictures are read as it says.
 * @throws ServerError MEDIA_TYPE for another type of body.
 */
export function plainCodec(protocol: Protocol, exchange: Exchange): Codec {
  const media = parseMediaType(exchange.header('content-type'));
  const read = readerOf(media);
  const answer = chooseMediaType(exchange.header('accept'), ANSWER_TYPES) ?? 'application/json';
  return {
    protocol,
    headerLength: media.type === TRITON_TYPE ? tritonHeaderLength(media) : 0,
    isBoundByModel: !(IMAGE_TYPES as readonly string[]).includes(media.type),
    decode: (body, target) => read(body, target, answer),
  };
}

type Reader = (body: Uint8Array, target: InferTarget, answer: AnswerType) => DecodedRequest | Promise<DecodedRequest>;

function readerOf(media: MediaType): Reader {
  const { type } = media;
  if (type === 'text/plain') {
    return async (body, target, answer) =>
      takesOnly(target, 'text')
        ? userAnswer(await readUserRows([onlyRow(textOf(body), target)], target), target, answer)
        : readJson(body, target, answer);
  }
  if (JSON_TYPES.includes(type) || (type.endsWith('+json') && type !== TRITON_TYPE)) return readJson;
  if (type === TRITON_TYPE)
    return (body, target) => openInference(parseInferRequest(body, tritonHeaderLength(media), target), target, media);
  if (type === RAW_TYPE) {
    return (body, target, answer) => plain(parseInferRequest(body, 0, target).inputs, target, answer);
  }
  if (type === 'text/csv') {
    return async (body, target, answer) => {
      const header = media.parameters.get('header');
      return takesUserData(target)
        ? userAnswer(await readUserRows(await readCsvRows(body, header, target), target), target, answer)
        : plain(await readCsv(body, header, target), target, answer);
    };
  }
  if (NPY_TYPES.includes(type)) return (body, target, answer) => plain([readNpyInput(body, target)], target, answer);
  if ((IMAGE_TYPES as readonly string[]).includes(type)) {
    return async (body, target, answer) =>
      takesOnly(target, 'image')
        ? userAnswer(await readUserRows([onlyRow(body, target)], target), target, answer)
        : plain([await readImage(body, target)], target, answer);
  }
  const known = ['application/json', 'text/csv', NPY_TYPES[0], RAW_TYPE, ...IMAGE_TYPES].join(', ');
  throw new ServerError('MEDIA_TYPE', `Content-Type must be one of ${known}, got ${showGiven(type)}`);
}

function tritonHeaderLength({ parameters }: MediaType): number {
  const text = parameters.get('json-header-size') ?? '';
  if (!/^\d{1,10}$/.test(text)) {
    throw malformed(`Content-Type must have json-header-size, a number of bytes, got ${showGiven(text)}`);
  }
  return Number(text);
}

async function readJson(body: Uint8Array, target: InferTarget, answer: AnswerType): Promise<DecodedRequest> {
  const json = parseJsonBody(body);
  if (isJsonObject(json) && isOpenInference(json['inputs'])) {
    return openInference(readInferRequest(json, undefined, target), target);
  }
  if (takesUserData(target)) {
    const rows = userRowsOf(json, target);
    if (rows !== undefined) return userAnswer(await readUserRows(rows, target), target, answer);
  }
  if (isJsonObject(json)) {
    const request = decodePredictRequest(json, target);
    return answer === 'application/json' ? request : plain(request.inputs, target, answer);
  }
  if (!Array.isArray(json) && !(json instanceof NumberList)) {
    const other = takesUserData(target) ? `, or ${describeRow(target)}` : '';
    throw malformed(`the request must be a JSON object or list${other}, got ${showGiven(json)}`);
  }
  const [signature, another] = target.inputs;
  if (signature === undefined || another !== undefined) {
    throw malformed(
      `a plain list needs a model with one input, model '${target.name}' has ${target.inputs.length}; send {"instances":[{…}]}`,
    );
  }
  return plain(
    [tensorFromJson(signature, json, target, { isRowEnough: target.maxRows !== undefined })],
    target,
    answer,
  );
}

/** Tensors by name, as the Open Inference Protocol has them; TensorFlow Serving has an object or values there. */
function isOpenInference(inputs: unknown): boolean {
  if (!Array.isArray(inputs)) return false;
  const first: unknown = inputs[0];
  return isJsonObject(first) && typeof first['name'] === 'string' && first['datatype'] !== undefined;
}

function openInference(request: InferRequest, target: InferTarget, media?: MediaType): DecodedRequest {
  const { priority, timeoutMicroseconds, others } = request.parameters;
  return {
    inputs: request.inputs,
    rows: request.rows,
    priority,
    timeoutMicroseconds,
    parameters: others,
    encode: (model, outputs) => {
      const encoded = encodeInferResponse(model, request, outputs, target);
      const headerLength = encoded.headers['Inference-Header-Content-Length'];
      if (media === undefined || headerLength === undefined) return encoded;
      return {
        ...encoded,
        headers: { ...encoded.headers, 'Content-Type': `${TRITON_TYPE};json-header-size=${headerLength}` },
      };
    },
  };
}

function readNpyInput(body: Uint8Array, target: InferTarget): Tensor {
  const [signature, another] = target.inputs;
  if (signature === undefined || another !== undefined) {
    throw malformed(`NPY needs a model with one input, model '${target.name}' has ${target.inputs.length}`);
  }
  const { datatype } = signature;
  try {
    const array = readNpy(body);
    const isOneRow = target.maxRows !== undefined && array.shape.length === signature.shape.length - 1;
    const shape = checkInput({ datatype, shape: isOneRow ? [1, ...array.shape] : array.shape }, signature, target);
    return readInput(signature, shape, () => castNpy(array, datatype));
  } catch (error) {
    if (TensorEncodingError.is(error)) throw malformed(`the request must be NPY: ${error.message}`);
    throw error;
  }
}

function plain(inputs: readonly Tensor[], target: InferTarget, answer: AnswerType): DecodedRequest {
  assertAnswerable(target, answer);
  return { inputs, rows: countRows(inputs, target), encode: (_, outputs) => ENCODERS[answer](outputs) };
}

/** Users' data is answered in users' words: the names of classes, where the manifest has them. */
function userAnswer(inputs: readonly Tensor[], target: InferTarget, answer: AnswerType): DecodedRequest {
  const request = plain(inputs, target, answer);
  if (answer !== 'application/json') return request;
  return { ...request, encode: (_, outputs) => jsonAnswer(`{"predictions":${labelledPredictions(outputs, target)}}`) };
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body);
  } catch {
    throw malformed('the request must be UTF-8 text');
  }
}

/** What the answer's type cannot hold is refused before the model is run. */
function assertAnswerable({ name, outputs }: InferTarget, answer: AnswerType): void {
  if (answer !== 'application/x-npy') return;
  const [output, another] = outputs;
  if (another !== undefined || output?.datatype === 'BYTES') {
    throw malformed(
      `NPY holds one tensor of numbers, model '${name}' gives ${outputs.map(({ datatype }) => datatype).join(', ')}: accept application/json`,
    );
  }
}

const ENCODERS: Readonly<Record<AnswerType, (outputs: readonly Tensor[]) => EncodedAnswer>> = {
  'application/json': (outputs) => jsonAnswer(`{"predictions":${writePredictions(outputs)}}`),
  'text/csv': encodeCsv,
  'application/x-npy': ([output]) => {
    const parts = writeNpy(output!);
    const length = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return { headers: { 'Content-Type': 'application/x-npy', 'Content-Length': String(length) }, parts };
  },
};

/** A line for each row: the elements of all outputs, one after the other. */
function encodeCsv(outputs: readonly Tensor[]): EncodedAnswer {
  const rows = outputs[0]?.shape[0] ?? 1;
  const isAligned = outputs.every(({ shape }) => (shape[0] ?? 1) === rows);
  if (!isAligned)
    throw malformed('CSV has a line for each row, and the outputs differ in their number: accept application/json');
  const lines = Array.from({ length: rows }, (_, row) =>
    outputs.map((output) => writeCells(output.shape.length === 0 ? output : sliceRows(output, row, row + 1))).join(','),
  );
  const body = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  return { headers: { 'Content-Type': 'text/csv', 'Content-Length': String(body.byteLength) }, parts: [body] };
}

function writeCells(tensor: Tensor): string {
  if (tensor.datatype !== 'BYTES') return writeElements(tensor);
  return (tensor.data as readonly string[])
    .map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
    .join(',');
}
