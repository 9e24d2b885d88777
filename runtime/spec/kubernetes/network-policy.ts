import type { InferenceServicePlan } from '../inference-service-plan';
import type { IdentityBinding } from './identity-binding';
import { objectMetadata, podSelector } from './metadata';
import type { NetworkPolicyObject, NetworkPolicyPeer } from './objects';
import { KUBERNETES_DEFAULTS, type KubernetesRefs } from './refs';
import { interceptorNamespace } from './wake';

/** Where NodeLocal DNSCache listens on every node, by its own default. */
export const NODE_LOCAL_DNS = '169.254.20.10/32';

const HTTPS = 443;

/**
 * Closed both ways. In: the service's clients, and Prometheus on the metrics port. Out: names, and where models are
 * fetched, their bucket over HTTPS and whatever the cloud's identity needs. A policy that blocks the model download looks
 * fine until there is a network, so egress is computed and never written by hand.
 */
export function renderNetworkPolicy<S>(
  plan: InferenceServicePlan,
  refs: KubernetesRefs<S>,
  identity: IdentityBinding<S>,
): NetworkPolicyObject<S> {
  const interceptor = refs.wake?.interceptor;
  const from = [
    ...clients(refs.clientNamespaces),
    ...(interceptor === undefined ? [] : [namespace(interceptorNamespace(interceptor))]),
    ...(refs.gatewayPeers ?? []),
  ];
  const monitoring = refs.monitoringNamespace ?? KUBERNETES_DEFAULTS.monitoringNamespace;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: objectMetadata(plan, refs),
    spec: {
      podSelector: { matchLabels: podSelector(plan) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        // A rule whose list of senders is empty would let everybody in: no clients is no rule.
        ...(from.length === 0
          ? []
          : [{ from, ports: ['http', 'grpc'].map((port) => ({ protocol: 'TCP' as const, port })) }]),
        { from: [namespace(monitoring)], ports: [{ protocol: 'TCP', port: 'metrics' }] },
      ],
      egress: [
        {
          // By namespace, for CoreDNS is labelled differently from cluster to cluster; NodeLocal DNSCache answers on the node.
          to: [namespace('kube-system'), { ipBlock: { cidr: NODE_LOCAL_DNS } }],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
        ...(plan.models.some(({ delivery }) => delivery === 'fetch') ? fetching(identity) : []),
      ],
    },
  };
}

/**
 * What a fetch needs: the bucket, and what gives the credentials for it. Images and volumes are brought by the node, so a
 * pod that fetches nothing reaches neither.
 */
function fetching<S>({ egress }: IdentityBinding<S>): NetworkPolicyObject<S>['spec']['egress'] {
  return [
    // The bucket has no fixed addresses, so the port is the narrowest thing that can be said.
    { ports: [{ protocol: 'TCP', port: HTTPS }] },
    ...egress
      .filter(({ port }) => port !== HTTPS)
      .map(({ cidr, port }) => ({ to: [{ ipBlock: { cidr } }], ports: [{ protocol: 'TCP' as const, port }] })),
  ];
}

function clients(namespaces: readonly string[] | undefined): NetworkPolicyPeer[] {
  return namespaces === undefined ? [{ podSelector: {} }] : namespaces.map(namespace);
}

/** Every pod of a namespace. */
export function namespace(name: string): NetworkPolicyPeer {
  return { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } };
}
