import * as iam from 'aws-cdk-lib/aws-iam';
import type * as s3 from 'aws-cdk-lib/aws-s3';

/** Put below these prefixes, and encrypt where the bucket has a key of its own. Nothing may be read or deleted. */
export function grantWriteObjects(grantee: iam.IGrantable, bucket: s3.IBucket, prefixes: readonly string[]): iam.Grant {
  const write = iam.Grant.addToPrincipal({
    grantee,
    actions: ['s3:PutObject', 's3:AbortMultipartUpload'],
    resourceArns: prefixes.map((prefix) => bucket.arnForObjects(`${prefix}*`)),
  });
  if (bucket.encryptionKey === undefined) return write;
  return write.combine(
    iam.Grant.addToPrincipal({
      grantee,
      // Parts of a large object are read again when they are joined.
      actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
      resourceArns: [bucket.encryptionKey.keyArn],
    }),
  );
}
