import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { Preset } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import { grantReadObjects } from './grant-read-objects';
import type { ObjectsBelow } from './objects-below';

/** What the keys of results begin with unless somebody says otherwise. */
export const RESULTS_PREFIX = 'results/';

/** A private bucket whose results go after thirty days. It tells EventBridge of each. */
export function createResultsBucket(
  scope: Construct,
  { preset }: { readonly preset: Preset },
  encryptionKey: kms.IKey | undefined,
): s3.Bucket {
  const removalPolicy = preset === 'production' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
  const bucket = new s3.Bucket(scope, 'Results', {
    ...(encryptionKey === undefined
      ? { encryption: s3.BucketEncryption.S3_MANAGED }
      : { encryption: s3.BucketEncryption.KMS, encryptionKey, bucketKeyEnabled: true }),
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    // A message may be answered twice, and what was read once shall not change under its reader unseen.
    versioned: true,
    lifecycleRules: [
      {
        id: 'results-go',
        expiration: Duration.days(30),
        noncurrentVersionExpiration: Duration.days(1),
        abortIncompleteMultipartUploadAfter: Duration.days(1),
      },
    ],
    removalPolicy,
  });
  bucket.policy!.applyRemovalPolicy(removalPolicy);
  // The library's own `eventBridgeEnabled` makes a custom resource with a function; CloudFormation has a property for it.
  const resource = bucket.node.defaultChild as s3.CfnBucket;
  resource.notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
  acknowledge(bucket, 'S1', 'who wants access logs brings a bucket of their own in results');
  return bucket;
}

/** Get below the prefix. */
export function grantReadPlace(grantee: iam.IGrantable, { bucket, prefix }: ObjectsBelow): iam.Grant {
  return grantReadObjects(grantee, bucket, [`${prefix}*`]);
}

export function uriOf({ bucket, prefix }: ObjectsBelow): string {
  return `s3://${bucket.bucketName}/${prefix}`;
}
