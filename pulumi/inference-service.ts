import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import {
  adviseOnImage,
  decideService,
  kserveHost,
  machinesOf,
  namespaceLabels,
  NO_IDENTITY,
  SpecError,
  wakeSourceOf,
  type AutoscalerObject,
  type InferenceServicePlan,
  type InterceptorWake,
  type KubernetesChoices,
  type KubernetesRefs,
  type RouteOptions,
  type ScheduleWake,
  type ServiceChoices,
  type ServiceObjects,
  type ServingEngine,
  type WakeOptions,
} from '../runtime/spec';
import { logServiceCost } from './cost-line';
import { explained } from './failure-hooks';
import { declareKserve } from './kserve';
import { lateString, lateStrings, OUTPUTS } from './late-bound';
import { completeModel, type Model, type ModelArgs } from './model';
import { decideFor } from './refusal';
import { replicaTimeouts } from './replica-timeouts';
import { bindingOf, type ServiceIdentity } from './service-identity';
import { declareTraffic, DERIVED, trackRefs, type CanaryArgs, type ShadowArgs } from './traffic';

/** The words of the spec, flat, and what only Kubernetes and this engine know. */
export interface InferenceServiceArgs extends ServiceChoices, KubernetesChoices {
  /** Name of the service and of its objects. @default - the component's name */
  readonly serviceName?: string;
  /** Models that every replica serves: literals, or what `modelAt`, `modelInImage`, `modelOnVolume` or a bucket gives. */
  readonly models: ModelArgs[];
  /**
   * Types of the machines a replica may land on; it must fit each of them.
   * @default - those of the placement, where it says them; else for a GPU the first type of the catalogue that fits, for
   * a CPU none
   */
  readonly instanceTypes?: string[];
  readonly namespace: pulumi.Input<string>;
  /**
   * Whether the component creates the namespace too, with Pod Security *restricted* enforced and the labels that the
   * identity needs. Of several services in one namespace at most one may: when it goes, the namespace goes, and
   * everything in it. @default false
   */
  readonly createNamespace?: boolean;
  /** Image of the server, best by digest: `imageRepository.imageByDigest('sha256:…')`. */
  readonly image: pulumi.Input<string>;
  /** Identity by which replicas read their models. @default - none; the network policy keeps pods from the node's own */
  readonly identity?: ServiceIdentity;
  /** Label `cluster` of the saturation signal. @default 'kubernetes' */
  readonly clusterName?: pulumi.Input<string>;
  /** What starts the first replica where minReplicas is 0. @default - nothing, so minReplicas is at least 1 */
  readonly wake?: WakeArgs;
  /** How requests come from outside the cluster: by a Gateway. @default - only from inside, to the Service */
  readonly route?: RouteOptions;
  /** A second set of replicas with other models, that takes a share of the requests of the route. @default - none */
  readonly canary?: CanaryArgs;
  /** Replicas with other models that are sent copies of the requests of the route. @default - none */
  readonly shadow?: ShadowArgs;
  /** What makes the pods: a Deployment, or KServe from an InferenceService of its own. @default 'deployment' */
  readonly engine?: ServingEngine;
}

/** What starts a replica when there is none; exactly one of them. */
export interface WakeArgs {
  readonly interceptor?: InterceptorWake;
  readonly schedule?: ScheduleWake;
  readonly queue?: QueueWakeArgs;
}

/** Messages that wait: of any queue that KEDA has a scaler for. */
export interface QueueWakeArgs {
  /** KEDA's name of the scaler: 'aws-sqs-queue', 'gcp-pubsub', 'azure-servicebus', 'kafka', 'rabbitmq' … */
  readonly scaler: string;
  /** What that scaler is told, as KEDA's pages list it: all text. */
  readonly metadata: { readonly [key: string]: pulumi.Input<string> };
  /** Name of a TriggerAuthentication of the namespace. @default - the operator's own rights */
  readonly authentication?: string;
}

/**
 * A private, autoscaled inference endpoint on any Kubernetes cluster: Deployment, Service, ServiceAccount,
 * PodDisruptionBudget, NetworkPolicy and autoscaler, all within Pod Security *restricted*.
 *
 * A spec that contradicts itself is refused while the program runs, in one line under the component.
 *
 * @example
 * const digits = new InferenceService('digits', {
 *   namespace: 'inference',
 *   image: repository.imageByDigest(digest),
 *   models: [modelAt('s3://team-models', 'digits', { manifest: 'manifest.json' })],
 *   minReplicas: 1,
 *   maxReplicas: 4,
 * });
 * export const url = digits.url;
 */
export class InferenceService extends pulumi.ComponentResource {
  /**
   * Address for clients, known once the service is available: of the route where there is one, else inside the cluster.
   * Where an interceptor wakes the service clients call that one instead, by one of its hosts: here a replica answers or
   * nobody.
   */
  readonly url: pulumi.Output<string>;
  readonly namespace?: k8s.core.v1.Namespace;
  readonly serviceAccount: k8s.core.v1.ServiceAccount;
  readonly networkPolicy: k8s.networking.v1.NetworkPolicy;
  /** With Dynamic Resource Allocation: what every pod claims. */
  readonly gpuClaim?: k8s.resource.v1.ResourceClaimTemplate;
  /** With engine 'kserve' it is KServe's own. */
  readonly deployment?: k8s.apps.v1.Deployment;
  /** With engine 'kserve' it is KServe's own. */
  readonly service?: k8s.core.v1.Service;
  readonly podDisruptionBudget: k8s.policy.v1.PodDisruptionBudget;
  /** A dashboard of Grafana, where `monitoring` is on. */
  readonly dashboard?: k8s.core.v1.ConfigMap;

  constructor(name: string, args: InferenceServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:index:InferenceService', name, args, opts);
    const { plan, objects, traffic, further } = decideFor(this, () => decide(name, args), args);
    for (const warning of [...plan.warnings, ...traffic.warnings]) void pulumi.log.warn(warning, this);
    // Said of text alone: an output is what something made, or a secret.
    const advice = typeof args.image === 'string' ? adviseOnImage(args.image) : undefined;
    if (advice !== undefined) void pulumi.log.warn(advice, this);
    logServiceCost(this, plan, args);
    if (args.createNamespace === true) this.namespace = createNamespace(name, args, this);

    const child = { parent: this, dependsOn: this.namespace === undefined ? [] : [this.namespace] };
    // The provider waits for the Deployment, and for an endpoint behind the Service.
    const customTimeouts = replicaTimeouts(plan.lifecycle);

    // What a cluster may lack: kinds, GPUs, machines, rights to read.
    const watched = { ...child, ...explained(this, name) };

    this.serviceAccount = new k8s.core.v1.ServiceAccount(name, objects.serviceAccount, child);
    this.networkPolicy = new k8s.networking.v1.NetworkPolicy(name, objects.networkPolicy, child);
    const { gpuClaim, dashboard } = objects;
    if (gpuClaim !== undefined) this.gpuClaim = new k8s.resource.v1.ResourceClaimTemplate(name, gpuClaim, watched);
    const replicas = {
      ...watched,
      customTimeouts,
      // A pod without its account is refused, and one without its policy would be open for a moment.
      dependsOn: [
        ...child.dependsOn,
        this.serviceAccount,
        this.networkPolicy,
        ...(this.gpuClaim === undefined ? [] : [this.gpuClaim]),
      ],
    };
    const own: k8s.apiextensions.CustomResource[] = [];
    if ('inferenceService' in objects) {
      own.push(declareKserve(name, objects, replicas));
    } else {
      this.deployment = new k8s.apps.v1.Deployment(name, objects.deployment, replicas);
      const service = plan.scaling.minReplicas === 0 ? withoutAwait(objects.service) : objects.service;
      this.service = new k8s.core.v1.Service(name, service, { ...child, customTimeouts });
    }
    this.podDisruptionBudget = new k8s.policy.v1.PodDisruptionBudget(name, objects.podDisruptionBudget, child);
    if (dashboard !== undefined) this.dashboard = new k8s.core.v1.ConfigMap(name, dashboard, child);
    PARTS.set(this, {
      plan,
      ...('autoscaler' in objects ? { autoscaler: createAutoscaler(name, objects.autoscaler, watched) } : {}),
      ...(own[0] === undefined ? {} : { kserveService: own[0] }),
      ...createCustom(name, objects, watched),
    });

    const stable = [this.deployment, this.service, ...own].flatMap((resource) => resource ?? []);
    // Other tracks run as the same account.
    const track = { ...watched, dependsOn: [...child.dependsOn, this.serviceAccount] };
    const ready = [...stable, ...declareTraffic(name, further, traffic, stable, track)];
    const host = own.length > 0 ? kserveHost(plan) : plan.name;
    const port = own.length > 0 ? '' : `:${plan.ports.http}`;
    this.url = pulumi
      .all([args.namespace, pulumi.all(ready.map(({ id }) => id))])
      .apply(([namespace]) => traffic.route?.url ?? `http://${host}.${namespace}.svc${port}`);
    this.registerOutputs({ url: this.url });
  }

  /** Every decided value. */
  get plan(): InferenceServicePlan {
    return PARTS.get(this)!.plan;
  }

  /** A HorizontalPodAutoscaler, or KEDA's ScaledObject; with engine 'kserve' it is KServe's own. */
  get autoscaler(): Autoscaler | undefined {
    return PARTS.get(this)!.autoscaler;
  }

  /** With engine 'kserve': KServe's own InferenceService. */
  get kserveService(): k8s.apiextensions.CustomResource | undefined {
    return PARTS.get(this)!.kserveService;
  }

  /** Where an interceptor wakes the service: what it does with the requests. */
  get interceptorRoute(): k8s.apiextensions.CustomResource | undefined {
    return PARTS.get(this)!.interceptorRoute;
  }

  /** Where `monitoring` is on: what Prometheus scrapes. */
  get serviceMonitor(): k8s.apiextensions.CustomResource | undefined {
    return PARTS.get(this)!.serviceMonitor;
  }

  /** Where `monitoring` is on and has alarms. */
  get prometheusRule(): k8s.apiextensions.CustomResource | undefined {
    return PARTS.get(this)!.prometheusRule;
  }
}

type CustomPart = 'interceptorRoute' | 'serviceMonitor' | 'prometheusRule';
type Autoscaler = k8s.autoscaling.v2.HorizontalPodAutoscaler | k8s.apiextensions.CustomResource;

/** What the class may not have as fields: every one of them, private ones too, is an output of Pulumi's schema. */
interface Parts extends Partial<Record<CustomPart, k8s.apiextensions.CustomResource>> {
  readonly plan: InferenceServicePlan;
  readonly autoscaler?: Autoscaler;
  readonly kserveService?: k8s.apiextensions.CustomResource;
}

const PARTS = new WeakMap<InferenceService, Parts>();

/** Everything that can be refused, before the first child is declared. */
function decide(name: string, args: InferenceServiceArgs) {
  const serviceName = args.serviceName ?? name;
  const models = completeModels(args.models, 'models');
  const { instanceTypes, placement } = args;
  const wake = args.wake === undefined ? undefined : wakeOf(args.wake);
  const machines = machinesOf(placement);
  const wakeSource = wakeSourceOf(wake);
  const spec = {
    ...args,
    name: serviceName,
    models,
    ...(instanceTypes === undefined ? {} : { instanceTypes }),
    ...(machines === undefined ? {} : { machines }),
    ...(wakeSource === undefined ? {} : { wakeSource }),
  };
  const canary = args.canary && { ...args.canary, models: completeModels(args.canary.models, 'canary.models') };
  const shadow = args.shadow && { ...args.shadow, models: completeModels(args.shadow.models, 'shadow.models') };
  const choices = {
    ...(args.route === undefined ? {} : { route: args.route }),
    ...(canary === undefined ? {} : { canary }),
    ...(shadow === undefined ? {} : { shadow }),
    ...(wake === undefined ? {} : { wake }),
    ...(args.engine === undefined ? {} : { engine: args.engine }),
  };
  const decided = decideService(spec, choices, refsOf(args, models, wake), {
    ...DERIVED,
    ...(canary === undefined ? {} : { canary: trackRefs(canary.models, canary.image) }),
    ...(shadow === undefined ? {} : { shadow: trackRefs(shadow.models, shadow.image) }),
  });
  const account = args.identity?.serviceAccountName;
  if (account !== undefined && account !== serviceName) {
    throw new SpecError(
      'NAME_INVALID',
      'identity',
      `is bound to service account '${account}', but pods of this service run as '${serviceName}'; make the identity for '${serviceName}'`,
    );
  }
  return decided;
}

function completeModels(models: readonly ModelArgs[], path: string): readonly Model[] {
  return models.map((model, i) => completeModel(model, `${path}[${i}]`));
}

function wakeOf({ interceptor, schedule, queue }: WakeArgs): WakeOptions<pulumi.Output<string>> {
  return {
    ...(interceptor === undefined ? {} : { interceptor }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(queue === undefined ? {} : { queue: { ...queue, metadata: lateStrings(queue.metadata) } }),
  };
}

function refsOf(
  { namespace, image, clusterName, identity, wake: _wake, ...choices }: InferenceServiceArgs,
  models: readonly Model[],
  wake: WakeOptions<pulumi.Output<string>> | undefined,
): KubernetesRefs<pulumi.Output<string>> {
  return {
    ...choices,
    ...OUTPUTS,
    ...trackRefs(models, image),
    namespace: lateString(namespace),
    image: lateString(image),
    clusterName: lateString(clusterName ?? 'kubernetes'),
    ...(identity === undefined ? {} : { identity: bindingOf(identity) }),
    ...(wake === undefined ? {} : { wake }),
  };
}

function createNamespace(
  name: string,
  args: InferenceServiceArgs,
  parent: pulumi.ComponentResource,
): k8s.core.v1.Namespace {
  const labels = namespaceLabels(args.identity === undefined ? NO_IDENTITY : bindingOf(args.identity));
  return new k8s.core.v1.Namespace(name, { metadata: { name: args.namespace, labels } }, { parent });
}

/** The provider waits for a replica behind a Service, and would wait in vain for one that may have none. */
function withoutAwait<S>(service: ServiceObjects<S>['service']): ServiceObjects<S>['service'] {
  const { metadata } = service;
  const annotations = { ...metadata.annotations, 'pulumi.com/skipAwait': 'true' };
  return { ...service, metadata: { ...metadata, annotations } };
}

function createAutoscaler(
  name: string,
  object: AutoscalerObject<pulumi.Output<string>>,
  opts: pulumi.CustomResourceOptions,
): Autoscaler {
  if (object.kind === 'ScaledObject') return new k8s.apiextensions.CustomResource(name, object, opts);
  // The rendered object is complete; its metrics are of several shapes, which the renderer types as plain records.
  const spec = object.spec as object as k8s.types.input.autoscaling.v2.HorizontalPodAutoscalerSpec;
  return new k8s.autoscaling.v2.HorizontalPodAutoscaler(name, { ...object, spec }, opts);
}

function createCustom(
  name: string,
  objects: Pick<ServiceObjects<pulumi.Output<string>>, CustomPart>,
  opts: pulumi.CustomResourceOptions,
): Partial<Record<CustomPart, k8s.apiextensions.CustomResource>> {
  const parts = ['interceptorRoute', 'serviceMonitor', 'prometheusRule'] as const;
  return Object.fromEntries(
    parts.flatMap((part) => {
      const object = objects[part];
      return object === undefined ? [] : [[part, new k8s.apiextensions.CustomResource(name, object, opts)]];
    }),
  );
}
