import { DEFAULTS, PRESET_MIN_REPLICAS } from './defaults';
import { SpecError } from './errors';
import { poolReplicas } from './gpu-pool-size';
import type { EngineServiceSpec, Preset, ScalingMetricsSource } from './inference-service-spec';
import { CLOUDWATCH, METRICS } from './metric-names';
import { integer, number } from './numbers';
import type { ResourcesPlan } from './sizing';

export interface ScalingPlan {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Saturation to hold, over 0 and up to 1. */
  readonly targetSaturation: number;
  /** Where Kubernetes reads it; undefined for a GPU service whose author named nothing: ECS always reads CloudWatch. */
  readonly metricsFrom?: ScalingMetricsSource;
  readonly scaleOutCooldownSeconds: number;
  readonly scaleInCooldownSeconds: number;
  readonly targetQueueSeconds: number;
  readonly metric: typeof METRICS.saturation;
  readonly cloudwatch: typeof CLOUDWATCH;
}

export function planScaling(spec: EngineServiceSpec, preset: Preset, resources: ResourcesPlan): ScalingPlan {
  const minReplicas = integer('minReplicas', spec.minReplicas, PRESET_MIN_REPLICAS[preset], 0, 10_000);
  if (minReplicas === 0 && spec.wakeSource === undefined) {
    throw new SpecError(
      'SCALE_TO_ZERO_WITHOUT_WAKE_SOURCE',
      'minReplicas',
      'must be at least 1, got 0: saturation is measured in the replicas, so a service without any would never start again',
    );
  }
  const maxReplicas = integer(
    'maxReplicas',
    spec.maxReplicas,
    defaultMaxReplicas(spec, minReplicas, resources),
    1,
    10_000,
  );
  if (maxReplicas < minReplicas) {
    throw new SpecError(
      'REPLICA_RANGE',
      'maxReplicas',
      `must be at least minReplicas (${minReplicas}), got ${maxReplicas}`,
    );
  }
  const metricsFrom = spec.metricsFrom ?? (resources.gpuCount === 0 ? 'cpu' : undefined);
  if (metricsFrom === 'cpu' && resources.gpuCount > 0) {
    throw new SpecError(
      'SCALING_METRIC_UNNAMED',
      'metricsFrom',
      `CPU use says nothing about a GPU, got 'cpu'; ${sources()}`,
    );
  }
  return {
    minReplicas,
    maxReplicas,
    targetSaturation: number('targetSaturation', spec.targetSaturation, DEFAULTS.targetSaturation, 0.05, 1),
    ...(metricsFrom === undefined ? {} : { metricsFrom }),
    scaleOutCooldownSeconds: DEFAULTS.scaleOutCooldownSeconds,
    scaleInCooldownSeconds: DEFAULTS.scaleInCooldownSeconds,
    targetQueueSeconds: DEFAULTS.targetQueueSeconds,
    metric: METRICS.saturation,
    cloudwatch: CLOUDWATCH,
  };
}

// Machines that are there for the service are used, but for the one replica that a rollout starts before it stops another.
function defaultMaxReplicas(spec: EngineServiceSpec, minReplicas: number, resources: ResourcesPlan): number {
  const wanted = Math.max(1, minReplicas) * DEFAULTS.maxReplicasPerMinReplica;
  const room = poolReplicas(spec.machines, resources);
  if (room === undefined) return wanted;
  return Math.max(1, minReplicas, Math.min(wanted, room - ((spec.spareReplica ?? true) ? 1 : 0)));
}

/**
 * The source a Kubernetes autoscaler needs.
 * @throws SpecError SCALING_METRIC_UNNAMED for a GPU service whose author named none.
 */
export function kubernetesMetricsSource(scaling: ScalingPlan): ScalingMetricsSource {
  if (scaling.metricsFrom !== undefined) return scaling.metricsFrom;
  throw new SpecError(
    'SCALING_METRIC_UNNAMED',
    'metricsFrom',
    `must be named for a GPU service on Kubernetes; ${sources()}`,
  );
}

function sources(): string {
  return "'keda' needs KEDA and a Prometheus that scrapes the pods, 'prometheus-adapter' needs that adapter serving slipway_saturation as a pod metric";
}
