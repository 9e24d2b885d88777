import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import { visibilitySeconds, type AsyncQueues } from './async-queue';

export interface QueueAlarmsProps extends AsyncQueues {
  readonly plan: InferenceServicePlan;
  /** Oldest that a message may become. */
  readonly maxMessageAge: Duration | undefined;
  readonly actions: readonly cloudwatch.IAlarmAction[];
}

const MINUTE = Duration.minutes(1);

/** What somebody should be woken for where nobody waits at the other end of a connection. Full replicas are no trouble here. */
export class QueueAlarms extends Construct {
  /** Messages wait longer than it takes to bring a first replica and to try twice: too few replicas, or none comes. */
  readonly queueAge: cloudwatch.Alarm;
  /** A message was put aside: nobody could read it, or it failed as often as it may. */
  readonly deadLetters: cloudwatch.Alarm;

  constructor(scope: Construct, id: string, props: QueueAlarmsProps) {
    super(scope, id);
    const { plan, queue, deadLetterQueue, actions } = props;
    const enough = plan.lifecycle.progressDeadlineSeconds + 2 * visibilitySeconds(plan);
    const seconds = props.maxMessageAge?.toSeconds() ?? enough;
    const options = { statistic: cloudwatch.Stats.MAXIMUM, period: MINUTE };
    const common = {
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    };
    this.queueAge = new cloudwatch.Alarm(this, 'QueueAge', {
      ...common,
      metric: queue.metricApproximateAgeOfOldestMessage(options),
      threshold: seconds,
      evaluationPeriods: 5,
      alarmDescription: `${plan.name}: the oldest message has waited for ${seconds} s`,
    });
    this.deadLetters = new cloudwatch.Alarm(this, 'DeadLetters', {
      ...common,
      metric: deadLetterQueue.metricApproximateNumberOfMessagesVisible(options),
      threshold: 1,
      evaluationPeriods: 1,
      alarmDescription: `${plan.name}: a message was put aside unanswered`,
    });
    for (const alarm of this.all) alarm.addAlarmAction(...actions);
  }

  get all(): readonly cloudwatch.Alarm[] {
    return [this.queueAge, this.deadLetters];
  }
}
