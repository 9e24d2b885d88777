import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct, type IConstruct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import { alarmRules } from '../runtime/spec/alarm-rules';
import { overTargets, saturationMetric, targetMetric, type TargetMetricName } from './service-metrics';
import type { ServiceTargets, WatchedService } from './service-parts';

export interface ServiceAlarmsProps {
  /** The service itself comes after them, for its deployments watch some: see `countFrom`. */
  readonly watched: Omit<WatchedService, 'service'>;
  readonly actions: readonly cloudwatch.IAlarmAction[];
}

const MINUTE = Duration.minutes(1);

/** The things that somebody should be woken for: four behind a load balancer, saturation alone without one. */
export class ServiceAlarms extends Construct {
  /**
   * Fewer replicas are ready than there should be, for longer than it takes to bring one: they do not start, or no
   * machine is to be had. It counts the ready ones, for a replica that dies again and again is mostly not there to be
   * counted as failing.
   */
  readonly missingReplicas?: cloudwatch.Alarm;
  /**
   * One request in a hundred is answered 5xx: overload (503, 504), a failing model (500), or no replica that the load
   * balancer could ask (502, 503, 504 of its own).
   */
  readonly serverErrors?: cloudwatch.Alarm;
  /** One request in a hundred takes most of the time it may. */
  readonly latency?: cloudwatch.Alarm;
  /** Replicas are full and the autoscaler has had the time to add one: maxReplicas is reached, or no machine is to be had. */
  readonly saturation: cloudwatch.Alarm;
  /** Those that refer to no service, so that its deployments may watch them. */
  readonly forRollback: readonly cloudwatch.Alarm[] = [];

  constructor(scope: Construct, id: string, { watched, actions }: ServiceAlarmsProps) {
    super(scope, id);
    const { plan, targets, clusterName } = watched;
    const { serverErrors, saturation } = alarmRules(plan);
    if (targets !== undefined) {
      this.missingReplicas = this.watchReplicas(plan, targets);
      this.serverErrors = this.alarm('ServerErrors', {
        metric: serverErrorPercentage(targets),
        threshold: serverErrors.percent,
        minutes: serverErrors.minutes,
        description: `${plan.name}: ${serverErrors.percent} % of the requests or more are answered 5xx`,
      });
      this.latency = this.watchLatency(plan, targets);
      this.forRollback = [this.serverErrors, this.latency];
    }
    this.saturation = this.alarm('Saturation', {
      metric: saturationMetric(plan, clusterName),
      threshold: saturation.mean,
      minutes: saturation.minutes,
      description: `${plan.name}: replicas stay full: maxReplicas (${plan.scaling.maxReplicas}) is reached, or no machine is to be had`,
    });
    for (const alarm of this.all) alarm.addAlarmAction(...actions);
  }

  get all(): readonly cloudwatch.Alarm[] {
    const alarms = [this.missingReplicas, this.serverErrors, this.latency, this.saturation];
    return alarms.filter((alarm) => alarm !== undefined);
  }

  /** While the service is being created there is no replica yet, and nobody to be woken: counting begins after it. */
  countFrom(service: IConstruct): void {
    this.missingReplicas?.node.addDependency(service);
  }

  private watchReplicas(plan: InferenceServicePlan, targets: ServiceTargets): cloudwatch.Alarm | undefined {
    const { missingReplicas } = alarmRules(plan);
    if (missingReplicas === undefined) return undefined;
    return this.alarm('MissingReplicas', {
      metric: overTargets({ ...targets, grpc: [] }, 'HealthyHostCount', 'sum', {
        statistic: cloudwatch.Stats.MINIMUM,
        period: MINUTE,
      }),
      threshold: missingReplicas.expected,
      comparisonOperator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      // Where no replica is registered there is no data, and that is the worst case.
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
      minutes: missingReplicas.minutes,
      description: `${plan.name}: fewer than ${missingReplicas.expected} replicas have been ready for longer than it takes to bring one`,
    });
  }

  private watchLatency(plan: InferenceServicePlan, targets: ServiceTargets): cloudwatch.Alarm {
    const { latency } = alarmRules(plan);
    return this.alarm('Latency', {
      metric: overTargets(targets, 'TargetResponseTime', 'max', { statistic: cloudwatch.Stats.p(99), period: MINUTE }),
      threshold: latency.p99Seconds,
      minutes: latency.minutes,
      description: `${plan.name}: p99 is over 80 % of the request deadline of ${plan.lifecycle.requestDeadlineSeconds} s`,
    });
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

/**
 * A request for which the load balancer finds no replica counts among the target group's neither as a request nor as an
 * error: it is in the load balancer's own count alone. On a shared one that is everybody's, and nobody's to be blamed for.
 */
export function serverErrorPercentage(targets: ServiceTargets): cloudwatch.MathExpression {
  const options = { statistic: cloudwatch.Stats.SUM, period: MINUTE };
  const groups = [...targets.http, ...targets.grpc];
  const named = (id: string, name: TargetMetricName): [string, cloudwatch.IMetric][] =>
    groups.map((group, i) => [groups.length === 1 ? id : `${id}${i}`, targetMetric(targets, group, name, options)]);
  const passed = named('passed', 'RequestCount');
  const failed = named('failed', 'HTTPCode_Target_5XX_Count');
  const refused: [string, cloudwatch.IMetric][] = targets.isShared ? [] : [['refused', refusedRequests(targets)]];
  const sum = (metrics: readonly (readonly [string, unknown])[]): string =>
    `(${metrics.map(([id]) => `FILL(${id}, 0)`).join(' + ')})`;
  const requests = sum([...passed, ...refused]);
  return new cloudwatch.MathExpression({
    label: 'requests answered 5xx, %',
    expression: `IF(${requests} > 0, 100 * ${sum([...failed, ...refused])} / ${requests}, 0)`,
    usingMetrics: Object.fromEntries([...passed, ...failed, ...refused]),
    period: MINUTE,
  });
}

function refusedRequests({ loadBalancerFullName }: ServiceTargets): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'AWS/ApplicationELB',
    metricName: 'HTTPCode_ELB_5XX_Count',
    dimensionsMap: { LoadBalancer: loadBalancerFullName },
    statistic: cloudwatch.Stats.SUM,
    period: MINUTE,
  });
}
