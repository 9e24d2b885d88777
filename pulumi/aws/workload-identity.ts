import * as eks from '@pulumi/aws/eks';
import * as iam from '@pulumi/aws/iam';
import * as pulumi from '@pulumi/pulumi';
import {
  modelPrefix,
  NO_IDENTITY,
  podIdentityBinding,
  podIdentityConditions,
  READ_OBJECT_ACTIONS,
  SpecError,
} from '../../runtime/spec';
import type { ServiceIdentity } from '../index';
import { decideFor } from '../refusal';
import type { NamedCluster } from './cluster-facts';
import { createRole } from './iam-role';
import type { BucketFacts } from './model-bucket';
import { tagged } from '../tags';

export interface WorkloadIdentityArgs {
  readonly cluster: NamedCluster;
  readonly namespace: pulumi.Input<string>;
  /** Service account of the pods: the name of their service. @default - the component's name */
  readonly serviceAccountName?: string;
  /** Models that the pods may read, each by its own prefix and nothing else of the bucket. */
  readonly reads: ReadableModel[];
  /** A role that may read them already, and trusts these pods: none is made. @default - makes one */
  readonly existingRoleArn?: pulumi.Input<string>;
  /**
   * IAM's OIDC provider of the cluster: pods get their role from STS by a token of their own (IRSA), which also works on
   * Fargate. @default - EKS Pod Identity
   */
  readonly oidcProviderArn?: pulumi.Input<string>;
  /** Permissions boundary of the role. @default - none */
  readonly permissionsBoundaryArn?: pulumi.Input<string>;
  /** @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/** A model of a bucket, as `bucket.model` and `bucket.modelFromFile` return it. */
export interface ReadableModel {
  readonly name: string;
  readonly bucket: BucketFacts;
}

/**
 * The right of one service's pods to read their models, by EKS Pod Identity: no key, no annotation, no OIDC provider.
 * The cluster needs the add-on `eks-pod-identity-agent`, and nodes on EC2. With `oidcProviderArn` it is IRSA instead.
 *
 * @example
 * const identity = new WorkloadIdentity('digits', { cluster, namespace: 'inference', reads: [digits] });
 */
export class WorkloadIdentity extends pulumi.ComponentResource {
  /** Undefined where `existingRoleArn` was given. */
  readonly role?: iam.Role;
  /** Undefined with IRSA. */
  readonly association?: eks.PodIdentityAssociation;
  readonly roleArn: pulumi.Output<string>;
  /** For `identity` of the service. Pods wait for their rights, without which their first download would be denied. */
  readonly binding: ServiceIdentity;

  constructor(name: string, args: WorkloadIdentityArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:WorkloadIdentity', name, args, opts);
    const region = decideFor(this, () => firstOf(args.reads).bucket.region, args);
    const serviceAccountName = args.serviceAccountName ?? name;

    let rights: iam.RolePolicy | undefined;
    if (args.existingRoleArn === undefined) {
      const trust = args.oidcProviderArn === undefined ? trustPods : trustTokens;
      this.role = createRole(name, trust(args, serviceAccountName), args, this);
      rights = new iam.RolePolicy(name, { role: this.role.id, policy: readModels(args.reads) }, { parent: this });
    }
    this.roleArn = pulumi.output(args.existingRoleArn ?? this.role!.arn);
    if (args.oidcProviderArn === undefined) {
      this.association = this.#associate(name, args, serviceAccountName, rights);
      const bound = pulumi.all([region, this.association.id]).apply(([known]) => known);
      this.binding = { ...podIdentityBinding(bound), serviceAccountName };
    } else {
      const bound = pulumi.all([this.roleArn, rights?.id]).apply(([known]) => known);
      this.binding = { ...tokenBinding(bound, region), serviceAccountName };
    }
    this.registerOutputs({ roleArn: this.roleArn });
  }

  #associate(
    name: string,
    args: WorkloadIdentityArgs,
    serviceAccount: string,
    rights: iam.RolePolicy | undefined,
  ): eks.PodIdentityAssociation {
    return new eks.PodIdentityAssociation(
      name,
      {
        clusterName: args.cluster.name,
        namespace: args.namespace,
        serviceAccount,
        roleArn: this.roleArn,
        ...tagged(args.tags),
      },
      { parent: this, dependsOn: rights === undefined ? [] : [rights] },
    );
  }
}

function firstOf(reads: readonly ReadableModel[]): ReadableModel {
  const [first] = reads;
  if (first === undefined) throw new SpecError('MODELS_EMPTY', 'reads', 'must name at least one model, got none');
  return first;
}

/**
 * IRSA: EKS's webhook sees the annotation and gives the pod a token and the role's name. STS is asked over HTTPS, like the
 * bucket, so there is no further endpoint to reach.
 */
function tokenBinding(roleArn: pulumi.Output<string>, region: pulumi.Input<string>): ServiceIdentity {
  return {
    ...NO_IDENTITY,
    serviceAccountAnnotations: { 'eks.amazonaws.com/role-arn': roleArn },
    environment: { AWS_REGION: pulumi.output(region), AWS_STS_REGIONAL_ENDPOINTS: 'regional' },
  };
}

/** Pods of this one service account of this one cluster, by the session tags that EKS sets when it assumes the role. */
function trustPods({ cluster, namespace }: WorkloadIdentityArgs, serviceAccount: string): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: 'pods.eks.amazonaws.com' },
        Action: ['sts:AssumeRole', 'sts:TagSession'],
        Condition: { StringEquals: podIdentityConditions(cluster.name, namespace, serviceAccount) },
      },
    ],
  });
}

/** Tokens of this one service account, which the cluster's OIDC provider signed for STS. */
function trustTokens(
  { oidcProviderArn, namespace }: WorkloadIdentityArgs,
  serviceAccount: string,
): pulumi.Output<string> {
  return pulumi.all([oidcProviderArn!, namespace]).apply(([Federated, knownNamespace]) => {
    const issuer = Federated.slice(Federated.indexOf('oidc-provider/') + 'oidc-provider/'.length);
    return JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Federated },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: {
            StringEquals: {
              [`${issuer}:sub`]: `system:serviceaccount:${knownNamespace}:${serviceAccount}`,
              [`${issuer}:aud`]: 'sts.amazonaws.com',
            },
          },
        },
      ],
    });
  });
}

function readModels(models: readonly ReadableModel[]): pulumi.Output<string> {
  const objects = models.map(({ name, bucket }) => pulumi.interpolate`${bucket.arn}/${modelPrefix(name)}*`);
  const encrypted = new Set(models.map(({ bucket }) => bucket).filter(({ kmsKeyArn }) => kmsKeyArn !== undefined));
  return pulumi.jsonStringify({
    Version: '2012-10-17',
    Statement: [
      { Sid: 'ReadModels', Effect: 'Allow', Action: READ_OBJECT_ACTIONS, Resource: objects },
      ...[...encrypted].map(({ kmsKeyArn, arn }) => ({
        Effect: 'Allow',
        Action: 'kms:Decrypt',
        Resource: kmsKeyArn,
        // The key may serve other buckets; S3 names the bucket, or the object where bucket keys are off.
        Condition: {
          StringLike: { 'kms:EncryptionContext:aws:s3:arn': [arn, pulumi.interpolate`${arn}/*`] },
        },
      })),
    ],
  });
}
