import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as batch from 'aws-cdk-lib/aws-batch';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Preset } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import { tasksOf } from './ecs-task-rights';

export interface JobRoles {
  /** What a job may do: nothing, until it is let. */
  readonly jobRole: iam.Role;
  /** What AWS Batch does for it: pull the image, write the log. */
  readonly executionRole: iam.Role;
}

export function createJobRoles(scope: Construct): JobRoles {
  const executionRole = new iam.Role(scope, 'ExecutionRole', { assumedBy: tasksOf(Stack.of(scope)) });
  acknowledge(
    executionRole,
    'IAM5[Resource::*]',
    'ecr:GetAuthorizationToken takes no resource; pulling itself is allowed from one repository',
  );
  return { jobRole: new iam.Role(scope, 'JobRole', { assumedBy: tasksOf(Stack.of(scope)) }), executionRole };
}

export function createJobLogs(scope: Construct, preset: Preset): logs.LogGroup {
  return new logs.LogGroup(scope, 'Logs', {
    retention: logs.RetentionDays.ONE_MONTH,
    removalPolicy: preset === 'production' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });
}

/** A machine that AWS took back is no fault of the job; anything else would only fail again. */
export function retryLostMachines(): batch.RetryStrategy[] {
  return [
    batch.RetryStrategy.of(batch.Action.RETRY, batch.Reason.SPOT_INSTANCE_RECLAIMED),
    batch.RetryStrategy.of(batch.Action.EXIT, batch.Reason.custom({ onReason: '*' })),
  ];
}
