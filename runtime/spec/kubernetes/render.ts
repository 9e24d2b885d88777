import type { InferenceServicePlan } from '../inference-service-plan';
import { renderAutoscaler } from './autoscaler';
import { renderDeployment } from './deployment';
import { claimsGpu, renderGpuClaim } from './gpu-claim';
import { NO_IDENTITY } from './identity-binding';
import { objectMetadata, podSelector } from './metadata';
import { renderMonitoring } from './monitoring';
import { renderNetworkPolicy } from './network-policy';
import type { ServiceObjects } from './objects';
import type { KubernetesRefs } from './refs';
import { assertVersion } from './requirements';
import { renderInterceptorRoute } from './wake';

/**
 * The objects of one service, plain and complete: Pulumi applies them, CDK hands the same ones to EKS, `slipway
 * render` prints them. They satisfy Pod Security *restricted*.
 *
 * Needs Kubernetes 1.27, the first with `matchLabelKeys` of a spread constraint, `unhealthyPodEvictionPolicy` and the
 * autoscaler's `ContainerResource` switched on; with KEDA, 2.17, the first with a `behavior` of the fallback. What else
 * a service may need is checked where `kubernetesVersion` is given.
 *
 * @throws SpecError SCALING_METRIC_UNNAMED for a GPU service whose author named no source of the scaling signal,
 * KUBERNETES_TOO_OLD for what the cluster does not have.
 */
export function renderKubernetesObjects<S>(plan: InferenceServicePlan, refs: KubernetesRefs<S>): ServiceObjects<S> {
  assertVersion(plan, refs);
  const identity = refs.identity ?? NO_IDENTITY;
  const interceptor = refs.wake?.interceptor;
  const metadata = objectMetadata(plan, refs);
  // The API server drops an empty map, and every refresh would find it missing.
  const annotated = Object.keys(identity.serviceAccountAnnotations).length > 0;
  return {
    serviceAccount: {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { ...metadata, ...(annotated ? { annotations: { ...identity.serviceAccountAnnotations } } : {}) },
      automountServiceAccountToken: false,
    },
    networkPolicy: renderNetworkPolicy(plan, refs, identity),
    ...(claimsGpu(plan, refs.placement) ? { gpuClaim: renderGpuClaim(plan, refs) } : {}),
    deployment: renderDeployment(plan, refs, identity),
    service: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        type: 'ClusterIP',
        selector: podSelector(plan),
        ports: [
          { name: 'http', port: plan.ports.http, targetPort: 'http', protocol: 'TCP', appProtocol: 'http' },
          {
            name: 'grpc',
            port: plan.ports.grpc,
            targetPort: 'grpc',
            protocol: 'TCP',
            appProtocol: 'kubernetes.io/h2c',
          },
          { name: 'metrics', port: plan.ports.metrics, targetPort: 'metrics', protocol: 'TCP', appProtocol: 'http' },
        ],
      },
    },
    podDisruptionBudget: {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata,
      spec: {
        // Not minAvailable: with one replica that would block every node upgrade for ever.
        maxUnavailable: 1,
        unhealthyPodEvictionPolicy: 'AlwaysAllow',
        selector: { matchLabels: podSelector(plan) },
      },
    },
    autoscaler: renderAutoscaler(plan, refs),
    ...(interceptor === undefined ? {} : { interceptorRoute: renderInterceptorRoute(plan, refs, interceptor) }),
    ...renderMonitoring(plan, refs),
  };
}
