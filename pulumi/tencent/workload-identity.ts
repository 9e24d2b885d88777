import * as pulumi from '@pulumi/pulumi';
import { modelPrefix, NO_IDENTITY, SpecError } from '../../runtime/spec';
import { assertModelName } from '../../runtime/spec/model-repository';
import { accountName } from '../account-name';
import { oneRegion } from '../one-region';
import { decideFor } from '../refusal';
import type { ServiceIdentity } from '../service-identity';
import { tagged } from '../tags';
import type { ClusterFacts } from './cluster-facts';
import type { BucketFacts } from './model-bucket';
import { CamPolicy, CamRole, CamRolePolicyAttachment } from './provider';
import { TOKEN_AUDIENCE } from './token-audience';

export interface WorkloadIdentityArgs {
  readonly cluster: ClusterFacts;
  readonly namespace: pulumi.Input<string>;
  /** Service account of the pods: the name of their service. @default - the component's name */
  readonly serviceAccountName?: string;
  /** Models that the pods may read, each by its own prefix and nothing else of the bucket. All lie in one region. */
  readonly reads: ReadableModel[];
  /** Name of a CAM role that may read them already, and trusts these pods: none is made. @default - makes one */
  readonly existingRoleName?: pulumi.Input<string>;
  /** Of the role. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/** A model of a bucket, as `bucket.model` and `bucket.modelFromFile` return it. */
export interface ReadableModel {
  readonly name: string;
  readonly bucket: BucketFacts;
}

/**
 * Experimental: the right of one service's pods to read their models, by TKE's identity provider and its webhook: no key. The
 * role asks for tokens of this one service account, by `oidc:sub`. That CAM takes this condition for the tokens of TKE, as it
 * does for others, could not be verified: until you have, count on every pod of the cluster being able to take the role, which
 * reads what lies below the prefixes of its models and nothing else. It was never run against an account.
 *
 * @example
 * const identity = new WorkloadIdentity('digits', { cluster, namespace: 'inference', reads: [digits] });
 */
export class WorkloadIdentity extends pulumi.ComponentResource {
  readonly roleName: pulumi.Output<string>;
  /** For `identity` of the service. Pods wait for their rights, without which their first download would be denied. */
  readonly binding: ServiceIdentity;

  constructor(name: string, args: WorkloadIdentityArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:tencent:WorkloadIdentity', name, args, opts);
    decideFor(this, () => checkReads(args.reads), args);
    const serviceAccountName = args.serviceAccountName ?? name;
    this.roleName =
      args.existingRoleName === undefined
        ? createRole(name, args, serviceAccountName, this)
        : pulumi.output(args.existingRoleName);
    this.binding = {
      ...NO_IDENTITY,
      // The webhook sees them, and gives the pod a token and the names of role, provider and region.
      serviceAccountAnnotations: {
        'tke.cloud.tencent.com/role-arn': pulumi.interpolate`qcs::cam::uin/${args.cluster.ownerUin}:roleName/${this.roleName}`,
        'tke.cloud.tencent.com/audience': TOKEN_AUDIENCE,
        'tke.cloud.tencent.com/token-expiration': '86400',
      },
      // Known when the role has its rights, so that pods wait for them.
      environment: { COS_REGION: pulumi.all([oneRegion(args.reads, this), this.roleName]).apply(([region]) => region) },
      serviceAccountName,
    };
    this.registerOutputs({ roleName: this.roleName });
  }
}

function checkReads(reads: readonly ReadableModel[]): void {
  if (reads.length === 0) throw new SpecError('MODELS_EMPTY', 'reads', 'must name at least one model, got none');
  for (const [i, { name }] of reads.entries()) assertModelName(name, `reads[${i}].name`);
}

function createRole(
  name: string,
  args: WorkloadIdentityArgs,
  serviceAccountName: string,
  parent: pulumi.ComponentResource,
): pulumi.Output<string> {
  // The account has each name once: the old one must be gone before the new one is made.
  const child = { parent, deleteBeforeReplace: true };
  const role = new CamRole(
    name,
    {
      name: accountName(name),
      document: trustTokens(args, serviceAccountName),
      consoleLogin: false,
      description: pulumi.interpolate`Reads models as ${args.namespace}/${serviceAccountName}`,
      ...tagged(args.tags),
    },
    child,
  );
  const policy = new CamPolicy(name, { name: accountName(name), document: readModels(args.reads) }, child);
  const attachment = new CamRolePolicyAttachment(name, { roleId: role.id, policyId: policy.id }, { parent });
  return pulumi.all([role.name, attachment.id]).apply(([known]) => known);
}

/** Tokens of this one service account, which the cluster's identity provider signed; it is known by the cluster's id. */
function trustTokens({ cluster, namespace }: WorkloadIdentityArgs, serviceAccountName: string): pulumi.Output<string> {
  return pulumi.jsonStringify({
    version: '2.0',
    statement: [
      {
        effect: 'allow',
        action: ['name/sts:AssumeRoleWithWebIdentity'],
        principal: { federated: [pulumi.interpolate`qcs::cam::uin/${cluster.ownerUin}:oidc-provider/${cluster.id}`] },
        condition: {
          string_equal: {
            'oidc:iss': [cluster.oidcIssuerUrl],
            'oidc:aud': [TOKEN_AUDIENCE],
            'oidc:sub': [pulumi.interpolate`system:serviceaccount:${namespace}:${serviceAccountName}`],
          },
        },
      },
    ],
  });
}

function readModels(reads: readonly ReadableModel[]): pulumi.Output<string> {
  return pulumi.jsonStringify({
    version: '2.0',
    statement: [
      {
        effect: 'allow',
        action: ['name/cos:GetObject', 'name/cos:HeadObject'],
        resource: reads.map(
          ({ name, bucket }) =>
            pulumi.interpolate`qcs::cos:${bucket.region}:uid/${bucket.appId}:${bucket.name}/${modelPrefix(name)}*`,
        ),
      },
    ],
  });
}
