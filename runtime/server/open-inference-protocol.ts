import { ServerError } from './errors';
import type { Exchange } from './exchange';
import type { Codec, ModelSelector } from './codec';
import type { Inference } from './inference';
import { parseInferRequest } from './infer-request';
import { encodeInferResponse } from './infer-response';
import { parseJsonObject } from './json-body';
import {
  describeConfiguration,
  describeIndex,
  describeModel,
  describeStatistics,
  SERVER_METADATA,
} from './model-descriptions';
import type { RouteContext } from './protocols/route-context';
import { readBody } from './request-body';
import type { Route } from './router';

export type Handler = (exchange: Exchange, parameters: Readonly<Record<string, string>>) => Promise<void> | void;

const HEADER_LENGTH = 'inference-header-content-length';

const MAX_INDEX_BODY_BYTES = 64 * 1_024;

/**
 * The Open Inference Protocol's REST paths, with the models list of KServe and Triton's extensions: repository index,
 * configuration and statistics.
 */
export function openInferenceRoutes({ models, inference, settings }: RouteContext): readonly Route<Handler>[] {
  const metadata: Handler = (exchange, parameters) => {
    const found = models().find(selectorOf(parameters));
    exchange.sendJson(200, describeModel(found, models().versionsOf(found.name)));
  };
  const ready: Handler = (exchange, parameters) => {
    const { name, isReady, reason } = models().find(selectorOf(parameters));
    exchange.sendJson(isReady ? 200 : 503, { name, ready: isReady, ...(isReady ? {} : { reason }) });
  };
  const configuration: Handler = (exchange, parameters) =>
    exchange.sendJson(200, describeConfiguration(models().find(selectorOf(parameters)), settings));
  const statistics: Handler = (exchange, { model, version }) => {
    const all = model === undefined ? models().all : version === undefined ? models().versionsOf(model) : [];
    // A version of its own, or a name that nothing has: then this says so.
    const found = model !== undefined && all.length === 0 ? [models().find({ name: model, version })] : all;
    exchange.sendJson(200, { model_stats: found.map(describeStatistics) });
  };
  const infer: Handler = (exchange, parameters) =>
    inference.answer(exchange, selectorOf(parameters), openInferenceCodec(exchange, inference));
  const index: Handler = async (exchange) =>
    exchange.sendJson(200, describeIndex(models(), await readsReadyOnly(exchange)));
  const group = 'metadata' as const;
  const ofModel = (
    call: string,
    route: Pick<Route<Handler>, 'method' | 'group' | 'handler'>,
  ): readonly Route<Handler>[] => [
    { ...route, path: `/v2/models/{model}${call}` },
    { ...route, path: `/v2/models/{model}/versions/{version}${call}` },
  ];
  return [
    { method: 'GET', path: '/v2', group, handler: (exchange) => exchange.sendJson(200, SERVER_METADATA) },
    {
      method: 'GET',
      path: '/v2/models',
      group,
      handler: (exchange) => exchange.sendJson(200, { models: models().names }),
    },
    // Before the metadata of a model of this name, as in Triton.
    { method: 'GET', path: '/v2/models/stats', group, handler: statistics },
    ...ofModel('', { method: 'GET', group, handler: metadata }),
    ...ofModel('/ready', { method: 'GET', group: 'public', handler: ready }),
    ...ofModel('/config', { method: 'GET', group, handler: configuration }),
    ...ofModel('/stats', { method: 'GET', group, handler: statistics }),
    ...ofModel('/infer', { method: 'POST', group: 'infer', handler: infer }),
    { method: 'GET', path: '/v2/repository/index', group, handler: index },
    { method: 'POST', path: '/v2/repository/index', group, handler: index },
  ];
}

function selectorOf({ model = '', version }: Readonly<Record<string, string>>): ModelSelector {
  return { name: model, version };
}

function openInferenceCodec(exchange: Exchange, inference: Inference): Codec {
  const text = exchange.header(HEADER_LENGTH);
  const headerLength = inference.prepare('oip-binary', exchange.startedAt, () => parseHeaderLength(text));
  return {
    protocol: headerLength === undefined ? 'oip-json' : 'oip-binary',
    headerLength,
    decode: (body, target) => {
      const request = parseInferRequest(body, headerLength, target);
      const { priority, timeoutMicroseconds, others } = request.parameters;
      return {
        inputs: request.inputs,
        rows: request.rows,
        priority,
        timeoutMicroseconds,
        parameters: others,
        encode: (model, outputs) => encodeInferResponse(model, request, outputs, target),
      };
    },
  };
}

function parseHeaderLength(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text)) {
    throw new ServerError(
      'MALFORMED_REQUEST',
      `Inference-Header-Content-Length must be a number of bytes, got '${text.slice(0, 40)}'`,
    );
  }
  return Number(text);
}

/** Triton's body: `{"ready": true}` asks for ready models only. Nothing at all asks for every one. */
async function readsReadyOnly(exchange: Exchange): Promise<boolean> {
  const body = await readBody(exchange.request, {
    maxBytes: MAX_INDEX_BODY_BYTES,
    cancellation: exchange.cancellation,
    onAccept: () => exchange.allowBody(),
  });
  return body.byteLength > 0 && parseJsonObject(body)['ready'] === true;
}
