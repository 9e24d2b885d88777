import { BucketIAMMember } from '@pulumi/gcp/storage';
import * as pulumi from '@pulumi/pulumi';
import { modelPrefix, NO_IDENTITY, SpecError } from '../../runtime/spec';
import type { ServiceIdentity } from '../index';
import { groupGrants, type Grantable } from '../grant-names';
import { decideFor } from '../refusal';
import type { ClusterFacts } from './cluster-facts';
import type { BucketFacts } from './model-bucket';
import { projectOf } from './project';

export interface WorkloadIdentityArgs {
  readonly cluster: ClusterFacts;
  readonly namespace: pulumi.Input<string>;
  /** Service account of the pods: the name of their service. @default - the component's name */
  readonly serviceAccountName?: string;
  /** Models that the pods may read, each by its own prefix and nothing else of the bucket. */
  readonly reads: ReadableModel[];
  /**
   * E-mail of a Google service account that may read them already, and that these pods may use: nothing is made.
   * @default - the pods themselves get the rights
   */
  readonly existingServiceAccount?: pulumi.Input<string>;
  /** Of nothing: rights have no labels. It is here so that programs read the same on every cloud. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/** A model of a bucket, as `bucket.model` and `bucket.modelFromFile` return it. */
export interface ReadableModel {
  readonly name: string;
  readonly bucket: BucketFacts;
}

/**
 * The right of one service's pods to read their models, by Workload Identity Federation: the pods' own service account is
 * the principal, with no key and no Google account between. IAM knows it by project, namespace and name, so the same
 * account of another cluster of this project has the same right.
 *
 * The cluster needs its workload pool, `<project>.svc.id.goog`, and nodes with the GKE metadata server.
 *
 * @example
 * const identity = new WorkloadIdentity('digits', { cluster: cluster.facts, namespace: 'inference', reads: [digits] });
 */
export class WorkloadIdentity extends pulumi.ComponentResource {
  /** One for each model; none where `existingServiceAccount` was given. */
  readonly rights: BucketIAMMember[];
  /** For `identity` of the service. Pods wait for their rights, without which their first download would be denied. */
  readonly binding: ServiceIdentity;

  constructor(name: string, args: WorkloadIdentityArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:gcp:WorkloadIdentity', name, args, opts);
    const rights = decideFor(this, () => planRights(args.reads), args);
    const serviceAccountName = args.serviceAccountName ?? name;
    const { existingServiceAccount: account } = args;

    const member = account === undefined ? principalOf(args, serviceAccountName, this) : undefined;
    this.rights =
      member === undefined
        ? []
        : rights.map((right) => mayRead(name, right, earlierNameOf(right, rights), member, this));
    const granted = pulumi.all(this.rights.map(({ id }) => id));
    this.binding = {
      ...NO_IDENTITY,
      egress: METADATA_SERVER,
      serviceAccountAnnotations: account === undefined ? {} : { 'iam.gke.io/gcp-service-account': account },
      // The metadata server is there on every such node, but may answer late: a library that looks for it gives up.
      environment: { METADATA_SERVER_DETECTION: granted.apply(() => 'assume-present') },
      serviceAccountName,
    };
    this.registerOutputs({ serviceAccountName });
  }
}

/**
 * Where pods ask for their tokens: by the address that they call with Dataplane V2, by that of GKE's metadata server, to
 * which the call is led on, without.
 * Source: Authenticate to Google Cloud APIs from GKE workloads, network policies
 * (https://docs.cloud.google.com/kubernetes-engine/docs/how-to/workload-identity), as public manifests repeat it; read 2026-11-22.
 */
const METADATA_SERVER = [
  { cidr: '169.254.169.254/32', port: 80 },
  { cidr: '169.254.169.252/32', port: 988 },
];

interface ReadBucket extends Grantable {
  readonly model: string;
}

interface Right {
  readonly model: string;
  readonly bucketName: pulumi.Output<string>;
  /** What the right is called behind the component's name. */
  readonly name: string;
}

/** One for each model of each bucket; several versions of a model have one prefix. */
function planRights(reads: readonly ReadableModel[]): readonly Right[] {
  if (reads.length === 0) throw new SpecError('MODELS_EMPTY', 'reads', 'must name at least one model, got none');
  const buckets = reads.map(({ name, bucket: { name: id, label } }, i): ReadBucket => ({
    model: name,
    id,
    path: `reads[${i}].bucket`,
    ...(label === undefined ? {} : { label }),
  }));
  const groups = groupGrants(buckets);
  // In the order of the models, by which they were counted.
  const rights = new Map(
    buckets.map((read): [string, Right] => {
      const { suffix, id: bucketName } = groups.find(({ members }) => members.includes(read))!;
      const { model } = read;
      // No model has a slash in its name, so no two rights have one name.
      const name = `-read${suffix}/${model}`;
      return [name, { model, bucketName, name }];
    }),
  );
  return [...rights.values()];
}

/** What the right was called when models of several buckets were counted. */
function earlierNameOf({ model, name }: Right, rights: readonly Right[]): string {
  const before = rights.filter((right) => right.model === model).findIndex((right) => right.name === name);
  return before === 0 ? `-${model}` : `-${model}-${before + 1}`;
}

/** Google knows the project by its number and the pool by its id. */
function principalOf(
  { cluster, namespace }: WorkloadIdentityArgs,
  serviceAccountName: string,
  parent: pulumi.ComponentResource,
): pulumi.Output<string> {
  const project = projectOf(cluster, parent);
  const pool = pulumi.interpolate`projects/${project.number}/locations/global/workloadIdentityPools/${project.id}.svc.id.goog`;
  // The cluster brings the pool: without one, IAM refuses the principal.
  return pulumi
    .all([pool, namespace, cluster.name])
    .apply(([known, where]) => `principal://iam.googleapis.com/${known}/subject/ns/${where}/sa/${serviceAccountName}`);
}

/**
 * Objects below the model's prefix. The role may list too, but lists are asked of the bucket, which the condition lets no
 * list of. Source of the names: resource attributes of IAM conditions
 * (https://docs.cloud.google.com/iam/docs/conditions-attribute-reference).
 */
function mayRead(
  owner: string,
  { model, bucketName, name }: Right,
  earlierName: string,
  member: pulumi.Output<string>,
  parent: pulumi.ComponentResource,
): BucketIAMMember {
  const objects = pulumi.interpolate`projects/_/buckets/${bucketName}/objects/${modelPrefix(model)}`;
  return new BucketIAMMember(
    `${owner}${name}`,
    {
      bucket: bucketName,
      role: 'roles/storage.objectViewer',
      member,
      condition: {
        title: `reads ${model}`.slice(0, 100),
        expression: pulumi.interpolate`resource.type == "storage.googleapis.com/Object" && resource.name.startsWith("${objects}")`,
      },
    },
    { parent, aliases: [{ name: `${owner}${earlierName}` }] },
  );
}
