import type * as iam from 'aws-cdk-lib/aws-iam';
import { acknowledge } from './acknowledge';
import { resourcesOf } from './model-rights';

/** Accepts each resource of a policy that ends in a wildcard: the name stands for what comes and goes below a prefix. */
export function acknowledgePrefixes(policy: iam.Policy, reason: string): void {
  for (const prefix of resourcesOf(policy).filter((resource) => resource.endsWith('/*'))) {
    acknowledge(policy, `IAM5[Resource::${prefix}]`, reason);
  }
}
