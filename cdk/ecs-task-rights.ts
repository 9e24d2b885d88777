import { ArnFormat, type Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';

/**
 * Tasks of this account, as the one who may take a role. ECS may take it for nobody else's, as its developer guide
 * advises: else another account's tasks could be made to use it.
 */
export function tasksOf(stack: Stack): iam.IPrincipal {
  const tasks = stack.formatArn({ service: 'ecs', resource: '*', arnFormat: ArnFormat.NO_RESOURCE_NAME });
  return new iam.ServicePrincipal('ecs-tasks.amazonaws.com').withConditions({
    StringEquals: { 'aws:SourceAccount': stack.account },
    ArnLike: { 'aws:SourceArn': tasks },
  });
}
