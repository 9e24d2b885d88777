import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct, type IConstruct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';

export interface ServiceAlarmsProps {
  readonly plan: InferenceServicePlan;
  readonly saturation: cloudwatch.IMetric;
  readonly targetGroup: elbv2.ApplicationTargetGroup;
  readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  /** Whose replicas are counted. */
  readonly service: IConstruct;
  readonly actions: readonly cloudwatch.IAlarmAction[];
}

const MINUTE = Duration.minutes(1);

/** The four things that somebody should be woken for. */
export class ServiceAlarms extends Construct {
  /**
   * Fewer replicas are ready than there should be, for longer than it takes to bring one: they do not start, or no
   * machine is to be had. It counts the ready ones, for a replica that dies again and again is mostly not there to be
   * counted as failing.
   */
  readonly missingReplicas: cloudwatch.Alarm;
  /**
   * One request in a hundred is answered 5xx: overload (503, 504), a failing model (500), or no replica that the load
   * balancer could ask (502, 503, 504 of its own).
   */
  readonly serverErrors: cloudwatch.Alarm;
  /** One request in a hundred takes most of the time it may. */
  readonly latency: cloudwatch.Alarm;
  /** Replicas are full and the autoscaler has had the time to add one: maxReplicas is reached, or no machine is to be had. */
  readonly saturation: cloudwatch.Alarm;

  constructor(scope: Construct, id: string, props: ServiceAlarmsProps) {
    super(scope, id);
    const { plan, targetGroup, loadBalancer } = props;
    const { lifecycle, rollout, scaling, name } = plan;
    const expected = Math.max(1, scaling.minReplicas - rollout.maxUnavailable);
    this.missingReplicas = this.alarm('MissingReplicas', {
      metric: targetGroup.metrics.healthyHostCount({ statistic: cloudwatch.Stats.MINIMUM, period: MINUTE }),
      threshold: expected,
      comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      // Where no replica is registered there is no data, and that is the worst case.
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
      minutes: 2 + minutes(lifecycle.progressDeadlineSeconds),
      description: `${name}: fewer than ${expected} replicas have been ready for longer than it takes to bring one`,
    });
    // While the service is being created there is no replica yet, and nobody to be woken.
    this.missingReplicas.node.addDependency(props.service);
    this.serverErrors = this.alarm('ServerErrors', {
      metric: serverErrorPercentage(targetGroup, loadBalancer),
      threshold: 1,
      minutes: 5,
      description: `${name}: 1 % of the requests or more are answered 5xx`,
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
    for (const alarm of [this.missingReplicas, this.serverErrors, this.latency, this.saturation]) {
      alarm.addAlarmAction(...props.actions);
    }
  }

  private alarm(
    id: string,
    {
      minutes,
      description,
      ...options
    }: Pick<cloudwatch.AlarmProps, 'metric' | 'threshold' | 'comparisonOperator' | 'treatMissingData'> & {
      readonly minutes: number;
      readonly description: string;
    },
  ): cloudwatch.Alarm {
    return new cloudwatch.Alarm(this, id, {
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      // No requests, no data, no trouble.
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      evaluationPeriods: minutes,
      datapointsToAlarm: minutes,
      alarmDescription: description,
      ...options,
    });
  }
}

// A request for which the load balancer finds no replica counts among the target group's neither as a request nor as an
// error: it is in the load balancer's own count alone.
function serverErrorPercentage(
  targetGroup: elbv2.ApplicationTargetGroup,
  loadBalancer: elbv2.ApplicationLoadBalancer,
): cloudwatch.MathExpression {
  const options = { statistic: cloudwatch.Stats.SUM, period: MINUTE };
  const requests = '(FILL(passed, 0) + FILL(refused, 0))';
  const errors = '(FILL(failed, 0) + FILL(refused, 0))';
  return new cloudwatch.MathExpression({
    label: 'requests answered 5xx, %',
    expression: `IF(${requests} > 0, 100 * ${errors} / ${requests}, 0)`,
    usingMetrics: {
      passed: targetGroup.metrics.requestCount(options),
      failed: targetGroup.metrics.httpCodeTarget(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, options),
      refused: loadBalancer.metrics.httpCodeElb(elbv2.HttpCodeElb.ELB_5XX_COUNT, options),
    },
    period: MINUTE,
  });
}

function minutes(seconds: number): number {
  return Math.ceil(seconds / 60);
}
