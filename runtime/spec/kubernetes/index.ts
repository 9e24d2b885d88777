export { planGpuPool, type GpuPool } from './gpu-pool';
export { NO_IDENTITY, type EgressRule, type IdentityBinding } from './identity-binding';
export type * from './objects';
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
