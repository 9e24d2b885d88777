import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import { ALARM_MINUTES } from './sagemaker-rollout';

export interface SageMakerAlarmsProps {
  readonly plan: InferenceServicePlan;
  /** A figure of what is watched, by its name. */
  readonly metric: (metricName: string, options: cloudwatch.MetricOptions) => cloudwatch.Metric;
  readonly actions: readonly cloudwatch.IAlarmAction[];
}

const MICROSECONDS = 1_000_000;

/**
 * What takes an update back and wakes somebody. They know what they watch by its name alone, so that it can name them: its
 * updates look at them, and CloudFormation would find a circle otherwise.
 */
export class SageMakerAlarms extends Construct {
  /** One request in a hundred is answered 5xx. */
  readonly serverErrors: cloudwatch.Alarm;
  /** One request in a hundred takes most of the time it may. */
  readonly latency: cloudwatch.Alarm;

  constructor(scope: Construct, id: string, { plan, metric, actions }: SageMakerAlarmsProps) {
    super(scope, id);
    const deadline = plan.lifecycle.requestDeadlineSeconds;
    this.serverErrors = this.alarm('ServerErrors', {
      metric: new cloudwatch.MathExpression({
        expression: '100 * FILL(errors, 0) / requests',
        label: 'requests answered 5xx, %',
        period: Duration.minutes(1),
        usingMetrics: {
          errors: metric('Invocation5XXErrors', { statistic: 'Sum' }),
          requests: metric('Invocations', { statistic: 'Sum' }),
        },
      }),
      threshold: 1,
      description: `${plan.name}: 1 % of the requests or more are answered 5xx`,
    });
    this.latency = this.alarm('Latency', {
      metric: metric('ModelLatency', { statistic: 'p99' }),
      threshold: 0.9 * deadline * MICROSECONDS,
      description: `${plan.name}: 1 % of the requests take 90 % of the ${deadline} s they may`,
    });
    for (const alarm of this.all) alarm.addAlarmAction(...actions);
  }

  get all(): readonly cloudwatch.Alarm[] {
    return [this.serverErrors, this.latency];
  }

  private alarm(
    id: string,
    options: { readonly metric: cloudwatch.IMetric; readonly threshold: number; readonly description: string },
  ): cloudwatch.Alarm {
    return new cloudwatch.Alarm(this, id, {
      metric: options.metric,
      threshold: options.threshold,
      alarmDescription: options.description,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: ALARM_MINUTES,
      datapointsToAlarm: ALARM_MINUTES,
      // No requests, no answers to complain of.
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }
}
