import { parseJsonText } from '../onnx/json-text';
import type { TensorSignature } from '../spec/model-facts';
import { version as serverVersion } from '../../package.json';
import { ServerError } from './errors';
import type { Exchange } from './exchange';
import type { Inference } from './inference';
import { readBody } from './request-body';
import type { Route } from './router';
import type { ServedModel } from './served-model';
import type { ServedModels } from './served-models';

export type Handler = (exchange: Exchange, parameters: Readonly<Record<string, string>>) => Promise<void>;

const MAX_INDEX_BODY_BYTES = 64 * 1_024;

/** The Open Inference Protocol's REST paths, with the models list of KServe and the repository index of Triton. */
export function openInferenceRoutes(models: () => ServedModels, inference: Inference): readonly Route<Handler>[] {
  const metadata: Handler = (exchange, { model = '', version }) => {
    const found = models().find(model, version);
    return exchange.sendJson(200, describeModel(found, models().versionsOf(found.name)));
  };
  const ready: Handler = (exchange, { model = '', version }) => {
    const { name, isReady, reason } = models().find(model, version);
    return exchange.sendJson(isReady ? 200 : 503, { name, ready: isReady, ...(isReady ? {} : { reason }) });
  };
  const infer: Handler = (exchange, { model = '', version }) => inference.answer(exchange, model, version);
  const index: Handler = async (exchange) =>
    exchange.sendJson(200, listIndex(models(), await readsReadyOnly(exchange)));
  return [
    { method: 'GET', path: '/v2', handler: (exchange) => exchange.sendJson(200, SERVER_METADATA) },
    { method: 'GET', path: '/v2/models', handler: (exchange) => exchange.sendJson(200, { models: models().names }) },
    { method: 'GET', path: '/v2/models/{model}', handler: metadata },
    { method: 'GET', path: '/v2/models/{model}/versions/{version}', handler: metadata },
    { method: 'GET', path: '/v2/models/{model}/ready', handler: ready },
    { method: 'GET', path: '/v2/models/{model}/versions/{version}/ready', handler: ready },
    { method: 'POST', path: '/v2/models/{model}/infer', handler: infer },
    { method: 'POST', path: '/v2/models/{model}/versions/{version}/infer', handler: infer },
    { method: 'GET', path: '/v2/repository/index', handler: index },
    { method: 'POST', path: '/v2/repository/index', handler: index },
  ];
}

const SERVER_METADATA = { name: 'slipway', version: serverVersion, extensions: ['binary_tensor_data'] };

function describeModel(model: ServedModel, versions: readonly ServedModel[]): unknown {
  const { inputs, outputs } = model.target ?? model.assertReady().target;
  return {
    name: model.name,
    versions: versions.map(({ version }) => String(version)),
    platform: 'onnx_onnxv1',
    inputs: inputs.map(describeTensor),
    outputs: outputs.map(describeTensor),
  };
}

function describeTensor({ name, datatype, shape }: TensorSignature): unknown {
  return { name, datatype, shape: shape.map((size) => (typeof size === 'string' ? -1 : size)) };
}

function listIndex(models: ServedModels, readyOnly: boolean): unknown {
  return models.all
    .filter(({ isReady }) => isReady || !readyOnly)
    .map(({ name, version, state, reason }) => ({ name, version: String(version), state, reason }));
}

/** Triton's body: `{"ready": true}` asks for ready models only. Nothing at all asks for every one. */
async function readsReadyOnly(exchange: Exchange): Promise<boolean> {
  const body = await readBody(exchange.request, {
    maxBytes: MAX_INDEX_BODY_BYTES,
    signal: exchange.signal,
    onAccept: () => exchange.allowBody(),
  });
  if (body.byteLength === 0) return false;
  try {
    const request = parseJsonText(Buffer.from(body).toString('utf8')) as { ready?: unknown } | null;
    return request?.ready === true;
  } catch (error) {
    throw new ServerError('MALFORMED_REQUEST', `the request must be JSON: ${(error as Error).message}`);
  }
}
