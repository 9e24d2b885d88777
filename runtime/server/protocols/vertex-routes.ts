import type { Tensor } from '../../onnx/tensor-encoding';
import { countRows } from '../check-inputs';
import type { Codec, DecodedRequest } from '../codec';
import type { InferTarget } from '../infer-request';
import { isJsonObject, malformed, parseJsonObject, showGiven } from '../json-body';
import type { Handler } from '../open-inference-protocol';
import { readRequestParameters } from '../request-parameters';
import type { Route } from '../router';
import { defaultModel } from './default-model';
import { labelledPredictions } from './labelled-predictions';
import type { RouteContext } from './route-context';
import { decodePredictRequest, jsonAnswer, writePredictions } from './tensorflow-serving';
import { readUserRows, takesUserData, userRowsOf } from './user-input';

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

interface Instances extends Pick<DecodedRequest, 'inputs' | 'rows'> {
  readonly write: (outputs: readonly Tensor[], target: InferTarget) => string;
}

/** Rows and parameters in, rows out: `{"instances": [...], "parameters": {...}}` and `{"predictions": [...]}`. */
function vertexCodec(deployedModelId: string | undefined): Codec {
  const id = deployedModelId === undefined ? '' : `,"deployedModelId":${JSON.stringify(deployedModelId)}`;
  return {
    protocol: 'vertex',
    decode: async (body, target) => {
      const { instances, parameters = {} } = parseJsonObject(body);
      if (instances === undefined) throw malformed("a prediction request must have 'instances', a list of rows");
      if (parameters !== null && !isJsonObject(parameters)) {
        throw malformed(`parameters must be an object, got ${showGiven(parameters)}`);
      }
      const { others, priority, timeoutMicroseconds } = readRequestParameters(Object.entries(parameters ?? {}));
      const { write, ...request } = await readInstances(instances, target);
      return {
        ...request,
        priority,
        timeoutMicroseconds,
        parameters: others,
        encode: (_, outputs) => jsonAnswer(`{"predictions":${write(outputs, target)}${id}}`),
      };
    },
  };
}

/** Tensors, or what users have where the manifest says how that becomes inputs: then the answer has the names of classes. */
async function readInstances(instances: unknown, target: InferTarget): Promise<Instances> {
  const rows = takesUserData(target) ? userRowsOf({ instances }, target) : undefined;
  if (!takesUserData(target) || rows === undefined) {
    return { ...decodePredictRequest({ instances }, target), write: writePredictions };
  }
  const inputs = await readUserRows(rows, target);
  return { inputs, rows: countRows(inputs, target), write: labelledPredictions };
}

/** The path may hold what a pattern of ours would read as a parameter. */
function exactPath(path: string): RegExp {
  const trimmed = path.length > 1 ? path.replace(/\/$/, '') : path;
  return new RegExp(`^${trimmed.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
}
