import { Policy } from '@pulumi/alicloud/ram/policy';
import { Role } from '@pulumi/alicloud/ram/role';
import { RolePolicyAttachment } from '@pulumi/alicloud/ram/rolePolicyAttachment';
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

export interface WorkloadIdentityArgs {
  readonly cluster: ClusterFacts;
  readonly namespace: pulumi.Input<string>;
  /** Service account of the pods: the name of their service. @default - the component's name */
  readonly serviceAccountName?: string;
  /** Models that the pods may read, each by its own prefix and nothing else of the bucket. All lie in one region. */
  readonly reads: ReadableModel[];
  /** Name of a RAM role that may read them already, and trusts these pods: none is made. @default - makes one */
  readonly existingRoleName?: pulumi.Input<string>;
  /** Of the role and its policy. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/** A model of a bucket, as `bucket.model` and `bucket.modelFromFile` return it. */
export interface ReadableModel {
  readonly name: string;
  readonly bucket: BucketFacts;
}

/**
 * The right of one service's pods to read their models, by RRSA (RAM roles for service accounts): no key. A role trusts
 * tokens that the cluster signed for this one service account, and reads what lies below the prefixes of its models.
 *
 * The cluster needs RRSA and the add-on `ack-pod-identity-webhook`, and a namespace that the service does not create itself
 * the label `pod-identity.alibabacloud.com/injection: on`.
 *
 * @example
 * const identity = new WorkloadIdentity('digits', { cluster: cluster.facts, namespace: 'inference', reads: [digits] });
 */
export class WorkloadIdentity extends pulumi.ComponentResource {
  /** Undefined where `existingRoleName` was given, as the policy is. */
  readonly role?: Role;
  readonly policy?: Policy;
  readonly roleName: pulumi.Output<string>;
  /** For `identity` of the service. Pods wait for their rights, without which their first download would be denied. */
  readonly binding: ServiceIdentity;

  constructor(name: string, args: WorkloadIdentityArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:alibaba:WorkloadIdentity', name, args, opts);
    const reads = decideFor(this, () => checkReads(args.reads), args);
    const serviceAccountName = args.serviceAccountName ?? name;
    if (args.existingRoleName === undefined) {
      const { role, policy, attachment } = createRole(name, args, serviceAccountName, this);
      this.role = role;
      this.policy = policy;
      this.roleName = pulumi.all([role.roleName, attachment.id]).apply(([known]) => known);
    } else {
      this.roleName = pulumi.output(args.existingRoleName);
    }
    this.binding = {
      ...NO_IDENTITY,
      // The webhook sees label and annotation, and gives the pod a token and the names of role and provider.
      namespaceLabels: { 'pod-identity.alibabacloud.com/injection': 'on' },
      serviceAccountAnnotations: { 'pod-identity.alibabacloud.com/role-name': this.roleName },
      environment: environmentOf(args.cluster, oneRegion(reads, this), this.roleName),
      serviceAccountName,
    };
    this.registerOutputs({ roleName: this.roleName });
  }
}

function checkReads(reads: readonly ReadableModel[]): readonly ReadableModel[] {
  if (reads.length === 0) throw new SpecError('MODELS_EMPTY', 'reads', 'must name at least one model, got none');
  for (const [i, { name }] of reads.entries()) assertModelName(name, `reads[${i}].name`);
  return reads;
}

/**
 * Variables of the server's `oss://` source and of Alibaba Cloud's credentials library. Inside of the buckets' region both
 * are asked by the internal network.
 */
function environmentOf(
  { region: clusterRegion }: ClusterFacts,
  region: pulumi.Output<string>,
  roleName: pulumi.Output<string>,
): Record<string, pulumi.Input<string>> {
  return {
    OSS_REGION: region,
    // Without its token a pod must have nothing, and not what its machine may do. Known when the role has its rights, so
    // that pods wait for them.
    ALIBABA_CLOUD_ECS_METADATA_DISABLED: roleName.apply(() => 'true'),
    ...(clusterRegion === undefined
      ? {}
      : {
          OSS_ENDPOINT: pulumi
            .all([region, clusterRegion])
            .apply(
              ([bucket, cluster]) => `https://s3.oss-${bucket}${bucket === cluster ? '-internal' : ''}.aliyuncs.com`,
            ),
          ALIBABA_CLOUD_STS_REGION: clusterRegion,
          ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED: 'true',
        }),
  };
}

function createRole(
  name: string,
  args: WorkloadIdentityArgs,
  serviceAccountName: string,
  parent: pulumi.ComponentResource,
): { readonly role: Role; readonly policy: Policy; readonly attachment: RolePolicyAttachment } {
  // The account has each name once: the old one must be gone before the new one is made.
  const child = { parent, deleteBeforeReplace: true };
  const role = new Role(
    name,
    {
      roleName: accountName(name),
      description: pulumi.interpolate`Reads models as ${args.namespace}/${serviceAccountName}`,
      assumeRolePolicyDocument: trustTokens(args, serviceAccountName),
      ...tagged(args.tags),
    },
    child,
  );
  const policyDocument = readModels(args.reads).apply((text) => decideFor(parent, () => withinLimit(text)));
  const policy = new Policy(name, { policyName: accountName(name), policyDocument, ...tagged(args.tags) }, child);
  const attachment = new RolePolicyAttachment(
    name,
    { roleName: role.roleName, policyName: policy.policyName, policyType: 'Custom' },
    { parent },
  );
  return { role, policy, attachment };
}

/** Tokens of this one service account, which the cluster's OIDC provider signed for STS. */
function trustTokens({ cluster, namespace }: WorkloadIdentityArgs, serviceAccountName: string): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: '1',
    Statement: [
      {
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Principal: { Federated: [cluster.oidcProviderArn] },
        Condition: {
          StringEquals: {
            'oidc:aud': 'sts.aliyuncs.com',
            'oidc:iss': cluster.oidcIssuerUrl,
            'oidc:sub': pulumi.interpolate`system:serviceaccount:${namespace}:${serviceAccountName}`,
          },
        },
      },
    ],
  });
}

function readModels(reads: readonly ReadableModel[]): pulumi.Output<string> {
  const objects = reads.map(({ name, bucket }) => pulumi.interpolate`acs:oss:*:*:${bucket.name}/${modelPrefix(name)}*`);
  const keys = [...new Set(reads.flatMap(({ bucket }) => (bucket.kmsKeyId === undefined ? [] : [bucket.kmsKeyId])))];
  return pulumi.jsonStringify({
    Version: '1',
    Statement: [
      { Effect: 'Allow', Action: ['oss:GetObject'], Resource: objects },
      ...keys.map((key) => ({
        Effect: 'Allow',
        Action: ['kms:Decrypt'],
        Resource: [pulumi.interpolate`acs:kms:*:*:key/${key}`],
      })),
    ],
  });
}

/** Source: the provider's documentation of `policyDocument`. */
const MAX_POLICY_BYTES = 6_144;

function withinLimit(document: string): string {
  const bytes = Buffer.byteLength(document);
  if (bytes <= MAX_POLICY_BYTES) return document;
  throw new SpecError(
    'POLICY_TOO_LARGE',
    'reads',
    `these models make a policy of ${bytes} bytes, RAM takes ${MAX_POLICY_BYTES}; give some of them to another service`,
  );
}
