import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import {
  namespaceLabels,
  NO_IDENTITY,
  planInferenceService,
  renderKubernetesObjects,
  SpecError,
  type AutoscalerObject,
  type IdentityBinding,
  type InferenceServicePlan,
  type InferenceServiceSpec,
  type ModelLocation,
  type Placement,
  type ServiceObjects,
} from '../runtime/spec';
import { lateString, OUTPUTS } from './late-bound';
import type { Model } from './model';
import { decideFor } from './refusal';

/** How pods of a service get their identity, and the service account that the cloud was told about. */
export interface ServiceIdentity extends IdentityBinding<pulumi.Output<string>> {
  /** @default - any; the cloud does not ask for a certain one */
  readonly serviceAccountName?: string;
}

/** The words of the spec, flat, and what only this engine knows. */
export interface InferenceServiceArgs extends Omit<InferenceServiceSpec, 'name' | 'models'> {
  /** Name of the service and of its objects. @default - the component's name */
  readonly serviceName?: string;
  /** Models that every replica serves: from `modelAt`, or from a model bucket. */
  readonly models: readonly Model[];
  readonly namespace: pulumi.Input<string>;
  /**
   * Whether the component creates the namespace too, with Pod Security *restricted* enforced and the labels that the
   * identity needs. Of several services in one namespace at most one may: when it goes, the namespace goes, and
   * everything in it. @default false
   */
  readonly createNamespace?: boolean;
  /** Image of the server, best by digest: `imageRepository.imageByDigest('sha256:…')`. */
  readonly image: pulumi.Input<string>;
  /** Nodes that replicas may land on. @default - any node */
  readonly placement?: Placement;
  /** Identity by which replicas read their models. @default - none; the network policy keeps pods from the node's own */
  readonly identity?: ServiceIdentity;
  /** Label `cluster` of the saturation signal. @default 'kubernetes' */
  readonly clusterName?: pulumi.Input<string>;
  /** Namespaces whose pods may call the service. @default - the service's own */
  readonly clientNamespaces?: readonly string[];
  /** Namespace of the Prometheus that scrapes the pods. @default 'monitoring' */
  readonly monitoringNamespace?: string;
  /** Where KEDA asks for the saturation signal. @default 'http://prometheus-operated.monitoring.svc:9090' */
  readonly prometheusUrl?: string;
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
  /** Every decided value. */
  readonly plan: InferenceServicePlan;
  /** Address inside the cluster, known once the service is available. */
  readonly url: pulumi.Output<string>;
  readonly namespace?: k8s.core.v1.Namespace;
  readonly serviceAccount: k8s.core.v1.ServiceAccount;
  readonly networkPolicy: k8s.networking.v1.NetworkPolicy;
  readonly deployment: k8s.apps.v1.Deployment;
  readonly service: k8s.core.v1.Service;
  readonly podDisruptionBudget: k8s.policy.v1.PodDisruptionBudget;
  /** A HorizontalPodAutoscaler, or KEDA's ScaledObject. */
  readonly autoscaler: k8s.autoscaling.v2.HorizontalPodAutoscaler | k8s.apiextensions.CustomResource;

  constructor(name: string, args: InferenceServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:index:InferenceService', name, args, opts);
    const { plan, objects } = decideFor(this, () => decide(name, args));
    this.plan = plan;
    if (args.createNamespace === true) this.namespace = createNamespace(name, args, this);

    const child = { parent: this, dependsOn: this.namespace === undefined ? [] : [this.namespace] };
    // The provider waits for the Deployment and for an endpoint behind the Service, by default ten minutes each: a GPU
    // machine alone may take longer to come.
    const awaited = `${plan.lifecycle.awaitTimeoutSeconds}s`;
    const customTimeouts = { create: awaited, update: awaited };
    // Replicas finish their requests before they go, which may take longer than the provider's ten minutes.
    const drained = `${PROVIDER_TIMEOUT_SECONDS + plan.lifecycle.stopTimeoutSeconds}s`;

    this.serviceAccount = new k8s.core.v1.ServiceAccount(name, objects.serviceAccount, child);
    this.networkPolicy = new k8s.networking.v1.NetworkPolicy(name, objects.networkPolicy, child);
    this.deployment = new k8s.apps.v1.Deployment(name, objects.deployment, {
      ...child,
      customTimeouts: { ...customTimeouts, delete: drained },
      // A pod without its account is refused, and one without its policy would be open for a moment.
      dependsOn: [...child.dependsOn, this.serviceAccount, this.networkPolicy],
    });
    this.service = new k8s.core.v1.Service(name, objects.service, { ...child, customTimeouts });
    this.podDisruptionBudget = new k8s.policy.v1.PodDisruptionBudget(name, objects.podDisruptionBudget, child);
    this.autoscaler = createAutoscaler(name, objects.autoscaler, child);

    this.url = pulumi
      .all([this.service.metadata, this.deployment.id])
      .apply(([service]) => `http://${service.name}.${service.namespace}.svc:${plan.ports.http}`);
    this.registerOutputs({ url: this.url });
  }
}

const PROVIDER_TIMEOUT_SECONDS = 600;

/** Everything that can be refused, before the first child is declared. */
function decide(name: string, args: InferenceServiceArgs) {
  const serviceName = args.serviceName ?? name;
  const plan = planInferenceService({ ...args, name: serviceName });
  const account = args.identity?.serviceAccountName;
  if (account !== undefined && account !== serviceName) {
    throw new SpecError(
      'NAME_INVALID',
      'identity',
      `is bound to service account '${account}', but pods of this service run as '${serviceName}'; make the identity for '${serviceName}'`,
    );
  }
  return { plan, objects: render(plan, args) };
}

function render(plan: InferenceServicePlan, args: InferenceServiceArgs): ServiceObjects<pulumi.Output<string>> {
  const { placement, identity, clientNamespaces, monitoringNamespace, prometheusUrl } = args;
  return renderKubernetesObjects<pulumi.Output<string>>(plan, {
    ...OUTPUTS,
    models: Object.fromEntries(
      args.models.map(({ name, folder }): [string, ModelLocation<pulumi.Output<string>>] => [name, { folder }]),
    ),
    namespace: lateString(args.namespace),
    image: lateString(args.image),
    clusterName: lateString(args.clusterName ?? 'kubernetes'),
    ...(placement === undefined ? {} : { placement }),
    ...(identity === undefined ? {} : { identity }),
    ...(clientNamespaces === undefined ? {} : { clientNamespaces }),
    ...(monitoringNamespace === undefined ? {} : { monitoringNamespace }),
    ...(prometheusUrl === undefined ? {} : { prometheusUrl }),
  });
}

function createNamespace(
  name: string,
  args: InferenceServiceArgs,
  parent: pulumi.ComponentResource,
): k8s.core.v1.Namespace {
  const labels = namespaceLabels(args.identity ?? NO_IDENTITY);
  return new k8s.core.v1.Namespace(name, { metadata: { name: args.namespace, labels } }, { parent });
}

function createAutoscaler(
  name: string,
  object: AutoscalerObject<pulumi.Output<string>>,
  opts: pulumi.CustomResourceOptions,
): InferenceService['autoscaler'] {
  if (object.kind === 'ScaledObject') return new k8s.apiextensions.CustomResource(name, object, opts);
  // The rendered object is complete; its metrics are of several shapes, which the renderer types as plain records.
  const spec = object.spec as object as k8s.types.input.autoscaling.v2.HorizontalPodAutoscalerSpec;
  return new k8s.autoscaling.v2.HorizontalPodAutoscaler(name, { ...object, spec }, opts);
}
