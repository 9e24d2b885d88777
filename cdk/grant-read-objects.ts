import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { READ_OBJECT_ACTIONS } from '../runtime/spec';

/** As much of a bucket as a right to read it needs. */
interface ReadableBucket {
  readonly encryptionKey?: kms.IKey | undefined;
  arnForObjects(keyPattern: string): string;
}

/** Get on these keys (a trailing `*` makes a prefix), and decrypt where the bucket has a key of its own. */
export function grantReadObjects(grantee: iam.IGrantable, bucket: ReadableBucket, keys: readonly string[]): iam.Grant {
  const read = iam.Grant.addToPrincipal({
    grantee,
    actions: [...READ_OBJECT_ACTIONS],
    resourceArns: keys.map((key) => bucket.arnForObjects(key)),
  });
  if (bucket.encryptionKey === undefined) return read;
  return read.combine(
    iam.Grant.addToPrincipal({
      grantee,
      actions: ['kms:Decrypt'],
      resourceArns: [bucket.encryptionKey.keyArn],
    }),
  );
}
