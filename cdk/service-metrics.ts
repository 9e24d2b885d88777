import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { InferenceServicePlan } from '../runtime/spec';
import type { ServiceTargets } from './service-parts';

/** Metrics that a load balancer keeps of a target group. */
export type TargetMetricName = 'HealthyHostCount' | 'RequestCount' | 'HTTPCode_Target_5XX_Count' | 'TargetResponseTime';

/** The scaling signal as replicas publish it: one namespace, one name, one set of dimensions. */
export function saturationMetric(
  plan: InferenceServicePlan,
  clusterName: string,
  options: cloudwatch.MetricOptions = {},
): cloudwatch.Metric {
  const { cloudwatch: names, metric } = plan.scaling;
  const values: Record<(typeof names.dimensions)[number], string> = { cluster: clusterName, service: plan.name };
  return new cloudwatch.Metric({
    statistic: cloudwatch.Stats.AVERAGE,
    period: Duration.minutes(1),
    ...options,
    namespace: names.namespace,
    metricName: metric,
    dimensionsMap: values,
  });
}

/** A metric of one target group. A group without traffic has no load balancer to ask, so both are named here. */
export function targetMetric(
  { loadBalancerFullName }: Pick<ServiceTargets, 'loadBalancerFullName'>,
  { targetGroupFullName }: elbv2.ApplicationTargetGroup,
  metricName: TargetMetricName,
  options: cloudwatch.MetricOptions = {},
): cloudwatch.Metric {
  return new cloudwatch.Metric({
    statistic: cloudwatch.Stats.SUM,
    period: Duration.minutes(1),
    ...options,
    namespace: 'AWS/ApplicationELB',
    metricName,
    dimensionsMap: { TargetGroup: targetGroupFullName, LoadBalancer: loadBalancerFullName },
  });
}

/** A metric over all target groups of a kind: the one that has no traffic has no data either, and counts as 0. */
export function overTargets(
  targets: ServiceTargets,
  metricName: TargetMetricName,
  how: 'sum' | 'max',
  options: cloudwatch.MetricOptions = {},
): cloudwatch.IMetric {
  const metrics = [...targets.http, ...targets.grpc].map((group) => targetMetric(targets, group, metricName, options));
  if (metrics.length === 1) return metrics[0]!;
  const usingMetrics = Object.fromEntries(metrics.map((metric, i) => [`target${i}`, metric]));
  const filled = Object.keys(usingMetrics).map((id) => `FILL(${id}, 0)`);
  return new cloudwatch.MathExpression({
    expression: how === 'sum' ? filled.join(' + ') : `MAX([${filled.join(', ')}])`,
    usingMetrics,
    label: metricName,
    period: options.period ?? Duration.minutes(1),
  });
}
