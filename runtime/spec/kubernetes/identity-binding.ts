/** One destination that a pod must reach: addresses and a TCP port. */
export interface EgressRule {
  readonly cidr: string;
  readonly port: number;
}

/**
 * How a cloud ties a pod to an identity that may read its models: what has to stand on the service account, the pod
 * and the namespace, what the pod must reach to get its credentials, and variables of the cloud's own SDK.
 */
export interface IdentityBinding<S = string> {
  readonly serviceAccountAnnotations: { readonly [key: string]: string | S };
  readonly podLabels: { readonly [key: string]: string };
  readonly namespaceLabels: { readonly [key: string]: string };
  readonly egress: EgressRule[];
  readonly environment: { readonly [key: string]: string | S };
}

export const NO_IDENTITY: IdentityBinding<never> = {
  serviceAccountAnnotations: {},
  podLabels: {},
  namespaceLabels: {},
  egress: [],
  environment: {},
};
