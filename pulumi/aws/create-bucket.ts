import * as s3 from '@pulumi/aws/s3';
import * as pulumi from '@pulumi/pulumi';
import type { ModelBucketArgs } from './model-bucket';
import { fitName } from '../fit-name';
import { tagged } from '../tags';

/** The bucket and everything that protects it. */
export function createBucket(
  name: string,
  args: ModelBucketArgs,
  noncurrentDays: number,
  parent: pulumi.ComponentResource,
): s3.Bucket {
  const keep = args.keepOnDelete ?? true;
  // What protects the bucket is kept with it: a bucket left behind without its policy would be open to plain HTTP.
  const child = { parent, retainOnDelete: keep };

  const { named, once } = fitName('bucket', 63, name, parent);
  const resource = new s3.Bucket(name, { ...named, forceDestroy: !keep, ...tagged(args.tags) }, { ...child, ...once });
  const bucket = resource.id;
  const closed = new s3.BucketPublicAccessBlock(
    name,
    { bucket, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
    child,
  );
  new s3.BucketOwnershipControls(name, { bucket, rule: { objectOwnership: 'BucketOwnerEnforced' } }, child);
  const versioning = new s3.BucketVersioning(name, { bucket, versioningConfiguration: { status: 'Enabled' } }, child);
  new s3.BucketServerSideEncryptionConfiguration(name, { bucket, rules: [encryptionRule(args.encryptionKey)] }, child);
  new s3.BucketLifecycleConfiguration(
    name,
    { bucket, rules: [cleanUpRule(noncurrentDays)] },
    { ...child, dependsOn: versioning },
  );
  // S3 refuses to change the policy and the access block of one bucket at the same time.
  new s3.BucketPolicy(name, { bucket, policy: tlsOnly(resource.arn) }, { ...child, dependsOn: closed });
  return resource;
}

function encryptionRule(kmsMasterKeyId: pulumi.Input<string> | undefined) {
  return kmsMasterKeyId === undefined
    ? { applyServerSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }
    : { applyServerSideEncryptionByDefault: { sseAlgorithm: 'aws:kms', kmsMasterKeyId }, bucketKeyEnabled: true };
}

function cleanUpRule(noncurrentDays: number) {
  return {
    id: 'clean-up',
    status: 'Enabled',
    filter: { prefix: '' },
    noncurrentVersionExpiration: { noncurrentDays, newerNoncurrentVersions: 3 },
    abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
  };
}

function tlsOnly(bucketArn: pulumi.Output<string>): pulumi.Output<string> {
  const resources = [bucketArn, pulumi.interpolate`${bucketArn}/*`];
  const deny = { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: resources };
  return pulumi.jsonStringify({
    Version: '2012-10-17',
    Statement: [
      { Sid: 'DenyPlainHttp', ...deny, Condition: { Bool: { 'aws:SecureTransport': 'false' } } },
      { Sid: 'DenyOldTls', ...deny, Condition: { NumericLessThan: { 's3:TlsVersion': '1.2' } } },
    ],
  });
}
