export { planGpuPool, type GpuPool } from './gpu-pool';
export { NO_IDENTITY, type EgressRule, type IdentityBinding } from './identity-binding';
export { MODELS_FOLDER, mountedFolder, type CsiVolume, type ModelMount, type ModelVolume } from './model-mounts';
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
export { wakeSourceOf } from './wake';
