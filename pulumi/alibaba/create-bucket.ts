import { Bucket } from '@pulumi/alicloud/oss/bucket';
import { BucketAcl } from '@pulumi/alicloud/oss/bucketAcl';
import { BucketHttpsConfig } from '@pulumi/alicloud/oss/bucketHttpsConfig';
import { BucketPolicy } from '@pulumi/alicloud/oss/bucketPolicy';
import { BucketPublicAccessBlock } from '@pulumi/alicloud/oss/bucketPublicAccessBlock';
import { BucketServerSideEncryption } from '@pulumi/alicloud/oss/bucketServerSideEncryption';
import { BucketVersioning } from '@pulumi/alicloud/oss/bucketVersioning';
import * as pulumi from '@pulumi/pulumi';
import { fitName } from '../fit-name';
import type { ModelBucketArgs } from './model-bucket';
import { tagged } from '../tags';

/** The bucket and everything that protects it. */
export function createBucket(
  name: string,
  args: ModelBucketArgs,
  noncurrentDays: number,
  parent: pulumi.ComponentResource,
): Bucket {
  const keep = args.keepOnDelete ?? true;
  // What protects the bucket is kept with it: a bucket left behind without its policy would be open to plain HTTP.
  const child = { parent, retainOnDelete: keep };

  const { named, once } = fitName('bucket', 63, name, parent);
  const resource = new Bucket(
    name,
    {
      ...named,
      redundancyType: args.redundancy ?? 'ZRS',
      forceDestroy: !keep,
      lifecycleRules: [
        {
          id: 'clean-up',
          enabled: true,
          prefix: '',
          noncurrentVersionExpirations: [{ days: noncurrentDays }],
          abortMultipartUploads: [{ days: 7 }],
        },
      ],
      ...tagged(args.tags),
    },
    // These have resources of their own, and what they set is read back here.
    { ...child, ...once, ignoreChanges: ['acl', 'policy', 'serverSideEncryptionRule', 'versioning'] },
  );
  const bucket = resource.id;
  const acl = new BucketAcl(name, { bucket, acl: 'private' }, child);
  const closed = new BucketPublicAccessBlock(name, { bucket, blockPublicAccess: true }, { ...child, dependsOn: acl });
  new BucketVersioning(name, { bucket, status: 'Enabled' }, child);
  new BucketServerSideEncryption(name, { bucket, ...encryption(args.encryptionKey) }, child);
  new BucketHttpsConfig(name, { bucket, enable: true, tlsVersions: ['TLSv1.2', 'TLSv1.3'] }, child);
  new BucketPolicy(name, { bucket, policy: tlsOnly(bucket) }, { ...child, dependsOn: closed });
  return resource;
}

function encryption(kmsMasterKeyId: pulumi.Input<string> | undefined) {
  return kmsMasterKeyId === undefined ? { sseAlgorithm: 'AES256' } : { sseAlgorithm: 'KMS', kmsMasterKeyId };
}

/** Source: https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements, read 2026-11-22. */
function tlsOnly(bucket: pulumi.Output<string>): pulumi.Output<string> {
  return pulumi.jsonStringify({
    Version: '1',
    Statement: [
      {
        Effect: 'Deny',
        Principal: ['*'],
        Action: ['oss:*'],
        Resource: [pulumi.interpolate`acs:oss:*:*:${bucket}`, pulumi.interpolate`acs:oss:*:*:${bucket}/*`],
        Condition: { Bool: { 'acs:SecureTransport': ['false'] } },
      },
    ],
  });
}
