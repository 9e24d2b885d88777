import type { Codec } from '../codec';
import { isJsonObject, malformed, parseJsonObject, showGiven } from '../json-body';
import type { Handler } from '../open-inference-protocol';
import { readRequestParameters } from '../request-parameters';
import type { Route } from '../router';
import { defaultModel } from './default-model';
import type { RouteContext } from './route-context';
import { decodePredictRequest, jsonAnswer, writePredictions } from './tensorflow-serving';

/**
 * What Vertex AI asks of a container, at the paths that it names
 * (https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements); no route where it names none.
 */
export function vertexRoutes(context: RouteContext): readonly Route<Handler>[] {
  const { inference, settings } = context;
  const { vertexHealthRoute, vertexPredictRoute, vertexDeployedModelId } = settings;
  const health: Handler = (exchange) => {
    const isReady = context.isReady();
    exchange.sendJson(isReady ? 200 : 503, { ready: isReady });
  };
  const codec = vertexCodec(vertexDeployedModelId);
  const predict: Handler = (exchange) => {
    const name = inference.prepare('vertex', exchange.startedAt, () => defaultModel(context));
    return inference.answer(exchange, { name }, codec);
  };
  return [
    ...(vertexHealthRoute === undefined
      ? []
      : [{ method: 'GET', path: exactPath(vertexHealthRoute), group: 'public', handler: health } as const]),
    ...(vertexPredictRoute === undefined
      ? []
      : [{ method: 'POST', path: exactPath(vertexPredictRoute), group: 'infer', handler: predict } as const]),
  ];
}

/** Rows and parameters in, rows out: `{"instances": [...], "parameters": {...}}` and `{"predictions": [...]}`. */
function vertexCodec(deployedModelId: string | undefined): Codec {
  const id = deployedModelId === undefined ? '' : `,"deployedModelId":${JSON.stringify(deployedModelId)}`;
  return {
    protocol: 'vertex',
    decode: (body, target) => {
      const { instances, parameters = {} } = parseJsonObject(body);
      if (instances === undefined) throw malformed("a prediction request must have 'instances', a list of rows");
      if (parameters !== null && !isJsonObject(parameters)) {
        throw malformed(`parameters must be an object, got ${showGiven(parameters)}`);
      }
      const { others, priority, timeoutMicroseconds } = readRequestParameters(Object.entries(parameters ?? {}));
      return {
        ...decodePredictRequest({ instances }, target),
        priority,
        timeoutMicroseconds,
        parameters: others,
        encode: (_, outputs) => jsonAnswer(`{"predictions":${writePredictions(outputs)}${id}}`),
      };
    },
  };
}

/** The path may hold what a pattern of ours would read as a parameter. */
function exactPath(path: string): RegExp {
  const trimmed = path.length > 1 ? path.replace(/\/$/, '') : path;
  return new RegExp(`^${trimmed.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
}
