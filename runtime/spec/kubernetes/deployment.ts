import { CONTAINER_USER } from '../endpoints';
import { containerEnvironment } from '../environment';
import { modelAnnotations, type InferenceServicePlan } from '../inference-service-plan';
import type { ProbePlan } from '../lifecycle';
import type { IdentityBinding } from './identity-binding';
import { objectMetadata, podSelector } from './metadata';
import type { ContainerObject, DeploymentObject, HttpProbe } from './objects';
import { ANYWHERE, type Placement } from './placement';
import { decimalQuantity, memoryQuantity } from './quantity';
import type { KubernetesRefs } from './refs';

export function renderDeployment<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  identity: IdentityBinding<S>,
): DeploymentObject<S> {
  const placement = refs.placement ?? ANYWHERE;
  const metadata = objectMetadata(plan, refs);
  const tolerations = plan.resources.gpuCount > 0 ? placement.tolerations.map((toleration) => ({ ...toleration })) : [];
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
          securityContext: {
            runAsNonRoot: true,
            runAsUser: CONTAINER_USER,
            runAsGroup: CONTAINER_USER,
            fsGroup: CONTAINER_USER,
            fsGroupChangePolicy: 'OnRootMismatch',
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [serverContainer(plan, refs, identity, placement)],
          volumes: [{ name: 'tmp', emptyDir: { sizeLimit: memoryQuantity(plan.resources.ephemeralStorageMiB) } }],
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
    resources: { requests: resources, limits: { ...resources } },
    startupProbe: httpProbe(plan.lifecycle.startupProbe),
    readinessProbe: httpProbe(plan.lifecycle.readinessProbe),
    livenessProbe: httpProbe(plan.lifecycle.livenessProbe),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
  };
}

function resourceList(plan: InferenceServicePlan, placement: Placement): Record<string, string> {
  const { vcpu, memoryMiB, ephemeralStorageMiB, gpuCount } = plan.resources;
  return {
    cpu: decimalQuantity(vcpu),
    memory: memoryQuantity(memoryMiB),
    'ephemeral-storage': memoryQuantity(ephemeralStorageMiB),
    ...(gpuCount > 0 ? { [placement.gpuResourceName]: String(gpuCount) } : {}),
  };
}

function httpProbe({ path, periodSeconds, timeoutSeconds, failureThreshold }: ProbePlan): HttpProbe {
  return { httpGet: { path, port: 'http' }, periodSeconds, timeoutSeconds, failureThreshold };
}
