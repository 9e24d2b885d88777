import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Records why a finding of cdk-nag's AwsSolutions pack is accepted here, so that runs over our users' apps are clean.
 * The prefixed form keeps the reason in the report; the plain one would only hide the finding.
 */
export function acknowledge(construct: IConstruct, rule: string, reason: string): void {
  Validations.of(construct).acknowledge({ id: `AwsSolutions::AwsSolutions-${rule}`, reason });
}
