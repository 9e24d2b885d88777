import type * as pulumi from '@pulumi/pulumi';
import { NO_IDENTITY, type EgressRule, type IdentityBinding } from '../runtime/spec';
import { lateStrings } from './late-bound';

/**
 * How pods of a service get their identity: what a `WorkloadIdentity` gives, or, for one that exists already, a literal
 * that says what its cloud needs.
 */
export interface ServiceIdentity {
  /** Service account that the cloud was told about. @default - any; the cloud does not ask for a certain one */
  readonly serviceAccountName?: string;
  readonly serviceAccountAnnotations?: { readonly [key: string]: pulumi.Input<string> };
  readonly podLabels?: { readonly [key: string]: string };
  /** Of a namespace that the service creates; another one must have them already. */
  readonly namespaceLabels?: { readonly [key: string]: string };
  /** What pods must reach to get their credentials. */
  readonly egress?: EgressRule[];
  /** Variables of the cloud's own SDK. */
  readonly environment?: { readonly [key: string]: pulumi.Input<string> };
}

/** The identity as the renderer takes it. */
export function bindingOf(identity: ServiceIdentity): IdentityBinding<pulumi.Output<string>> {
  const { serviceAccountAnnotations = {}, podLabels, namespaceLabels, egress, environment = {} } = identity;
  return {
    serviceAccountAnnotations: lateStrings(serviceAccountAnnotations),
    podLabels: podLabels ?? NO_IDENTITY.podLabels,
    namespaceLabels: namespaceLabels ?? NO_IDENTITY.namespaceLabels,
    egress: egress ?? NO_IDENTITY.egress,
    environment: lateStrings(environment),
  };
}
