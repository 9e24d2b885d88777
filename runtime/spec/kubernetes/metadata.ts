import type { InferenceServicePlan } from '../inference-service-plan';
import type { ObjectMetadata } from './objects';
import type { KubernetesRefs } from './refs';

/** What selects the pods of a service. A Deployment's selector cannot change, so nothing here names a version. */
export function podSelector(plan: InferenceServicePlan): Record<string, string> {
  return { 'app.kubernetes.io/name': plan.name, 'app.kubernetes.io/component': 'inference' };
}

export function objectMetadata<S>(
  plan: InferenceServicePlan,
  refs: Pick<KubernetesRefs<S>, 'namespace'>,
): ObjectMetadata<S> {
  return {
    name: plan.name,
    namespace: refs.namespace,
    labels: { ...podSelector(plan), 'app.kubernetes.io/part-of': 'slipway' },
  };
}
