import { Duration } from 'aws-cdk-lib';
import * as appscaling from 'aws-cdk-lib/aws-applicationautoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { ApplicationScalingAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Construct } from 'constructs';
import type { QueueScalingOptions, ScalingTarget } from './scaling';
import { replicaSamples } from './service-metrics';

const MINUTE = Duration.minutes(1);

/**
 * Three policies, because none does it all: tracking holds the messages that wait for each replica, but multiplies what
 * there is, and no multiple of 0 is 1; so a step brings the first replica. And tracking takes the last one away only
 * sometime; so a step lets all go when nothing has waited and nobody has held a message for a while.
 */
export function scaleOnQueue(scope: Construct, target: ScalingTarget, options: QueueScalingOptions): void {
  const folder = new Construct(scope, 'QueueScaling');
  holdBacklog(folder, target, options);
  wake(folder, target, options);
  if (target.watched.plan.scaling.minReplicas === 0) sleep(folder, target, options);
}

// The L2 takes no expression.
function holdBacklog(
  scope: Construct,
  target: ScalingTarget,
  { queue, messagesPerReplica }: QueueScalingOptions,
): void {
  const { plan, clusterName, service } = target.watched;
  new appscaling.CfnScalingPolicy(scope, 'Backlog', {
    policyName: `${plan.name}-backlog`,
    policyType: 'TargetTrackingScaling',
    scalingTargetId: target.scalableTargetId,
    targetTrackingScalingPolicyConfiguration: {
      targetValue: messagesPerReplica,
      scaleInCooldown: plan.scaling.scaleInCooldownSeconds,
      scaleOutCooldown: plan.scaling.scaleOutCooldownSeconds,
      customizedMetricSpecification: {
        metrics: [
          {
            id: 'messages',
            returnData: false,
            metricStat: {
              stat: 'Maximum',
              metric: {
                namespace: 'AWS/SQS',
                metricName: 'ApproximateNumberOfMessagesVisible',
                dimensions: [{ name: 'QueueName', value: queue.queueName }],
              },
            },
          },
          {
            id: 'replicas',
            returnData: false,
            metricStat: {
              stat: 'SampleCount',
              metric: {
                namespace: 'AWS/ECS',
                metricName: 'CPUUtilization',
                dimensions: [
                  { name: 'ClusterName', value: clusterName },
                  { name: 'ServiceName', value: service.serviceName },
                ],
              },
            },
          },
          {
            id: 'backlog',
            label: 'messages that wait for each replica',
            // Replicas that have been asked for and do not run yet are no samples: one counts all the same.
            expression: 'messages / IF(FILL(replicas, 0) > 1, FILL(replicas, 0), 1)',
            returnData: true,
          },
        ],
      },
    },
  });
}

// Until the first one runs no other is brought by this policy: on a GPU that takes a machine and then a start.
function wake(scope: Construct, target: ScalingTarget, { queue }: QueueScalingOptions): void {
  const { plan, clusterName, service } = target.watched;
  const alarm = new cloudwatch.Alarm(scope, 'Waiting', {
    alarmDescription: `${plan.name}: messages wait and no replica runs; it brings the first one`,
    metric: new cloudwatch.MathExpression({
      label: 'messages that wait for a first replica',
      expression: 'IF(FILL(replicas, 0) > 0, 0, messages)',
      usingMetrics: {
        messages: queue.metricApproximateNumberOfMessagesVisible({
          period: MINUTE,
          statistic: cloudwatch.Stats.MAXIMUM,
        }),
        replicas: replicaSamples(clusterName, service),
      },
      period: MINUTE,
    }),
    threshold: 1,
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: 1,
    treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
  });
  const action = new appscaling.StepScalingAction(scope, 'Wake', {
    scalingTarget: scalableTargetOf(target),
    policyName: `${plan.name}-wake`,
    adjustmentType: appscaling.AdjustmentType.CHANGE_IN_CAPACITY,
    cooldown: Duration.seconds(plan.lifecycle.progressDeadlineSeconds),
  });
  action.addAdjustment({ adjustment: 1, lowerBound: 0 });
  alarm.addAlarmAction(new ApplicationScalingAction(action));
}

function sleep(scope: Construct, target: ScalingTarget, { queue }: QueueScalingOptions): void {
  const { plan } = target.watched;
  const options = { period: MINUTE, statistic: cloudwatch.Stats.MAXIMUM };
  const minutes = Math.ceil(plan.scaling.scaleInCooldownSeconds / 60);
  const alarm = new cloudwatch.Alarm(scope, 'Idle', {
    alarmDescription: `${plan.name}: no message has waited or been held for ${minutes} minutes; it lets all replicas go`,
    metric: new cloudwatch.MathExpression({
      label: 'messages that wait or are held',
      expression: 'waiting + held',
      usingMetrics: {
        waiting: queue.metricApproximateNumberOfMessagesVisible(options),
        held: queue.metricApproximateNumberOfMessagesNotVisible(options),
      },
      period: MINUTE,
    }),
    threshold: 0,
    comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: minutes,
    // Where SQS says nothing, nobody knows that nothing waits.
    treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
  });
  const action = new appscaling.StepScalingAction(scope, 'Sleep', {
    scalingTarget: scalableTargetOf(target),
    policyName: `${plan.name}-sleep`,
    adjustmentType: appscaling.AdjustmentType.EXACT_CAPACITY,
  });
  action.addAdjustment({ adjustment: 0, upperBound: 0 });
  alarm.addAlarmAction(new ApplicationScalingAction(action));
}

function scalableTargetOf({ count }: ScalingTarget): appscaling.ScalableTarget {
  return count.node.findChild('Target') as appscaling.ScalableTarget;
}
