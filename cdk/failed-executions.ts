import * as events from 'aws-cdk-lib/aws-events';
import type * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';

/** Events of executions that failed, were stopped by hand or took too long; `eventPattern` narrows them. */
export function onFailedExecution(
  scope: Construct,
  id: string,
  stateMachine: sfn.IStateMachine,
  { target, ...props }: events.OnEventOptions,
): events.Rule {
  const rule = new events.Rule(scope, id, props);
  rule.addEventPattern({
    source: ['aws.states'],
    detailType: ['Step Functions Execution Status Change'],
    detail: { stateMachineArn: [stateMachine.stateMachineArn], status: ['FAILED', 'TIMED_OUT', 'ABORTED'] },
  });
  if (target !== undefined) rule.addTarget(target);
  return rule;
}
