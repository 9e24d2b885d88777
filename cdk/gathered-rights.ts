import type * as iam from 'aws-cdk-lib/aws-iam';
import type { IDependable } from 'constructs';

/**
 * The policy in which the CDK gathers what a role was let do one by one. Whoever is given the role by its ARN waits for the
 * role, and not for this: it would start without its rights.
 */
export function gatheredRights(role: iam.Role): readonly IDependable[] {
  const policy = role.node.tryFindChild('DefaultPolicy');
  return policy === undefined ? [] : [policy];
}
