import { ServerError } from '../errors';
import { parseJsonObject, malformed, showGiven } from '../json-body';
import type { Handler } from '../open-inference-protocol';
import { readBody } from '../request-body';
import type { Route } from '../router';
import type { Exchange } from '../exchange';
import { defaultModel } from './default-model';
import { plainCodec } from './plain-codec';
import type { RouteContext } from './route-context';

const TARGET_MODEL = 'x-amzn-sagemaker-target-model';
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);
const MAX_LOAD_BODY_BYTES = 64 * 1_024;

/**
 * What Amazon SageMaker asks of a container, for one model or several
 * (https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html).
 */
export function sagemakerRoutes(context: RouteContext): readonly Route<Handler>[] {
  const { models, inference } = context;
  const ping: Handler = (exchange) => {
    const isReady = context.isReady();
    exchange.sendJson(isReady ? 200 : 503, { ready: isReady });
  };
  const invoke: Handler = (exchange, { model }) => {
    const { name, codec } = inference.prepare('sagemaker', exchange.startedAt, () => ({
      name: model ?? targetModel(exchange) ?? defaultModel(context),
      codec: plainCodec('sagemaker', exchange),
    }));
    return inference.answer(exchange, { name }, codec);
  };
  const list: Handler = (exchange) => exchange.sendJson(200, { models: models().names.map(describe) });
  const get: Handler = (exchange, { model = '' }) =>
    exchange.sendJson(200, describe(models().find({ name: model }).name));
  const load: Handler = async (exchange) => {
    const repository = repositoryFor(exchange, context);
    const name = await readName(exchange);
    if (
      models()
        .versionsOf(name)
        .some(({ isReady }) => isReady)
    ) {
      throw new ServerError('MODEL_EXISTS', `model '${name}' is loaded already`);
    }
    await repository.load(name);
    exchange.sendJson(200, describe(name));
  };
  const unload: Handler = async (exchange, { model = '' }) => {
    await repositoryFor(exchange, context).unload(model);
    exchange.sendJson(200, {});
  };
  return [
    { method: 'GET', path: '/ping', group: 'public', handler: ping },
    { method: 'POST', path: '/invocations', group: 'infer', handler: invoke },
    { method: 'GET', path: '/models', group: 'metadata', handler: list },
    { method: 'GET', path: '/models/{model}', group: 'metadata', handler: get },
    { method: 'POST', path: '/models/{model}/invoke', group: 'infer', handler: invoke },
    { method: 'POST', path: '/models', group: 'admin', handler: load },
    { method: 'DELETE', path: '/models/{model}', group: 'admin', handler: unload },
  ];
}

/** Endpoints of many models name the archive that a model came in. */
function targetModel(exchange: Exchange): string | undefined {
  return exchange
    .header(TARGET_MODEL)
    ?.replace(/^\//, '')
    .replace(/\.tar\.gz$/, '');
}

function describe(name: string): unknown {
  return { modelName: name, modelUrl: name };
}

/** This port, unlike the admin port, may be open to the network: then callers must have shown who they are. */
function repositoryFor(
  { caller }: Exchange,
  { repository, settings }: RouteContext,
): NonNullable<RouteContext['repository']> {
  if (repository === undefined || settings.adminPort === undefined) {
    throw new ServerError(
      'FORBIDDEN',
      'models are not loaded and unloaded by request here: SLIPWAY_ADMIN_PORT is not set',
    );
  }
  if (caller !== '' || LOOPBACK_HOSTS.has(settings.host)) return repository;
  throw new ServerError(
    'FORBIDDEN',
    'models are loaded and unloaded on the admin port, or here by callers with a key or token of the group admin',
  );
}

/** `{"model_name": …, "url": …}`: models come from the model repository by their name alone. */
async function readName(exchange: Exchange): Promise<string> {
  const body = await readBody(exchange.request, {
    maxBytes: MAX_LOAD_BODY_BYTES,
    cancellation: exchange.cancellation,
    onAccept: () => exchange.allowBody(),
  });
  const name = parseJsonObject(body)['model_name'];
  if (typeof name === 'string' && name !== '') return name;
  throw malformed(`model_name must be the name of a model, got ${showGiven(name)}`);
}
