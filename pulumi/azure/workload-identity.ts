import { FederatedIdentityCredential, UserAssignedIdentity } from '@pulumi/azure-native/managedidentity';
import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../../runtime/spec';
import { assertModelName } from '../../runtime/spec/model-repository';
import { groupGrants, type Grantable, type GrantGroup } from '../grant-names';
import { decideFor } from '../refusal';
import type { ServiceIdentity } from '../service-identity';
import type { ClusterFacts } from './cluster-facts';
import type { BucketFacts } from './model-bucket';
import { readCondition } from './read-condition';
import { assignRole } from './role-assignment';

export interface WorkloadIdentityArgs {
  readonly cluster: ClusterFacts;
  readonly namespace: pulumi.Input<string>;
  /** Service account of the pods: the name of their service. @default - the component's name */
  readonly serviceAccountName?: string;
  /** Models that the pods may read, each by its own prefix and nothing else of the bucket. */
  readonly reads: ReadableModel[];
  /**
   * Client id of a user-assigned identity that may read them already, and trusts these pods: none is made.
   * @default - makes one
   */
  readonly existingClientId?: pulumi.Input<string>;
  /** Of the identity; role assignments have none. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/** A model of a bucket, as `bucket.model` and `bucket.modelFromFile` return it. */
export interface ReadableModel {
  readonly name: string;
  readonly bucket: BucketFacts;
}

/**
 * The right of one service's pods to read their models, by Entra Workload ID: no key and no secret. A user-assigned
 * identity trusts tokens of this one service account, and reads blobs below the prefixes of its models.
 * The cluster needs its OIDC issuer and its workload identity switched on.
 *
 * @example
 * const identity = new WorkloadIdentity('digits', { cluster, namespace: 'inference', reads: [digits] });
 */
export class WorkloadIdentity extends pulumi.ComponentResource {
  /** Undefined where `existingClientId` was given, as the credential is. */
  readonly identity?: UserAssignedIdentity;
  readonly credential?: FederatedIdentityCredential;
  readonly clientId: pulumi.Output<string>;
  /** For `identity` of the service. Pods wait for their rights; Azure takes some minutes more until these hold. */
  readonly binding: ServiceIdentity;

  constructor(name: string, args: WorkloadIdentityArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:azure:WorkloadIdentity', name, args, opts);
    const rights = decideFor(this, () => planRights(args.reads), args);
    const serviceAccountName = args.serviceAccountName ?? name;
    if (args.existingClientId === undefined) {
      const { identity, credential } = trustPods(name, args, serviceAccountName, this);
      const grants = rights.map(({ bucket, condition }, i) =>
        assignRole(
          `${name}-read${bucket.suffix}`,
          { role: 'blobDataReader', scope: bucket.id, principalId: identity.principalId, condition },
          { parent: this, aliases: [{ name: `${name}-read-${i}` }] },
        ),
      );
      this.identity = identity;
      this.credential = credential;
      this.clientId = pulumi
        .all([identity.clientId, credential.id, ...grants.map(({ id }) => id)])
        .apply(([clientId]) => clientId!);
    } else {
      this.clientId = pulumi.output(args.existingClientId);
    }
    this.binding = { ...bindingOf(this.clientId), serviceAccountName };
    this.registerOutputs({ clientId: this.clientId });
  }
}

/**
 * AKS's webhook sees label and annotation, and gives the pod a token and the variables by which Azure's libraries change it
 * for one of Entra: at a public address that has no fixed numbers.
 */
function bindingOf(clientId: pulumi.Output<string>): ServiceIdentity {
  return {
    serviceAccountAnnotations: { 'azure.workload.identity/client-id': clientId },
    podLabels: { 'azure.workload.identity/use': 'true' },
    egress: [{ cidr: '0.0.0.0/0', port: 443 }],
    // The webhook would say the same; said here, pods wait until the identity has its rights.
    environment: { AZURE_CLIENT_ID: clientId },
  };
}

interface ReadBucket extends Grantable {
  readonly model: string;
}

interface Right {
  readonly bucket: GrantGroup<ReadBucket>;
  readonly condition: string;
}

/** One role for each bucket, for its models alone. */
function planRights(reads: readonly ReadableModel[]): readonly Right[] {
  if (reads.length === 0) throw new SpecError('MODELS_EMPTY', 'reads', 'must name at least one model, got none');
  const buckets = reads.map(({ name, bucket: { containerId, label } }, i) => {
    assertModelName(name, `reads[${i}].name`);
    return { model: name, id: containerId, path: `reads[${i}].bucket`, ...(label === undefined ? {} : { label }) };
  });
  return groupGrants(buckets).map((bucket) => ({
    bucket,
    condition: readCondition(bucket.members.map(({ model }) => model)),
  }));
}

function trustPods(
  name: string,
  { cluster, namespace, tags }: WorkloadIdentityArgs,
  serviceAccountName: string,
  parent: pulumi.ComponentResource,
): { readonly identity: UserAssignedIdentity; readonly credential: FederatedIdentityCredential } {
  const { resourceGroupName, oidcIssuerUrl } = cluster;
  const identity = new UserAssignedIdentity(name, { resourceGroupName, tags }, { parent });
  const credential = new FederatedIdentityCredential(
    name,
    {
      resourceGroupName,
      // Azure's words: the resource is the identity.
      resourceName: identity.name,
      issuer: oidcIssuerUrl,
      subject: pulumi.interpolate`system:serviceaccount:${namespace}:${serviceAccountName}`,
      audiences: ['api://AzureADTokenExchange'],
    },
    { parent },
  );
  return { identity, credential };
}
