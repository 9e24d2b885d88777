import type { Handler } from '../open-inference-protocol';
import type { Route } from '../router';
import { openApiRoutes } from './openapi-routes';
import { predictRoutes } from './predict-routes';
import type { RouteContext } from './route-context';
import { sagemakerRoutes } from './sagemaker-routes';
import { tensorflowServingRoutes } from './tensorflow-serving-routes';
import { vertexRoutes } from './vertex-routes';

/** The paths of every protocol besides the Open Inference Protocol. */
export function protocolRoutes(context: RouteContext): readonly Route<Handler>[] {
  return [
    // First: Vertex AI chooses its paths itself, and may choose one of those below.
    ...vertexRoutes(context),
    ...tensorflowServingRoutes(context),
    ...sagemakerRoutes(context),
    ...predictRoutes(context),
    ...openApiRoutes(context),
  ];
}
