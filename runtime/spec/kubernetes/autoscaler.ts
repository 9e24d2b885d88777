import { SpecError } from '../errors';
import type { InferenceServicePlan } from '../inference-service-plan';
import { kubernetesMetricsSource } from '../scaling';
import { objectMetadata } from './metadata';
import type { AutoscalerObject, ScaledObjectTrigger } from './objects';
import { decimalQuantity } from './quantity';
import { KUBERNETES_DEFAULTS, type KubernetesRefs } from './refs';
import { wakeTriggers } from './wake';

/** The autoscaler that holds the plan's saturation, by the source that the author named. */
export function renderAutoscaler<S>(plan: InferenceServicePlan, refs: KubernetesRefs<S>): AutoscalerObject<S> {
  const { scaling, lifecycle } = plan;
  const metadata = objectMetadata(plan, refs);
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: plan.name } as const;
  const source = kubernetesMetricsSource(scaling);
  const { wake } = refs;
  if (wake !== undefined && source === 'prometheus-adapter') {
    throw new SpecError(
      'WAKE_CHOICE',
      'metricsFrom',
      "must be 'keda' or, on CPU, 'cpu' where something wakes the service, got 'prometheus-adapter': it is KEDA that starts the first replica",
    );
  }
  if (wake !== undefined || source === 'keda') {
    return {
      apiVersion: 'keda.sh/v1alpha1',
      kind: 'ScaledObject',
      metadata,
      spec: {
        scaleTargetRef,
        pollingInterval: 15,
        // A service that was just created is still loading: scaling it in would only start the load again.
        initialCooldownPeriod: lifecycle.progressDeadlineSeconds,
        ...(scaling.minReplicas === 0 ? { cooldownPeriod: idleSeconds(plan) } : {}),
        minReplicaCount: scaling.minReplicas,
        maxReplicaCount: scaling.maxReplicas,
        // Prometheus being down is no reason to have fewer replicas.
        fallback: { failureThreshold: 4, replicas: scaling.minReplicas, behavior: 'currentReplicasIfHigher' },
        advanced: { horizontalPodAutoscalerConfig: { behavior: behavior(plan) } },
        triggers: [
          source === 'cpu' ? cpuTrigger(scaling.targetSaturation) : saturationTrigger(plan, refs),
          ...(wake === undefined ? [] : wakeTriggers(plan, wake)),
        ],
      },
    };
  }
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    // A service that changes to KEDA gets its ScaledObject before this one goes, which KEDA's webhook would refuse.
    metadata: { ...metadata, annotations: { 'validations.keda.sh/hpa-ownership': 'false' } },
    spec: {
      scaleTargetRef,
      minReplicas: scaling.minReplicas,
      maxReplicas: scaling.maxReplicas,
      metrics: [
        source === 'cpu' ? cpuMetric(scaling.targetSaturation) : podMetric(scaling.metric, scaling.targetSaturation),
      ],
      behavior: behavior(plan),
    },
  };
}

function saturationTrigger<S>(
  { name, scaling }: InferenceServicePlan,
  refs: KubernetesRefs<S>,
): ScaledObjectTrigger<S> {
  // Where there may be no replica, no answer means that nothing is used: otherwise the service could never be idle.
  const orIdle = scaling.minReplicas === 0 ? ' or vector(0)' : '';
  return {
    type: 'prometheus',
    metricType: 'AverageValue',
    metadata: {
      serverAddress: refs.prometheusUrl ?? KUBERNETES_DEFAULTS.prometheusUrl,
      query: refs.concat([`sum(${scaling.metric}{service="${name}",namespace="`, refs.namespace, `"})${orIdle}`]),
      threshold: String(scaling.targetSaturation),
      // By default no answer counts as idle: a scrape that broke would take replicas away.
      ignoreNullValues: 'false',
    },
  };
}

function cpuTrigger<S>(target: number): ScaledObjectTrigger<S> {
  return {
    type: 'cpu',
    metricType: 'Utilization',
    metadata: { value: String(Math.round(target * 100)), containerName: 'server' },
  };
}

// A replica is worth keeping for at least as long as another would take to come.
function idleSeconds({ lifecycle, scaling }: InferenceServicePlan): number {
  return Math.max(scaling.scaleInCooldownSeconds, lifecycle.progressDeadlineSeconds);
}

function cpuMetric(target: number): Record<string, unknown> {
  return {
    type: 'ContainerResource',
    containerResource: {
      container: 'server',
      name: 'cpu',
      target: { type: 'Utilization', averageUtilization: Math.round(target * 100) },
    },
  };
}

function podMetric(metric: string, target: number): Record<string, unknown> {
  return {
    type: 'Pods',
    pods: {
      metric: { name: metric },
      target: { type: 'AverageValue', averageValue: decimalQuantity(target) },
    },
  };
}

/** Out at once and at most doubling, in slowly: a replica that goes takes a loaded model with it. */
function behavior({ scaling }: InferenceServicePlan): Record<string, unknown> {
  return {
    scaleUp: {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Max',
      policies: [
        { type: 'Percent', value: 100, periodSeconds: scaling.scaleOutCooldownSeconds },
        { type: 'Pods', value: 2, periodSeconds: scaling.scaleOutCooldownSeconds },
      ],
    },
    scaleDown: {
      stabilizationWindowSeconds: scaling.scaleInCooldownSeconds,
      policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }],
    },
  };
}
