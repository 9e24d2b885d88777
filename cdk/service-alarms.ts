import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';

export interface ServiceAlarmsProps {
  readonly plan: InferenceServicePlan;
  readonly saturation: cloudwatch.IMetric;
  readonly targetGroup: elbv2.ApplicationTargetGroup;
  readonly actions: readonly cloudwatch.IAlarmAction[];
}

const MINUTE = Duration.minutes(1);

/** The four things that somebody should be woken for. */
export class ServiceAlarms extends Construct {
  /** A replica that was ready, or should be by now, fails the load balancer's check. */
  readonly unhealthyHosts: cloudwatch.Alarm;
  /** More than one request in a hundred is answered 5xx: overload (503, 504) or a failing model (500). */
  readonly serverErrors: cloudwatch.Alarm;
  /** One request in a hundred takes most of the time it may. */
  readonly latency: cloudwatch.Alarm;
  /** Replicas are full and the autoscaler has had the time to add one: maxReplicas is reached, or no machine is to be had. */
  readonly saturation: cloudwatch.Alarm;

  constructor(scope: Construct, id: string, props: ServiceAlarmsProps) {
    super(scope, id);
    const { plan, targetGroup } = props;
    const { lifecycle, scaling, name } = plan;
    this.unhealthyHosts = this.alarm('UnhealthyHosts', {
      metric: targetGroup.metrics.unhealthyHostCount({ statistic: cloudwatch.Stats.MAXIMUM, period: MINUTE }),
      threshold: 1,
      // A replica that is starting counts as unhealthy for as long as it may take.
      minutes: 2 + minutes(lifecycle.loadBalancerCheck.gracePeriodSeconds),
      description: `${name}: a replica fails ${lifecycle.loadBalancerCheck.path} although its startup budget of ${lifecycle.startupBudgetSeconds} s is over`,
    });
    this.serverErrors = this.alarm('ServerErrors', {
      metric: serverErrorPercentage(targetGroup),
      threshold: 1,
      minutes: 5,
      description: `${name}: more than 1 % of the requests are answered 5xx`,
    });
    this.latency = this.alarm('Latency', {
      metric: targetGroup.metrics.targetResponseTime({ statistic: cloudwatch.Stats.p(99), period: MINUTE }),
      threshold: 0.8 * lifecycle.requestDeadlineSeconds,
      minutes: 5,
      description: `${name}: p99 is over 80 % of the request deadline of ${lifecycle.requestDeadlineSeconds} s`,
    });
    this.saturation = this.alarm('Saturation', {
      metric: props.saturation,
      threshold: 1,
      minutes: 2 + minutes(lifecycle.progressDeadlineSeconds),
      description: `${name}: replicas stay full: maxReplicas (${scaling.maxReplicas}) is reached, or no machine is to be had`,
    });
    for (const alarm of [this.unhealthyHosts, this.serverErrors, this.latency, this.saturation]) {
      alarm.addAlarmAction(...props.actions);
    }
  }

  private alarm(
    id: string,
    options: { metric: cloudwatch.IMetric; threshold: number; minutes: number; description: string },
  ): cloudwatch.Alarm {
    return new cloudwatch.Alarm(this, id, {
      metric: options.metric,
      threshold: options.threshold,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: options.minutes,
      datapointsToAlarm: options.minutes,
      alarmDescription: options.description,
      // No requests, no data, no trouble.
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
  }
}

function serverErrorPercentage(targetGroup: elbv2.ApplicationTargetGroup): cloudwatch.MathExpression {
  const options = { statistic: cloudwatch.Stats.SUM, period: MINUTE };
  return new cloudwatch.MathExpression({
    label: 'requests answered 5xx, %',
    expression: 'IF(requests > 0, 100 * errors / requests, 0)',
    usingMetrics: {
      requests: targetGroup.metrics.requestCount(options),
      errors: targetGroup.metrics.httpCodeTarget(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, options),
    },
    period: MINUTE,
  });
}

function minutes(seconds: number): number {
  return Math.ceil(seconds / 60);
}
