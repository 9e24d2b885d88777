import type { ContainerRefs } from '../environment';
import type { IdentityBinding } from './identity-binding';
import type { ModelMount } from './model-mounts';
import type { NetworkPolicyPeer } from './objects';
import type { KubernetesChoices, WakeOptions } from './options';

/** What only deployment knows about a service on Kubernetes, and what its author decides there alone. */
export interface KubernetesRefs<S>
  extends Omit<ContainerRefs<S>, 'cloudwatchMetrics' | 'clusterName'>, Omit<KubernetesChoices, 'clientNamespaces'> {
  readonly namespace: string | S;
  /** Image of the server, best by digest. */
  readonly image: string | S;
  /** Dimension of the saturation signal. */
  readonly clusterName: string | S;
  /** @default - none; the network policy keeps pods from the credentials of their node */
  readonly identity?: IdentityBinding<S>;
  /** @default - the name of the service; a canary runs as the service that it may replace */
  readonly serviceAccountName?: string;
  /** What passes requests on to the service, beside its clients. @default - nothing */
  readonly gatewayPeers?: readonly NetworkPolicyPeer[];
  /** Namespaces whose pods may call the service. @default - the service's own */
  readonly clientNamespaces?: readonly string[];
  /** What models lie in that are not fetched, by model name. @default - every model is fetched */
  readonly mounts?: Readonly<Record<string, ModelMount<S>>>;
  /** @default - nothing starts a replica when there is none */
  readonly wake?: WakeOptions<S>;
}

export const KUBERNETES_DEFAULTS = {
  monitoringNamespace: 'monitoring',
  prometheusUrl: 'http://prometheus-operated.monitoring.svc:9090',
} as const;
