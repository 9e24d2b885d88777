import { SpecError } from '../errors';
import { poolReplicas } from '../gpu-pool-size';
import { planInferenceService, type InferenceServicePlan } from '../inference-service-plan';
import type { EngineServiceSpec, ModelSpec } from '../inference-service-spec';
import { integer } from '../numbers';
import type { CanaryChoices, GatewayOptions, RouteOptions, ServingEngine, ShadowChoices } from './traffic-options';
import { planVerdict, type VerdictRules } from './verdict-rules';

/** What the author of a service decides about its requests, with the models of each further track. */
export interface TrafficSpec {
  readonly route?: RouteOptions;
  readonly canary?: CanaryChoices & { readonly models: readonly ModelSpec[] };
  readonly shadow?: ShadowChoices & { readonly models: readonly ModelSpec[] };
}

export interface RoutePlan {
  readonly gateway: GatewayOptions;
  readonly hostnames: readonly string[];
  readonly path: string;
  readonly grpcHostnames: readonly string[];
  /** How long the gateway waits for an answer: longer than a replica takes to give up, so that its own answer comes through. */
  readonly timeoutSeconds: number;
  /** What clients call; undefined where every host begins with an asterisk. */
  readonly url?: string;
}

/** Replicas of a service beside those that it has anyway. */
export interface TrackPlan {
  /** Named after the service: `digits-canary`. */
  readonly plan: InferenceServicePlan;
  readonly percent: number;
}

export interface CanaryPlan extends TrackPlan {
  readonly verdict?: VerdictRules;
}

/** Every decided value about the requests of a service. */
export interface TrafficPlan {
  readonly route?: RoutePlan;
  readonly canary?: CanaryPlan;
  readonly shadow?: TrackPlan;
  /** What will surprise somebody, one sentence each. */
  readonly warnings: readonly string[];
}

const MAX_NAME = 50;

/**
 * Decides about route, canary and shadow of a service. Each track is planned like a service: its own sizes and budgets from
 * its own models, and the rest of the words from the service.
 *
 * @throws SpecError ROUTE_MISSING for a share of requests that nothing hands out, ROUTE_INVALID, NAME_INVALID where there is
 * no room for a track's name, NUMBER_INVALID, POOL_TOO_SMALL, and as `planInferenceService` does.
 */
export function planTraffic(
  spec: EngineServiceSpec,
  stable: InferenceServicePlan,
  traffic: TrafficSpec,
  engine: ServingEngine = 'deployment',
): TrafficPlan {
  const route = traffic.route === undefined ? undefined : planRoute(traffic.route, stable);
  if (route !== undefined && spec.wakeSource === 'interceptor') {
    throw new SpecError(
      'ROUTE_INVALID',
      'route',
      'leads past the interceptor that wakes the service, so requests would find no replica; leave route out and lead a route of your own to the interceptor of KEDA, or wake by schedule or queue',
    );
  }
  const canary = traffic.canary === undefined ? undefined : planCanary(spec, stable, traffic.canary);
  const shadow = traffic.shadow === undefined ? undefined : planShadow(spec, stable, traffic.shadow);
  // KServe hands requests out by itself.
  if (engine === 'deployment' && route === undefined && (canary ?? shadow) !== undefined) {
    throw new SpecError(
      'ROUTE_MISSING',
      canary === undefined ? 'shadow' : 'canary',
      'a Service spreads connections over pods and no shares over tracks, so it needs route: the Gateway that hands requests out',
    );
  }
  const tracks = [canary, shadow].flatMap((track) => track ?? []);
  return {
    ...(route === undefined ? {} : { route }),
    ...(canary === undefined ? {} : { canary }),
    ...(shadow === undefined ? {} : { shadow }),
    warnings: [...tracks.flatMap(({ plan }) => plan.warnings), ...checkSharedPool(spec, stable, tracks)],
  };
}

function planRoute(route: RouteOptions, { lifecycle }: InferenceServicePlan): RoutePlan {
  const { gateway, hostnames, path = '/v2', grpcHostnames = [], plaintext = false } = route;
  if (hostnames.length === 0) {
    throw new SpecError(
      'ROUTE_INVALID',
      'route.hostnames',
      'must name at least one host, or the route takes the requests of every host of the listener, got none',
    );
  }
  const shared = grpcHostnames.findIndex((host) => hostnames.includes(host));
  if (shared >= 0) {
    throw new SpecError(
      'ROUTE_INVALID',
      `route.grpcHostnames[${shared}]`,
      `must be another host than those of HTTP, got '${grpcHostnames[shared]}' in both: a listener accepts one kind of route for a host, and refuses the other`,
    );
  }
  if (!/^\/[^?#\s]*$/.test(path)) {
    throw new SpecError(
      'ROUTE_INVALID',
      'route.path',
      `must begin with a slash and hold neither query nor space, got '${path}'`,
    );
  }
  const host = hostnames.find((name) => !name.startsWith('*'));
  return {
    gateway,
    hostnames,
    path,
    grpcHostnames,
    timeoutSeconds: lifecycle.idleTimeoutSeconds,
    ...(host === undefined ? {} : { url: `${plaintext ? 'http' : 'https'}://${host}` }),
  };
}

function planCanary(
  spec: EngineServiceSpec,
  stable: InferenceServicePlan,
  { weightPercent, verdict, ...canary }: NonNullable<TrafficSpec['canary']>,
): CanaryPlan {
  const least = verdict === undefined ? 0 : 1;
  // The verdict compares: both tracks need requests.
  const percent = integer('canary.weightPercent', weightPercent, 0, least, 100 - least);
  const track = { plan: planTrack(spec, stable, 'canary', { ...canary, percent }), percent };
  return verdict === undefined ? track : { ...track, verdict: planVerdict(verdict, 'canary.verdict') };
}

function planShadow(
  spec: EngineServiceSpec,
  stable: InferenceServicePlan,
  shadow: NonNullable<TrafficSpec['shadow']>,
): TrackPlan {
  const percent = integer('shadow.percent', shadow.percent, 100, 1, 100);
  return { plan: planTrack(spec, stable, 'shadow', { ...shadow, percent }), percent };
}

function planTrack(
  spec: EngineServiceSpec,
  stable: InferenceServicePlan,
  kind: 'canary' | 'shadow',
  { models, replicas, percent }: { models: readonly ModelSpec[]; replicas?: number; percent: number },
): InferenceServicePlan {
  const name = `${stable.name}-${kind}`;
  if (name.length > MAX_NAME) {
    throw new SpecError(
      'NAME_INVALID',
      'name',
      `must be at most ${MAX_NAME - kind.length - 1} characters with a ${kind}, whose objects are named '${name}', got ${stable.name.length}`,
    );
  }
  const share = (count: number): number => Math.max(1, Math.ceil((count * percent) / 100));
  const { minReplicas, maxReplicas } = stable.scaling;
  const fixed = replicas === undefined ? undefined : integer(`${kind}.replicas`, replicas, 1, 1, 10_000);
  return inside(kind, () =>
    planInferenceService({
      ...spec,
      name,
      models,
      minReplicas: fixed ?? share(minReplicas),
      maxReplicas: fixed ?? share(maxReplicas),
    }),
  );
}

/** The author wrote the models of a track below its own word. */
function inside<T>(kind: string, decide: () => T): T {
  try {
    return decide();
  } catch (error) {
    if (!SpecError.is(error) || !error.path.startsWith('models')) throw error;
    const message = error.message.slice(`${error.code} ${error.path}: `.length);
    throw new SpecError(error.code, `${kind}.${error.path}`, message);
  }
}

/** Tracks take their GPUs from the same machines. */
function checkSharedPool(
  { machines }: EngineServiceSpec,
  stable: InferenceServicePlan,
  tracks: readonly TrackPlan[],
): readonly string[] {
  const room = poolReplicas(machines, stable.resources);
  if (room === undefined || tracks.length === 0) return [];
  const plans = [stable, ...tracks.map(({ plan }) => plan)];
  const named = (bound: 'minReplicas' | 'maxReplicas'): string =>
    plans.map(({ name, scaling }) => `${name} ${scaling[bound]}`).join(', ');
  const total = (bound: 'minReplicas' | 'maxReplicas'): number =>
    plans.reduce((sum, { scaling }) => sum + scaling[bound], 0);
  if (total('minReplicas') > room) {
    throw new SpecError(
      'POOL_TOO_SMALL',
      'minReplicas',
      `the machines of the placement have GPUs for ${room} replicas, all tracks together need ${total('minReplicas')} (${named('minReplicas')}); raise the group's maxSize, or lower minReplicas or replicas`,
    );
  }
  if (total('maxReplicas') <= room) return [];
  return [
    `the machines of the placement have GPUs for ${room} replicas, all tracks together may ask for ${total('maxReplicas')} (${named('maxReplicas')}); under full load some of them wait`,
  ];
}
