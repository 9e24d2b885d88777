import type { Logger } from 'pino';
import { ENVIRONMENT } from '../spec/environment';
import type { Exchange } from './exchange';
import { isJsonObject, malformed, parseJsonObject, showGiven, type Json } from './json-body';
import { loadModel, unloadModel } from './model-control';
import type { Handler } from './open-inference-protocol';
import type { RepositoryControl } from './repository/model-lifecycle';
import { readBody } from './request-body';
import type { Route } from './router';
import type { SharedLogLevel } from './shared-log-level';

export interface AdminContext {
  readonly repository: RepositoryControl;
  readonly logLevel: SharedLogLevel;
  readonly log: Logger;
}

/** A model configuration is a few kilobytes. */
const MAX_BODY_BYTES = 2 ** 20;

/** What only the machine itself may ask for: loading and unloading under Triton's paths, and the log level. */
export function adminRoutes({ repository, logLevel, log }: AdminContext): readonly Route<Handler>[] {
  const load: Handler = async (exchange, { model = '' }) => {
    await loadModel(repository, model, parametersIn(await readObject(exchange)));
    sendNothing(exchange);
  };
  const unload: Handler = async (exchange, { model = '' }) => {
    await unloadModel(repository, model, parametersIn(await readObject(exchange)));
    sendNothing(exchange);
  };
  const showLevel: Handler = (exchange) => exchange.sendJson(200, { log_level: logLevel.level });
  const setLevel: Handler = async (exchange) => {
    const { log_level: level, ...others } = await readObject(exchange);
    const [other] = Object.keys(others);
    if (other !== undefined) throw malformed(`'${other}' is no setting of the log; log_level is`);
    const known = ENVIRONMENT.logLevel.choices.find((choice) => choice === level);
    if (known === undefined) {
      throw malformed(`log_level must be ${ENVIRONMENT.logLevel.choices.join(', ')}, got ${showGiven(level)}`);
    }
    logLevel.level = known;
    log.info({ logLevel: known }, 'log level set');
    exchange.sendJson(200, { log_level: known });
  };
  const group = 'admin' as const;
  return [
    { method: 'POST', path: '/v2/repository/models/{model}/load', group, handler: load },
    { method: 'POST', path: '/v2/repository/models/{model}/unload', group, handler: unload },
    { method: 'GET', path: '/v2/logging', group, handler: showLevel },
    { method: 'POST', path: '/v2/logging', group, handler: setLevel },
  ];
}

/** Nothing at all is an object without members: `curl -X POST` sends no body. */
async function readObject(exchange: Exchange): Promise<Json> {
  const body = await readBody(exchange.request, {
    maxBytes: MAX_BODY_BYTES,
    cancellation: exchange.cancellation,
    onAccept: () => exchange.allowBody(),
  });
  return body.byteLength === 0 ? {} : parseJsonObject(body);
}

function parametersIn({ parameters = {} }: Json): Json {
  if (!isJsonObject(parameters)) throw malformed(`parameters must be an object, got ${showGiven(parameters)}`);
  return parameters;
}

function sendNothing(exchange: Exchange): void {
  exchange.send(200, { 'Content-Length': '0' }, []);
}
