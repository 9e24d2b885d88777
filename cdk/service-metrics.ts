import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { CLOUDWATCH_METRICS, InferenceServicePlan } from '../runtime/spec';
import type { ServiceTargets } from './service-parts';

/** Metrics that a load balancer keeps of a target group. */
export type TargetMetricName = 'HealthyHostCount' | 'RequestCount' | 'HTTPCode_Target_5XX_Count' | 'TargetResponseTime';

/** Metrics that replicas publish themselves. */
export type PublishedMetricName = (typeof CLOUDWATCH_METRICS)[number]['name'];

/** A metric as replicas publish it: one namespace, one set of dimensions. By default the average of a minute. */
export function publishedMetric(
  plan: InferenceServicePlan,
  clusterName: string,
  metricName: PublishedMetricName,
  options: cloudwatch.MetricOptions = {},
): cloudwatch.Metric {
  const names = plan.scaling.cloudwatch;
  const values: Record<(typeof names.dimensions)[number], string> = { cluster: clusterName, service: plan.name };
  return new cloudwatch.Metric({
    statistic: cloudwatch.Stats.AVERAGE,
    period: Duration.minutes(1),
    ...options,
    namespace: names.namespace,
    metricName,
    dimensionsMap: values,
  });
}

/** The scaling signal. */
export function saturationMetric(
  plan: InferenceServicePlan,
  clusterName: string,
  options: cloudwatch.MetricOptions = {},
): cloudwatch.Metric {
  return publishedMetric(plan, clusterName, plan.scaling.metric, options);
}

/**
 * How many replicas run: each writes its use of the CPU once a minute, so in a period of a minute the samples are replicas.
 * Amazon ECS counts that way without Container Insights:
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cloudwatch-metrics.html
 */
export function replicaSamples(
  clusterName: string,
  { serviceName }: ecs.IBaseService,
  options: cloudwatch.MetricOptions = {},
): cloudwatch.Metric {
  return new cloudwatch.Metric({
    period: Duration.minutes(1),
    ...options,
    statistic: cloudwatch.Stats.SAMPLE_COUNT,
    namespace: 'AWS/ECS',
    metricName: 'CPUUtilization',
    dimensionsMap: { ClusterName: clusterName, ServiceName: serviceName },
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
  // One graph may show several of these, and CDK takes an id of a graph for one metric alone.
  const name = `${metricName}_${options.statistic ?? ''}`.replaceAll(/\W/g, '_').toLowerCase();
  const usingMetrics = Object.fromEntries(metrics.map((metric, i) => [`${name}_${i}`, metric]));
  const filled = Object.keys(usingMetrics).map((id) => `FILL(${id}, 0)`);
  return new cloudwatch.MathExpression({
    expression: how === 'sum' ? filled.join(' + ') : `MAX([${filled.join(', ')}])`,
    usingMetrics,
    label: options.label ?? metricName,
    period: options.period ?? Duration.minutes(1),
  });
}
