import type { InferenceServicePlan } from '../inference-service-plan';
import { modelAnnotations } from '../inference-service-plan';
import { LABELS } from '../endpoints';
import { kubernetesMetricsSource, type ScalingPlan } from '../scaling';
import { shortHash } from '../short-hash';
import type { ServiceObjects } from './objects';
import type { MonitoringOptions } from './options';
import type { KubernetesRefs } from './refs';
import { renderKubernetesObjects } from './render';
import { gatewayPeers, renderRoutes, type GrpcRouteObject, type HttpRouteObject } from './routes';
import type { CanaryPlan, TrackPlan, TrafficPlan } from './traffic';
import { renderVerdict, type VerdictObjects } from './verdict';

/** What only deployment knows about another track: where its models lie, and its image. */
export interface TrackRefs<S> extends Pick<KubernetesRefs<S>, 'models' | 'mounts'> {
  /** @default - the service's own */
  readonly image?: string | S;
}

/** What only deployment knows about the requests of a service. */
export interface TrafficRefs<S> {
  readonly canary?: TrackRefs<S>;
  readonly shadow?: TrackRefs<S>;
  /** Makes a text of another one, that may not be known yet. */
  readonly derive: (text: string | S, from: (known: string) => string) => string | S;
}

/** Objects of another track: those of a service, but for the service account, which is the service's. */
export type TrackObjects<S> = Omit<ServiceObjects<S>, 'serviceAccount'>;

/** The further objects of a service with a route, in the order in which they are applied. */
export interface TrafficObjects<S> {
  readonly canary?: TrackObjects<S>;
  readonly shadow?: TrackObjects<S>;
  readonly httpRoute?: HttpRouteObject<S>;
  readonly grpcRoute?: GrpcRouteObject<S>;
  readonly verdict?: VerdictObjects<S>;
}

/** What the objects of every track have to know: who passes requests on, and that a judge needs both tracks' metrics. */
export function withTraffic<S>(refs: KubernetesRefs<S>, { route, canary }: TrafficPlan): KubernetesRefs<S> {
  if (route === undefined) return refs;
  const { monitoring } = refs;
  return {
    ...refs,
    gatewayPeers: gatewayPeers(route),
    // Where nothing was said of monitoring, and nothing else needs it, it is what a judge reads.
    ...(canary?.verdict === undefined || monitoring !== undefined
      ? {}
      : { monitoring: { alerts: false, dashboard: false } }),
  };
}

/**
 * The objects of the tracks beside the stable one, of the routes to them, and of the judge.
 * @param refs those of the service, as it was rendered with.
 */
export function renderTraffic<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  traffic: TrafficPlan,
  trafficRefs: TrafficRefs<S>,
): TrafficObjects<S> {
  const { route, canary, shadow } = traffic;
  if (route === undefined) return {};
  const ofCanary = canary && refsOf(plan, refs, traffic, { ...trafficRefs.canary!, alerts: true });
  const revision = canary && ofCanary && canaryRevision(canary, ofCanary, trafficRefs);
  const verdict = canary?.verdict;
  return {
    ...(canary && ofCanary ? { canary: renderTrack(canary, ofCanary) } : {}),
    ...(shadow
      ? { shadow: renderTrack(shadow, refsOf(plan, refs, traffic, { ...trafficRefs.shadow!, alerts: false })) }
      : {}),
    ...renderRoutes(plan, refs, { ...traffic, route }, revision),
    ...(verdict && revision !== undefined
      ? { verdict: renderVerdict(plan, refs, route, { ...canary, verdict }, revision) }
      : {}),
  };
}

function renderTrack<S>({ plan }: TrackPlan, refs: KubernetesRefs<S>): TrackObjects<S> {
  const { serviceAccount: _, ...objects } = renderKubernetesObjects(plan, refs);
  return objects;
}

/** A track serves other models, maybe by another image, with the rights of the service; its requests come from the gateway alone. */
function refsOf<S>(
  { name, scaling }: InferenceServicePlan,
  { wake: _wake, mounts: _mounts, ...refs }: KubernetesRefs<S>,
  traffic: TrafficPlan,
  { alerts, ...track }: TrackRefs<S> & { readonly alerts: boolean },
): KubernetesRefs<S> {
  const all = withTraffic({ ...refs, ...track }, traffic);
  return { ...all, serviceAccountName: name, clientNamespaces: [], monitoring: trackMonitoring(all, scaling, alerts) };
}

/** A track is scraped where the service is. It has no dashboard of its own, and nobody is woken for a shadow. */
export function trackMonitoring<S>(
  { monitoring }: KubernetesRefs<S>,
  scaling: ScalingPlan,
  alerts: boolean,
): MonitoringOptions {
  const enabled = monitoring?.enabled ?? (monitoring !== undefined || kubernetesMetricsSource(scaling) !== 'cpu');
  return { ...monitoring, enabled, dashboard: false, ...(alerts ? {} : { alerts: false }) };
}

/** Changes with what the canary serves, with its share, and with what is asked of it. */
function canaryRevision<S>(
  { plan, percent, verdict }: CanaryPlan,
  refs: KubernetesRefs<S>,
  { derive }: TrafficRefs<S>,
): string | S {
  const served = modelAnnotations(plan, refs)[LABELS.models]!;
  return derive(refs.concat([served, '\n', refs.image, `\n${percent}\n${JSON.stringify(verdict ?? {})}`]), shortHash);
}
