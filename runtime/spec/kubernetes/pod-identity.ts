import type { IdentityBinding } from './identity-binding';

/** Where the EKS Pod Identity agent answers on every node. */
const AGENT = { cidr: '169.254.170.23/32', port: 80 } as const;

/** EKS Pod Identity: no key, no annotation, no OIDC provider; a pod asks the agent of its node. */
export function podIdentityBinding<S>(region: string | S): IdentityBinding<S> {
  return {
    serviceAccountAnnotations: {},
    podLabels: {},
    namespaceLabels: {},
    egress: [AGENT],
    environment: { AWS_REGION: region },
  };
}

/**
 * The session tags that EKS sets when it assumes a role for a pod: pods of one service account of one cluster, and nobody
 * else, may have it.
 */
export function podIdentityConditions<S>(
  clusterName: S,
  namespace: S,
  serviceAccount: string,
): Record<string, S | string> {
  return {
    'aws:RequestTag/eks-cluster-name': clusterName,
    'aws:RequestTag/kubernetes-namespace': namespace,
    'aws:RequestTag/kubernetes-service-account': serviceAccount,
  };
}

/** Labels of a namespace that a service creates for itself: Pod Security *restricted*, which every object of it fits. */
export function namespaceLabels<S>(identity: Pick<IdentityBinding<S>, 'namespaceLabels'>): Record<string, string> {
  return {
    'pod-security.kubernetes.io/enforce': 'restricted',
    'pod-security.kubernetes.io/enforce-version': 'latest',
    'pod-security.kubernetes.io/warn': 'restricted',
    ...identity.namespaceLabels,
  };
}
