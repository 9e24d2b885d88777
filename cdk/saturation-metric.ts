import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { InferenceServicePlan } from '../runtime/spec';

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
