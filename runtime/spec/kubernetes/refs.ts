import type { ContainerRefs } from '../environment';
import type { IdentityBinding } from './identity-binding';
import type { Placement } from './placement';

/** What only deployment knows about a service on Kubernetes. */
export interface KubernetesRefs<S> extends Omit<ContainerRefs<S>, 'cloudwatchMetrics' | 'clusterName'> {
  readonly namespace: string | S;
  /** Image of the server, best by digest. */
  readonly image: string | S;
  /** Dimension of the saturation signal. */
  readonly clusterName: string | S;
  /** @default - any node */
  readonly placement?: Placement;
  /** @default - none; the network policy keeps pods from the credentials of their node */
  readonly identity?: IdentityBinding<S>;
  /**
   * Namespaces whose pods may call the service, by their `kubernetes.io/metadata.name`.
   * @default - the service's own namespace
   */
  readonly clientNamespaces?: readonly string[];
  /** Namespace of the Prometheus that scrapes the pods. @default 'monitoring' */
  readonly monitoringNamespace?: string;
  /** Where KEDA asks for the saturation signal. @default 'http://prometheus-operated.monitoring.svc:9090' */
  readonly prometheusUrl?: string;
}

export const KUBERNETES_DEFAULTS = {
  monitoringNamespace: 'monitoring',
  prometheusUrl: 'http://prometheus-operated.monitoring.svc:9090',
} as const;
