import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { modelPrefix, podIdentityBinding, podIdentityConditions, READ_OBJECT_ACTIONS } from '../../runtime/spec';
import type { ServiceIdentity } from '../inference-service';
import type { BucketModel } from './model-bucket';

export interface WorkloadIdentityArgs {
  readonly clusterName: pulumi.Input<string>;
  readonly namespace: pulumi.Input<string>;
  /** Service account of the pods: the name of their service. @default - the component's name */
  readonly serviceAccountName?: string;
  /** Models that the pods may read, each by its own prefix and nothing else of the bucket. */
  readonly reads: readonly BucketModel[];
}

/**
 * The right of one service's pods to read their models, by EKS Pod Identity: no key, no annotation, no OIDC provider.
 * The cluster needs the add-on `eks-pod-identity-agent`, and nodes on EC2.
 *
 * @example
 * const identity = new WorkloadIdentity('digits', { clusterName, namespace: 'inference', reads: [digits] });
 */
export class WorkloadIdentity extends pulumi.ComponentResource {
  readonly role: aws.iam.Role;
  readonly association: aws.eks.PodIdentityAssociation;
  /** For `identity` of the service. Pods wait for the association, without which their first download would be denied. */
  readonly binding: ServiceIdentity;

  constructor(name: string, args: WorkloadIdentityArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:WorkloadIdentity', name, args, opts);
    const [firstModel] = args.reads;
    if (firstModel === undefined) {
      throw new pulumi.ResourceError('reads: must name at least one model, got none', this, true);
    }
    const child = { parent: this };
    const serviceAccountName = args.serviceAccountName ?? name;

    this.role = new aws.iam.Role(name, { assumeRolePolicy: trustPods(args, serviceAccountName) }, child);
    const policy = new aws.iam.RolePolicy(name, { role: this.role.id, policy: readModels(args.reads) }, child);
    this.association = new aws.eks.PodIdentityAssociation(
      name,
      {
        clusterName: args.clusterName,
        namespace: args.namespace,
        serviceAccount: serviceAccountName,
        roleArn: this.role.arn,
      },
      { ...child, dependsOn: policy },
    );

    const region = pulumi.all([firstModel.bucket.region, this.association.id]).apply(([known]) => known);
    this.binding = { ...podIdentityBinding(region), serviceAccountName };
    this.registerOutputs({ roleArn: this.role.arn });
  }
}

/** Pods of this one service account of this one cluster, by the session tags that EKS sets when it assumes the role. */
function trustPods({ clusterName, namespace }: WorkloadIdentityArgs, serviceAccount: string): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: 'pods.eks.amazonaws.com' },
        Action: ['sts:AssumeRole', 'sts:TagSession'],
        Condition: {
          StringEquals: podIdentityConditions(clusterName, namespace, serviceAccount),
        },
      },
    ],
  });
}

function readModels(models: readonly BucketModel[]): pulumi.Output<string> {
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
