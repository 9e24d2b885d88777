export { decideService, type DecidedService, type EngineChoices } from './decide-service';
export { planGpuPool, type GpuPool } from './gpu-pool';
export { NO_IDENTITY, type EgressRule, type IdentityBinding } from './identity-binding';
export { renderModelJob, type ModelJobObjects, type ModelJobRefs, type ModelJobSpec } from './model-job';
export { mountedFolder, type CsiVolume, type ModelMount, type ModelVolume } from './model-mounts';
export type * from './objects';
export {
  machinesOf,
  type InterceptorWake,
  type KubernetesChoices,
  type KubernetesOptions,
  type MonitoringOptions,
  type QueueWake,
  type ScheduleWake,
  type WakeOptions,
  type WakeWindow,
} from './options';
export {
  ANYWHERE,
  anyOf,
  GPU_TAINT,
  GpuAllocation,
  TaintEffect,
  TolerationOperator,
  type Placement,
  type Toleration,
} from './placement';
export { namespaceLabels, podIdentityBinding, podIdentityConditions } from './pod-identity';
export { KUBERNETES_DEFAULTS, type KubernetesRefs } from './refs';
export { renderKubernetesObjects } from './render';
export { interceptorService, wakeSourceOf } from './wake';
export {
  assertKserveCan,
  kserveHost,
  renderKserveObjects,
  type KserveInferenceServiceObject,
  type KserveObjects,
  type ServingRuntimeObject,
} from './kserve';
export {
  renderTraffic,
  withTraffic,
  type TrackObjects,
  type TrackRefs,
  type TrafficObjects,
  type TrafficRefs,
} from './render-traffic';
export type { GrpcRouteObject, HttpRouteObject } from './routes';
export {
  planTraffic,
  type CanaryPlan,
  type RoutePlan,
  type TrackPlan,
  type TrafficPlan,
  type TrafficSpec,
} from './traffic';
export {
  ServingEngine,
  type CanaryChoices,
  type GatewayOptions,
  type RouteOptions,
  type ShadowChoices,
} from './traffic-options';
export { VERDICT_MARGIN_SECONDS, type JobObject, type VerdictObjects } from './verdict';
export { VERDICT_DEFAULTS, type VerdictOptions, type VerdictRules } from './verdict-rules';
