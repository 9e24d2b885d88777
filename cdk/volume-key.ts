import { ArnFormat, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';

/**
 * Lets Amazon EC2 Auto Scaling encrypt volumes of machines with a key: machines whose volumes nobody may decrypt are
 * terminated as soon as they start, without a word. An imported key's policy is its owner's to write.
 */
export function shareVolumeKey(scope: Construct, key: kms.IKey): void {
  const stack = Stack.of(scope);
  const autoScaling = stack.formatArn({
    service: 'iam',
    region: '',
    resource: 'role',
    resourceName: 'aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling',
    arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
  });
  // The role exists only once an account has had a group, and a key policy that names a principal that does not exist is
  // refused: so it is named in a condition.
  const onlyAutoScaling = {
    StringEquals: { 'kms:CallerAccount': stack.account },
    ArnEquals: { 'aws:PrincipalArn': autoScaling },
  };
  key.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.AnyPrincipal()],
      actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
      resources: ['*'],
      conditions: onlyAutoScaling,
    }),
    true,
  );
  key.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.AnyPrincipal()],
      actions: ['kms:CreateGrant'],
      resources: ['*'],
      conditions: { ...onlyAutoScaling, Bool: { 'kms:GrantIsForAWSResource': 'true' } },
    }),
    true,
  );
}
