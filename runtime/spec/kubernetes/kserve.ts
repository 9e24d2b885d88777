import { SpecError } from '../errors';
import type { InferenceServicePlan } from '../inference-service-plan';
import type {
  AutoscalerObject,
  ContainerObject,
  ObjectMetadata,
  PodSpecObject,
  ServiceMonitorObject,
  ServiceObjects,
} from './objects';
import { decimalQuantity } from './quantity';
import type { KubernetesRefs } from './refs';
import { renderKubernetesObjects } from './render';
import { trackMonitoring, type TrackRefs } from './render-traffic';
import type { CanaryPlan } from './traffic';

/** What KServe is given instead of Deployment, Service and autoscaler; the rest is the same object as without it. */
export interface KserveObjects<S> extends Omit<ServiceObjects<S>, 'deployment' | 'service' | 'autoscaler'> {
  readonly servingRuntime: ServingRuntimeObject<S>;
  readonly inferenceService: KserveInferenceServiceObject<S>;
  /** Of a canary: what selects its pods, and its runtime, which its predictor names. */
  readonly canary?: KserveCanaryObjects<S>;
}

export type KserveCanaryObjects<S> = Omit<KserveObjects<S>, 'serviceAccount' | 'inferenceService' | 'canary'>;

/** How our server is run, whatever the model: KServe's own schema, which is still v1alpha1 in its release 0.20. */
export interface ServingRuntimeObject<S> {
  apiVersion: 'serving.kserve.io/v1alpha1';
  kind: 'ServingRuntime';
  metadata: ObjectMetadata<S>;
  spec: {
    supportedModelFormats: { name: string; version: string; autoSelect: boolean }[];
    protocolVersions: string[];
    multiModel: false;
    containers: Omit<ContainerObject<S>, 'env' | 'resources'>[];
  };
}

export interface KserveInferenceServiceObject<S> {
  apiVersion: 'serving.kserve.io/v1beta1';
  kind: 'InferenceService';
  metadata: ObjectMetadata<S>;
  spec: {
    predictor: Record<string, unknown>;
    canary?: { trafficPercent: number; predictor: Record<string, unknown> }[];
  };
}

/** Name of the one container of a predictor that KServe looks for. */
const CONTAINER = 'kserve-container';

/** What an author may say of a service that KServe has no word for. */
export interface KserveChoices {
  readonly route?: unknown;
  readonly shadow?: unknown;
  readonly wake?: unknown;
  readonly canary?: { readonly verdict?: unknown; readonly replicas?: number };
}

/**
 * Refuses what KServe cannot do, by its name, instead of leaving it out.
 * @throws SpecError KSERVE_UNSUPPORTED.
 */
export function assertKserveCan(plan: InferenceServicePlan, { route, shadow, wake, canary }: KserveChoices): void {
  const reasons: readonly (readonly [path: string, isAsked: boolean, reason: string])[] = [
    ['route', route !== undefined, 'KServe makes the route itself, by the Gateway of its own configuration'],
    ['shadow', shadow !== undefined, 'KServe copies no requests'],
    [
      'canary.verdict',
      canary?.verdict !== undefined,
      'the shares stand in its InferenceService, which a judge may not change',
    ],
    ['wake', wake !== undefined, 'in Standard mode it starts no first replica'],
    ['metricsFrom', plan.scaling.metricsFrom === 'prometheus-adapter', "it scales by 'keda' or 'cpu' alone"],
  ];
  const [found] = reasons.filter(([, isAsked]) => isAsked);
  if (found === undefined) return;
  const [path, , reason] = found;
  throw new SpecError(
    'KSERVE_UNSUPPORTED',
    path,
    `cannot be had with engine 'kserve': ${reason}; leave it out, or use engine 'deployment'`,
  );
}

/**
 * The objects of a service on KServe, in Standard mode (plain Deployments, which KServe makes): our ServingRuntime, and an
 * InferenceService that uses it. Everything in them is taken from the objects of the Deployment engine, so that a replica is
 * the same on both. Read against KServe 0.20.
 *
 * There is no `storageUri`: our server fetches by SLIPWAY_MODELS itself, for KServe's storage initializer holds no file to
 * its digest, fetches one model where a service may have several, and would make every replica load twice.
 *
 * What KServe decides: a rollout counts as failed after its own 600 s, though it goes on; of the autoscaler's behaviour it
 * keeps the stabilisation windows.
 */
export function renderKserveObjects<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  canary?: CanaryPlan,
  canaryRefs?: TrackRefs<S>,
): KserveObjects<S> {
  const { deployment, service: _service, autoscaler, ...same } = renderKubernetesObjects(plan, refs);
  const ofCanary = canary && canaryRefs && renderCanary(plan, refs, canary, canaryRefs);
  return {
    ...same,
    ...(same.serviceMonitor === undefined ? {} : { serviceMonitor: named(same.serviceMonitor, plan.name) }),
    servingRuntime: servingRuntime(deployment),
    inferenceService: {
      apiVersion: 'serving.kserve.io/v1beta1',
      kind: 'InferenceService',
      metadata: {
        ...deployment.metadata,
        annotations: {
          'serving.kserve.io/deploymentMode': 'Standard',
          'serving.kserve.io/autoscalerClass': autoscaler.kind === 'ScaledObject' ? 'keda' : 'hpa',
        },
      },
      spec: {
        predictor: {
          minReplicas: plan.scaling.minReplicas,
          maxReplicas: plan.scaling.maxReplicas,
          autoScaling: autoScaling(plan, autoscaler),
          ...predictor(deployment, {}),
        },
        ...(ofCanary === undefined ? {} : { canary: [ofCanary.entry] }),
      },
    },
    ...(ofCanary === undefined ? {} : { canary: ofCanary.objects }),
  };
}

/** What a client inside the cluster calls: the Service that KServe makes listens on port 80. */
export function kserveHost(plan: InferenceServicePlan): string {
  return `${plan.name}-predictor`;
}

function renderCanary<S>(
  stable: InferenceServicePlan,
  { wake: _wake, mounts: _mounts, ...refs }: KubernetesRefs<S>,
  { plan, percent }: CanaryPlan,
  canaryRefs: TrackRefs<S>,
): { entry: { trafficPercent: number; predictor: Record<string, unknown> }; objects: KserveCanaryObjects<S> } {
  const { minReplicas } = plan.scaling;
  if (minReplicas > stable.scaling.minReplicas) {
    throw new SpecError(
      'KSERVE_UNSUPPORTED',
      'canary.replicas',
      `must be at most minReplicas (${stable.scaling.minReplicas}) with engine 'kserve', which takes the canary's replicas off the service's, got ${minReplicas}`,
    );
  }
  const rendered = renderKubernetesObjects(plan, {
    ...refs,
    ...canaryRefs,
    serviceAccountName: stable.name,
    monitoring: trackMonitoring(refs, stable.scaling, true),
  });
  const { deployment, serviceAccount: _account, service: _service, autoscaler: _autoscaler, ...same } = rendered;
  return {
    entry: {
      trafficPercent: percent,
      // A canary on KServe has no autoscaler. Its schema asks for a name of the model, which its webhook wants to be empty.
      predictor: { name: 'canary', minReplicas, ...predictor(deployment, { name: '' }) },
    },
    objects: {
      ...same,
      ...(same.serviceMonitor === undefined ? {} : { serviceMonitor: named(same.serviceMonitor, plan.name) }),
      servingRuntime: servingRuntime(deployment),
    },
  };
}

function servingRuntime<S>({ metadata, spec }: ServiceObjects<S>['deployment']): ServingRuntimeObject<S> {
  const { env: _env, resources: _resources, ...container } = spec.template.spec.containers[0]!;
  return {
    apiVersion: 'serving.kserve.io/v1alpha1',
    kind: 'ServingRuntime',
    metadata,
    spec: {
      // Chosen by name alone: KServe's own runtimes serve ONNX, too, and nobody else's model is to come here.
      supportedModelFormats: [{ name: 'onnx', version: '1', autoSelect: false }],
      protocolVersions: ['v2', 'grpc-v2'],
      multiModel: false,
      containers: [{ ...container, name: CONTAINER }],
    },
  };
}

/** Labels and annotations of the pods, what is around the container, and what of it belongs to the models. */
function predictor<S>(
  { metadata, spec }: ServiceObjects<S>['deployment'],
  model: Record<string, string>,
): Record<string, unknown> {
  const { containers, ...pod }: PodSpecObject<S> = spec.template.spec;
  const { env, resources } = containers[0]!;
  return {
    ...spec.template.metadata,
    ...pod,
    deploymentStrategy: spec.strategy,
    model: {
      ...model,
      modelFormat: { name: 'onnx' },
      protocolVersion: 'v2',
      runtime: metadata.name,
      env,
      // Without them KServe fills in its own, which would win over the runtime's.
      resources,
    },
  };
}

function autoScaling<S>({ scaling }: InferenceServicePlan, autoscaler: AutoscalerObject<S>): Record<string, unknown> {
  if (autoscaler.kind === 'HorizontalPodAutoscaler') {
    const averageUtilization = Math.round(scaling.targetSaturation * 100);
    return {
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } }],
      behavior: autoscaler.spec.behavior,
    };
  }
  const { serverAddress, query } = autoscaler.spec.triggers[0]!.metadata;
  return {
    metrics: [
      {
        type: 'External',
        external: {
          metric: { backend: 'prometheus', serverAddress, query },
          // KServe hands `value` to KEDA as its threshold, and KEDA divides by the replicas.
          target: { type: 'Value', value: decimalQuantity(scaling.targetSaturation) },
        },
      },
    ],
    behavior: autoscaler.spec.advanced.horizontalPodAutoscalerConfig.behavior,
  };
}

/** The Service is KServe's and has another name than ours; metrics keep the name of the service, which everything asks for. */
function named<S>(monitor: ServiceMonitorObject<S>, service: string): ServiceMonitorObject<S> {
  const relabelings = [{ targetLabel: 'service', replacement: service }];
  const endpoints = monitor.spec.endpoints.map((endpoint) => ({ ...endpoint, relabelings }));
  return { ...monitor, spec: { ...monitor.spec, endpoints } };
}
