import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { METRICS, type InferenceServicePlan } from '../runtime/spec';
import { publishedMetric, replicaSamples, type PublishedMetricName } from './service-metrics';

/** What every kind of service on ECS publishes. Periods are a minute unless said otherwise. */
export abstract class MeasuredService extends Construct {
  /** Every decided value. */
  abstract readonly plan: InferenceServicePlan;
  abstract readonly cluster: ecs.ICluster;
  abstract readonly service: ecs.BaseService;

  /** A metric that replicas publish. @default - average */
  metric(name: PublishedMetricName, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return publishedMetric(this.plan, this.cluster.clusterName, name, options);
  }

  /**
   * How full the replicas are: 1 is a full replica. The signal that the service scales on unless it is told another.
   * @default - average
   */
  metricSaturation(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(METRICS.saturation, options);
  }

  /** Inference requests answered, however they came. @default - sum */
  metricRequests(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(METRICS.requests, { statistic: cloudwatch.Stats.SUM, ...options });
  }

  /** Those that failed by the service's fault: overload, deadline, error. @default - sum */
  metricFailedRequests(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('slipway_requests_failed_total', { statistic: cloudwatch.Stats.SUM, ...options });
  }

  /** Seconds that requests waited for an executor. @default - 99th percentile */
  metricQueueSeconds(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(METRICS.queueDuration, { statistic: cloudwatch.Stats.p(99), ...options });
  }

  /** Rows of one run. @default - average */
  metricBatchRows(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(METRICS.batchRows, options);
  }

  /** Share of the time in which a GPU ran something; no data without one. @default - average */
  metricGpuUtilization(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(METRICS.gpuUtilization, options);
  }

  /** Seconds from the start of a replica's process until it was ready; the sample count is the number of starts. @default - maximum */
  metricColdStart(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(METRICS.coldStart, { statistic: cloudwatch.Stats.MAXIMUM, ...options });
  }

  /** How many replicas run: samples of a metric of which each writes one a minute. */
  metricReplicas(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return replicaSamples(this.cluster.clusterName, this.service, options);
  }
}
