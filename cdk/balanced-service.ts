import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SpecError } from '../runtime/spec';
import { MeasuredService } from './measured-service';
import { serverErrorPercentage } from './service-alarms';
import { overTargets } from './service-metrics';
import type { ServiceTargets } from './service-parts';

/** What a load balancer says of a service, over both target groups where a rollout shifts traffic from one to the other. */
export abstract class BalancedService extends MeasuredService {
  /** undefined without a load balancer. */
  protected abstract readonly targets: ServiceTargets | undefined;

  /**
   * Seconds until a replica has answered. Of two target groups the slower one.
   * @default - 99th percentile of a minute
   * @throws SpecError LISTENER_CHOICE without a load balancer
   */
  metricLatency(options?: cloudwatch.MetricOptions): cloudwatch.IMetric {
    const defaults = { statistic: cloudwatch.Stats.p(99), period: Duration.minutes(1) };
    return overTargets(this.balanced('metricLatency'), 'TargetResponseTime', 'max', { ...defaults, ...options });
  }

  /**
   * Requests that were answered 5xx, of a hundred, those among them for which there was no replica. Each minute.
   * @throws SpecError LISTENER_CHOICE without a load balancer
   */
  metricServerErrors(): cloudwatch.IMetric {
    return serverErrorPercentage(this.balanced('metricServerErrors'));
  }

  private balanced(method: string): ServiceTargets {
    if (this.targets !== undefined) return this.targets;
    throw new SpecError(
      'LISTENER_CHOICE',
      method,
      'a load balancer would count that, and there is none; use metricQueueSeconds and metricFailedRequests',
    );
  }
}
