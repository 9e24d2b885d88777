import type { Handler } from '../open-inference-protocol';
import type { Route } from '../router';
import type { RouteContext } from './route-context';
import { tensorflowServingRoutes } from './tensorflow-serving-routes';

/** The paths of every protocol besides the Open Inference Protocol. */
export function protocolRoutes(context: RouteContext): readonly Route<Handler>[] {
  return [...tensorflowServingRoutes(context)];
}
