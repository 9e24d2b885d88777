import { CONTAINER_USER } from '../endpoints';
import { containerEnvironment } from '../environment';
import { modelAnnotations, type InferenceServicePlan } from '../inference-service-plan';
import type { ProbePlan } from '../lifecycle';
import type { IdentityBinding } from './identity-binding';
import { claimsGpu, GPU_CLAIM } from './gpu-claim';
import { objectMetadata, podSelector } from './metadata';
import { mountModels, type MountedModels } from './model-mounts';
import type { ContainerObject, DeploymentObject, HttpProbe } from './objects';
import { ANYWHERE, type Placement } from './placement';
import { decimalQuantity, memoryQuantity } from './quantity';
import type { KubernetesRefs } from './refs';
import { containerSecurity, podSecurity } from './pod-security';

export function renderDeployment<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  identity: IdentityBinding<S>,
): DeploymentObject<S> {
  const placement = refs.placement ?? ANYWHERE;
  const metadata = objectMetadata(plan, refs);
  // A place that the author named is tolerated as it is; anywhere else, only pods with a GPU go past its taint.
  const isPlaced = refs.placement !== undefined || plan.resources.gpuCount > 0;
  const tolerations = isPlaced ? placement.tolerations.map((toleration) => ({ ...toleration })) : [];
  const mounted = mountModels(plan, refs.mounts);
  const { priorityClassName, imagePullSecrets = [] } = refs;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      revisionHistoryLimit: 5,
      progressDeadlineSeconds: plan.lifecycle.progressDeadlineSeconds,
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: plan.rollout.maxSurge, maxUnavailable: plan.rollout.maxUnavailable },
      },
      selector: { matchLabels: podSelector(plan) },
      template: {
        // The revision of the models is part of the pod: another model is another rollout, and undoing one brings it back.
        metadata: { labels: { ...metadata.labels, ...identity.podLabels }, annotations: modelAnnotations(plan, refs) },
        spec: {
          serviceAccountName: refs.serviceAccountName ?? plan.name,
          automountServiceAccountToken: false,
          // A Service called slipway-… would otherwise write variables that look like ours into every pod.
          enableServiceLinks: false,
          terminationGracePeriodSeconds: plan.lifecycle.stopTimeoutSeconds,
          ...(priorityClassName === undefined ? {} : { priorityClassName }),
          ...(imagePullSecrets.length === 0 ? {} : { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
          ...(placement.runtimeClassName === undefined ? {} : { runtimeClassName: placement.runtimeClassName }),
          ...(Object.keys(placement.nodeSelector).length === 0 ? {} : { nodeSelector: { ...placement.nodeSelector } }),
          ...(tolerations.length === 0 ? {} : { tolerations }),
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'topology.kubernetes.io/zone',
              // GPU stock differs between zones: a replica in a crowded zone is better than none.
              whenUnsatisfiable: 'ScheduleAnyway',
              matchLabelKeys: ['pod-template-hash'],
              labelSelector: { matchLabels: podSelector(plan) },
            },
          ],
          securityContext: podSecurity({ fsGroup: CONTAINER_USER, fsGroupChangePolicy: 'OnRootMismatch' }),
          ...(claimsGpu(plan, placement)
            ? { resourceClaims: [{ name: GPU_CLAIM, resourceClaimTemplateName: plan.name }] }
            : {}),
          containers: [serverContainer(plan, refs, identity, placement, mounted)],
          volumes: [
            { name: 'tmp', emptyDir: { sizeLimit: memoryQuantity(plan.resources.ephemeralStorageMiB) } },
            ...mounted.volumes,
          ],
        },
      },
    },
  };
}

function serverContainer<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  identity: IdentityBinding<S>,
  placement: Placement,
  mounted: MountedModels<S>,
): ContainerObject<S> {
  const environment = { ...containerEnvironment(plan, { ...refs, cloudwatchMetrics: false }), ...identity.environment };
  const resources = resourceList(plan, placement);
  return {
    name: 'server',
    image: refs.image,
    imagePullPolicy: 'IfNotPresent',
    ports: [
      { name: 'http', containerPort: plan.ports.http, protocol: 'TCP' },
      { name: 'grpc', containerPort: plan.ports.grpc, protocol: 'TCP' },
      { name: 'metrics', containerPort: plan.ports.metrics, protocol: 'TCP' },
    ],
    env: Object.entries(environment).map(([name, value]) => ({ name, value })),
    // Requests equal limits: the plan's thread count is the CPU quota, and the pod is the last to be evicted.
    resources: {
      requests: resources,
      limits: { ...resources },
      ...(claimsGpu(plan, placement) ? { claims: [{ name: GPU_CLAIM }] } : {}),
    },
    startupProbe: httpProbe(plan.lifecycle.startupProbe),
    readinessProbe: httpProbe(plan.lifecycle.readinessProbe),
    livenessProbe: httpProbe(plan.lifecycle.livenessProbe),
    // The last line of a server that gives up says why: it is then what `kubectl describe` and the deployment's error show.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: containerSecurity(),
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }, ...mounted.volumeMounts],
  };
}

function resourceList(plan: InferenceServicePlan, placement: Placement): Record<string, string> {
  const { vcpu, memoryMiB, ephemeralStorageMiB, gpuCount } = plan.resources;
  return {
    cpu: decimalQuantity(vcpu),
    memory: memoryQuantity(memoryMiB),
    'ephemeral-storage': memoryQuantity(ephemeralStorageMiB),
    ...(gpuCount > 0 && !claimsGpu(plan, placement) ? { [placement.gpuResourceName]: String(gpuCount) } : {}),
  };
}

function httpProbe({ path, periodSeconds, timeoutSeconds, failureThreshold }: ProbePlan): HttpProbe {
  return { httpGet: { path, port: 'http' }, periodSeconds, timeoutSeconds, failureThreshold };
}
