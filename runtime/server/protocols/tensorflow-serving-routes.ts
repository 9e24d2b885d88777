import type { Datatype } from '../../spec/datatypes';
import type { TensorSignature } from '../../spec/model-facts';
import type { ModelSelector } from '../codec';
import { ServerError } from '../errors';
import type { Exchange } from '../exchange';
import { malformed } from '../json-body';
import type { Handler } from '../open-inference-protocol';
import type { Route } from '../router';
import type { ModelState, Servable } from '../servable';
import type { RouteContext } from './route-context';
import { SIGNATURE_NAME, tensorflowServingCodec } from './tensorflow-serving';

const VERSION = String.raw`(?:/versions/(?<version>\d+)|/labels/(?<label>[^/:]+))?`;
const METHOD_PATH = new RegExp(
  String.raw`^/v1/models/(?<model>[^/:]+)${VERSION}:(?<method>classify|regress|predict)$`,
  'i',
);
const EXPLAIN_PATH = /^\/v1\/models\/(?<model>[^/:]+):explain$/i;
const STATUS_PATH = new RegExp(String.raw`^/v1/models/(?<model>[^/:]+)${VERSION}$`, 'i');
const METADATA_PATH = new RegExp(String.raw`^/v1/models/(?<model>[^/:]+)${VERSION}/metadata$`, 'i');
const LIST_PATH = /^\/v1\/models$/i;
/** Whatever else begins so. */
const OTHER_PATH = /^\/v1(?:\/.*)?$/i;

type Parameters = Readonly<Record<string, string>>;

/** TensorFlow Serving's REST paths, and those that KServe's V1 protocol adds to them. */
export function tensorflowServingRoutes({ models, inference }: RouteContext): readonly Route<Handler>[] {
  const refuse = ({ startedAt }: Exchange, message: string): never =>
    inference.prepare('tensorflow', startedAt, () => {
      throw new ServerError('NOT_IMPLEMENTED', message);
    });
  const call: Handler = async (exchange, parameters) => {
    const { method = '' } = parameters;
    if (method.toLowerCase() !== 'predict') {
      return refuse(
        exchange,
        `${method.toLowerCase()} needs a signature for tf.Example, which an ONNX model has not; use predict`,
      );
    }
    await inTheirWords(parameters, () => inference.answer(exchange, selectorOf(parameters), tensorflowServingCodec));
  };
  const explain: Handler = (exchange) =>
    refuse(exchange, 'explain needs an explainer, which this server does not have; use predict');
  const status: Handler = async (exchange, parameters) => {
    const { name } = await inTheirWords(parameters, () => models().find(selectorOf(parameters)));
    const isAll = parameters['version'] === undefined && parameters['label'] === undefined;
    const versions = isAll ? models().versionsOf(name) : [models().find(selectorOf(parameters))];
    const isReady = versions.some((version) => version.isReady);
    // KServe's V1 protocol has its own answer at this path: both fit into one object.
    const body = { model_version_status: versions.map(describeStatus), name, ready: isReady };
    exchange.sendJson(isReady ? 200 : 503, body);
  };
  const metadata: Handler = async (exchange, parameters) => {
    const found = await inTheirWords(parameters, () => models().find(selectorOf(parameters)));
    exchange.sendJson(200, describeMetadata(found));
  };
  // KServe's clients ask so whether the process answers at all.
  const alive: Handler = (exchange) => exchange.sendJson(200, { status: 'alive' });
  const list: Handler = (exchange) => exchange.sendJson(200, { models: models().names });
  const malformedPath: Handler = ({ request: { method, url = '' } }) => {
    throw malformed(`Malformed request: ${method} ${url.slice(0, 200)}`);
  };
  return [
    { method: 'GET', path: '/', group: 'public', handler: alive },
    { method: 'POST', path: METHOD_PATH, group: 'infer', handler: call },
    { method: 'POST', path: EXPLAIN_PATH, group: 'infer', handler: explain },
    { method: 'GET', path: LIST_PATH, group: 'metadata', handler: list },
    { method: 'GET', path: METADATA_PATH, group: 'metadata', handler: metadata },
    { method: 'GET', path: STATUS_PATH, group: 'public', handler: status },
    { method: 'POST', path: OTHER_PATH, group: 'infer', handler: malformedPath },
    { method: 'GET', path: OTHER_PATH, group: 'metadata', handler: malformedPath },
  ];
}

function selectorOf({ model = '', version, label }: Parameters): ModelSelector {
  // Their versions are numbers: 007 is 7.
  return { name: model, version: version === undefined ? undefined : String(BigInt(version)), label };
}

/** Says in TensorFlow Serving's words that there is no such model: clients look for them. */
async function inTheirWords<T>(parameters: Parameters, find: () => T | Promise<T>): Promise<T> {
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof ServerError) || error.code !== 'MODEL_UNKNOWN') throw error;
    const { model = '', version, label } = parameters;
    const which =
      label !== undefined
        ? `Label(${model}, ${label})`
        : version === undefined
          ? `Latest(${model})`
          : `Specific(${model}, ${version})`;
    throw new ServerError('MODEL_UNKNOWN', `Servable not found for request: ${which}: ${error.message}`);
  }
}

const STATES: Readonly<Record<ModelState, string>> = {
  UNKNOWN: 'UNKNOWN',
  LOADING: 'LOADING',
  READY: 'AVAILABLE',
  UNLOADING: 'UNLOADING',
  UNAVAILABLE: 'END',
};

function describeStatus({ version, state, reason }: Servable): unknown {
  const isFailed = state === 'UNAVAILABLE';
  const status = { error_code: isFailed ? 'UNKNOWN' : 'OK', error_message: isFailed ? reason : '' };
  return { version: String(version), state: STATES[state], status };
}

/** https://github.com/tensorflow/tensorflow/blob/v2.16.1/tensorflow/core/framework/types.proto */
const DTYPES: Readonly<Record<Datatype, string>> = {
  BOOL: 'DT_BOOL',
  UINT8: 'DT_UINT8',
  UINT16: 'DT_UINT16',
  UINT32: 'DT_UINT32',
  UINT64: 'DT_UINT64',
  INT8: 'DT_INT8',
  INT16: 'DT_INT16',
  INT32: 'DT_INT32',
  INT64: 'DT_INT64',
  FP16: 'DT_HALF',
  FP32: 'DT_FLOAT',
  FP64: 'DT_DOUBLE',
  BYTES: 'DT_STRING',
};

function describeMetadata(model: Servable): unknown {
  const { inputs, outputs } = model.target ?? model.assertReady().target;
  const signature = {
    inputs: describeTensors(inputs),
    outputs: describeTensors(outputs),
    method_name: 'tensorflow/serving/predict',
    defaults: {},
  };
  return {
    model_spec: { name: model.name, signature_name: '', version: String(model.version) },
    metadata: { signature_def: { signature_def: { [SIGNATURE_NAME]: signature } } },
  };
}

function describeTensors(tensors: readonly TensorSignature[]): unknown {
  // `fromEntries` makes own properties of any name, `__proto__` among them.
  return Object.fromEntries(
    tensors.map(({ name, datatype, shape }) => {
      const dim = shape.map((size) => ({ size: String(typeof size === 'string' ? -1 : size), name: '' }));
      return [name, { dtype: DTYPES[datatype], tensor_shape: { dim, unknown_rank: false }, name: `${name}:0` }];
    }),
  );
}
