import { parseJsonText } from '../onnx/json-text';
import { ServerError } from './errors';
import type { Exchange } from './exchange';
import type { Codec, ModelSelector } from './codec';
import type { Inference } from './inference';
import { parseInferRequest } from './infer-request';
import { encodeInferResponse } from './infer-response';
import { describeIndex, describeModel, SERVER_METADATA } from './model-descriptions';
import { readBody } from './request-body';
import type { Route } from './router';
import type { ServedModels } from './served-models';

export type Handler = (exchange: Exchange, parameters: Readonly<Record<string, string>>) => Promise<void> | void;

const HEADER_LENGTH = 'inference-header-content-length';

const MAX_INDEX_BODY_BYTES = 64 * 1_024;

/** The Open Inference Protocol's REST paths, with the models list of KServe and the repository index of Triton. */
export function openInferenceRoutes(models: () => ServedModels, inference: Inference): readonly Route<Handler>[] {
  const metadata: Handler = (exchange, parameters) => {
    const found = models().find(selectorOf(parameters));
    exchange.sendJson(200, describeModel(found, models().versionsOf(found.name)));
  };
  const ready: Handler = (exchange, parameters) => {
    const { name, isReady, reason } = models().find(selectorOf(parameters));
    exchange.sendJson(isReady ? 200 : 503, { name, ready: isReady, ...(isReady ? {} : { reason }) });
  };
  const infer: Handler = (exchange, parameters) =>
    inference.answer(exchange, selectorOf(parameters), openInferenceCodec(exchange));
  const index: Handler = async (exchange) =>
    exchange.sendJson(200, describeIndex(models(), await readsReadyOnly(exchange)));
  const group = 'metadata' as const;
  return [
    { method: 'GET', path: '/v2', group, handler: (exchange) => exchange.sendJson(200, SERVER_METADATA) },
    {
      method: 'GET',
      path: '/v2/models',
      group,
      handler: (exchange) => exchange.sendJson(200, { models: models().names }),
    },
    { method: 'GET', path: '/v2/models/{model}', group, handler: metadata },
    { method: 'GET', path: '/v2/models/{model}/versions/{version}', group, handler: metadata },
    { method: 'GET', path: '/v2/models/{model}/ready', group: 'public', handler: ready },
    { method: 'GET', path: '/v2/models/{model}/versions/{version}/ready', group: 'public', handler: ready },
    { method: 'POST', path: '/v2/models/{model}/infer', group: 'infer', handler: infer },
    { method: 'POST', path: '/v2/models/{model}/versions/{version}/infer', group: 'infer', handler: infer },
    { method: 'GET', path: '/v2/repository/index', group, handler: index },
    { method: 'POST', path: '/v2/repository/index', group, handler: index },
  ];
}

function selectorOf({ model = '', version }: Readonly<Record<string, string>>): ModelSelector {
  return { name: model, version };
}

function openInferenceCodec(exchange: Exchange): Codec {
  const headerLength = parseHeaderLength(exchange.header(HEADER_LENGTH));
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
  if (body.byteLength === 0) return false;
  try {
    const request = parseJsonText(Buffer.from(body).toString('utf8')) as { ready?: unknown } | null;
    return request?.ready === true;
  } catch (error) {
    throw new ServerError('MALFORMED_REQUEST', `the request must be JSON: ${(error as Error).message}`);
  }
}
