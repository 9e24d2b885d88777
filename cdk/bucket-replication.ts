import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { modelPrefix, SpecError } from '../runtime/spec';
import { acknowledgePrefixes } from './acknowledge-prefixes';

/** A bucket of another region, or account, that gets copies. */
export interface ModelBucketReplica {
  /** Versioned. In another account, its policy must let the replication role in. */
  readonly bucket: s3.IBucket;
  /**
   * Key of its region that encrypts the copies; required where the source has a key.
   * @default - S3's own keys
   */
  readonly key?: kms.IKey;
  /** Models that are copied. @default - all, with the index of the repository */
  readonly models?: readonly string[];
}

/**
 * Has S3 copy new objects. CDK's own role reads the whole bucket even where a rule has a prefix, and may delete; this one
 * reads and writes the prefixes of the rules, and copies no deletion: a version that is served elsewhere stays there.
 */
export function replicate(scope: Construct, source: s3.Bucket, replicas: readonly ModelBucketReplica[]): void {
  replicas.forEach((replica, i) => assertKey(source, replica, i));
  const role = new iam.Role(scope, 'Replication', { assumedBy: new iam.ServicePrincipal('s3.amazonaws.com') });
  allow(role, source, replicas);
  const rules = replicas.flatMap((replica) => prefixesOf(replica).map((prefix) => ({ replica, prefix })));
  const resource = source.node.defaultChild as s3.CfnBucket;
  resource.replicationConfiguration = {
    role: role.roleArn,
    rules: rules.map(({ replica, prefix }, priority) => ({
      id: `slipway-${priority}`,
      status: 'Enabled',
      priority,
      filter: { prefix },
      deleteMarkerReplication: { status: 'Disabled' },
      destination: {
        bucket: replica.bucket.bucketArn,
        ...(replica.key === undefined ? {} : { encryptionConfiguration: { replicaKmsKeyId: replica.key.keyArn } }),
      },
      ...(source.encryptionKey === undefined
        ? {}
        : { sourceSelectionCriteria: { sseKmsEncryptedObjects: { status: 'Enabled' } } }),
    })),
  };
}

function assertKey(source: s3.Bucket, { key }: ModelBucketReplica, i: number): void {
  if (source.encryptionKey === undefined || key !== undefined) return;
  throw new SpecError(
    'REPLICA_KEY_MISSING',
    `replicateTo[${i}].key`,
    'the bucket has an encryptionKey, and S3 copies what a key encrypts only with a key for the copy; give one of the region of the copy',
  );
}

function allow(role: iam.Role, source: s3.Bucket, replicas: readonly ModelBucketReplica[]): void {
  const add = (actions: string[], resourceArns: string[]): iam.Grant =>
    iam.Grant.addToPrincipal({ grantee: role, actions, resourceArns });
  const keys = (replica: ModelBucketReplica): string[] => prefixesOf(replica).map((prefix) => `${prefix}*`);
  const read = [...new Set(replicas.flatMap(keys))].map((key) => source.arnForObjects(key));
  const written = replicas.flatMap((replica) => keys(replica).map((key) => replica.bucket.arnForObjects(key)));
  add(['s3:GetReplicationConfiguration', 's3:ListBucket'], [source.bucketArn]);
  add(['s3:GetObjectVersionAcl', 's3:GetObjectVersionForReplication', 's3:GetObjectVersionTagging'], read);
  add(['s3:ReplicateObject', 's3:ReplicateTags'], written);
  if (source.encryptionKey !== undefined) add(['kms:Decrypt'], [source.encryptionKey.keyArn]);
  const replicaKeys = replicas.flatMap(({ key }) => (key === undefined ? [] : [key.keyArn]));
  if (replicaKeys.length > 0) add(['kms:Encrypt', 'kms:GenerateDataKey'], replicaKeys);
  acknowledgePrefixes(
    role.node.findChild('DefaultPolicy') as iam.Policy,
    'the prefixes hold the models that are copied, whose versions come and go',
  );
}

function prefixesOf({ models }: ModelBucketReplica): readonly string[] {
  return models?.map(modelPrefix) ?? [''];
}
