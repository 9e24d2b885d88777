import { Annotations } from 'aws-cdk-lib';
import type { CfnPodIdentityAssociation } from 'aws-cdk-lib/aws-eks';
import * as eks from 'aws-cdk-lib/aws-eks-v2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import {
  machinesOf,
  namespaceLabels,
  PLAIN,
  planInferenceService,
  renderKubernetesObjects,
  SpecError,
  wakeSourceOf,
  type InferenceServicePlan,
  type InferenceServiceSpec,
  type KubernetesChoices,
  type ServiceObjects,
  type WakeOptions,
} from '../runtime/spec';
import { createPodIdentity } from './eks-pod-identity';
import { kebabCase } from './kebab-case';
import type { Model } from './model';
import { imageNeeds, RuntimeImage } from './runtime-image';

/** The words of the spec, flat, and what only this engine knows. A GPU service must say `metricsFrom`. */
export interface EksInferenceServiceProps
  extends Omit<InferenceServiceSpec, 'name' | 'models'>, Omit<KubernetesChoices, 'clientNamespaces'> {
  /** Name of the service and of its objects. @default - the construct's id in lower case, with dashes */
  readonly serviceName?: string;
  /** Of `aws-cdk-lib/aws-eks-v2`, with a kubectl provider: the CDK applies objects by its function. */
  readonly cluster: eks.ICluster;
  readonly namespace: string;
  /**
   * Whether the construct creates the namespace too, with Pod Security *restricted* enforced. Of several services in one
   * namespace at most one may: when it goes, the namespace goes, and everything in it. @default false
   */
  readonly createNamespace?: boolean;
  /** Models that every replica loads before it is ready. */
  readonly models: readonly Model[];
  /** Nodes pull it by their own role. @default - built from this package when the app is deployed */
  readonly image?: RuntimeImage;
  /** Label `cluster` of the saturation signal. @default 'kubernetes' */
  readonly clusterName?: string;
  /** Namespaces whose pods may call the service. @default - the service's own */
  readonly clientNamespaces?: readonly string[];
  /** What starts the first replica where minReplicas is 0. @default - nothing, so minReplicas is at least 1 */
  readonly wake?: WakeOptions;
}

type ObjectName = keyof ServiceObjects<string>;
/** Some objects only some services have. */
type Manifests = {
  readonly [Name in ObjectName]: Extract<ServiceObjects<string>[Name], undefined> | eks.KubernetesManifest;
};

/** Ids of the manifests; they are public API, like every construct's. */
const MANIFEST_IDS: Readonly<Record<ObjectName, string>> = {
  serviceAccount: 'ServiceAccount',
  networkPolicy: 'NetworkPolicy',
  gpuClaim: 'GpuClaim',
  deployment: 'Deployment',
  service: 'Service',
  podDisruptionBudget: 'PodDisruptionBudget',
  autoscaler: 'Autoscaler',
  interceptorRoute: 'InterceptorRoute',
  serviceMonitor: 'ServiceMonitor',
  prometheusRule: 'PrometheusRule',
  dashboard: 'Dashboard',
};

/**
 * A private, autoscaled inference endpoint on an EKS cluster: the same objects that Pulumi applies and `slipway render`
 * prints, applied by the cluster's own kubectl function, and EKS Pod Identity for the models.
 *
 * @example
 * const digits = new EksInferenceService(this, 'Digits', {
 *   cluster,
 *   namespace: 'inference',
 *   models: [Model.fromBucket(models, 'digits', { manifest: 'digits.manifest.json' })],
 * });
 */
export class EksInferenceService extends Construct {
  /** Every decided value. */
  readonly plan: InferenceServicePlan;
  /** Address inside the cluster. */
  readonly url: string;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly role: iam.Role;
  readonly podIdentity: CfnPodIdentityAssociation;
  readonly objects: ServiceObjects<string>;
  readonly manifests: Manifests;
  readonly namespaceManifest?: eks.KubernetesManifest;

  constructor(scope: Construct, id: string, props: EksInferenceServiceProps) {
    super(scope, id);
    const name = props.serviceName ?? kebabCase(id);
    const machines = machinesOf(props.placement);
    const wakeSource = wakeSourceOf(props.wake);
    this.plan = planInferenceService({
      ...props,
      name,
      models: props.models.map(({ spec }) => spec),
      ...(machines === undefined ? {} : { machines }),
      ...(wakeSource === undefined ? {} : { wakeSource }),
    });
    for (const warning of this.plan.warnings) Annotations.of(this).addWarningV2('slipway:service.pool', warning);
    assertKubectl(props.cluster);
    const { role, association, locations, binding } = createPodIdentity(this, { ...props, serviceAccountName: name });
    this.role = role;
    this.podIdentity = association;
    this.objects = renderKubernetesObjects<string>(this.plan, {
      ...props,
      ...PLAIN,
      models: locations,
      namespace: props.namespace,
      image: (props.image ?? RuntimeImage.fromAsset()).uri(this, imageNeeds(this.plan)).imageUri,
      clusterName: props.clusterName ?? 'kubernetes',
      identity: binding,
    });
    if (props.createNamespace === true) {
      this.namespaceManifest = this.apply(props.cluster, 'Namespace', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: props.namespace, labels: namespaceLabels(binding) },
      });
    }
    this.manifests = this.applyAll(props.cluster);
    this.url = `http://${name}.${props.namespace}.svc:${this.plan.ports.http}`;
  }

  private applyAll(cluster: eks.ICluster): Manifests {
    const entries = Object.entries(this.objects) as [ObjectName, object][];
    const applied = entries.map(([name, object]) => [name, this.apply(cluster, MANIFEST_IDS[name], object)] as const);
    for (const [, manifest] of applied) {
      if (this.namespaceManifest !== undefined) manifest.node.addDependency(this.namespaceManifest);
    }
    const manifests = Object.fromEntries(applied) as Record<string, eks.KubernetesManifest> as Manifests;
    // A pod without its account is refused, one without its policy would be open for a moment, and one that starts before
    // its identity is there is denied its model.
    manifests.deployment.node.addDependency(manifests.serviceAccount, manifests.networkPolicy, this.podIdentity);
    if (manifests.gpuClaim !== undefined) manifests.deployment.node.addDependency(manifests.gpuClaim);
    manifests.autoscaler.node.addDependency(manifests.deployment);
    return manifests;
  }

  private apply(cluster: eks.ICluster, id: string, object: object): eks.KubernetesManifest {
    return new eks.KubernetesManifest(this, id, {
      cluster,
      manifest: [object],
      // An object that somebody else made is not ours to take over; and each of ours is a resource of its own, which goes
      // when it leaves the template, so no label is needed to find what is left behind.
      overwrite: false,
      prune: false,
    });
  }
}

/** Whether the CDK can apply objects to a cluster. @throws SpecError KUBECTL_PROVIDER_MISSING */
export function assertKubectl(cluster: eks.ICluster): void {
  if (cluster.kubectlProvider !== undefined) return;
  throw new SpecError(
    'KUBECTL_PROVIDER_MISSING',
    'cluster',
    `'${cluster.node.path}' has no kubectl provider, by which the CDK applies objects; give kubectlProviderOptions with a kubectlLayer to a new cluster, or kubectlProvider to an imported one`,
  );
}
