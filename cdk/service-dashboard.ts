import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { METRICS } from '../runtime/spec';
import { overTargets, publishedMetric, replicaSamples, type PublishedMetricName } from './service-metrics';
import type { WatchedService } from './service-parts';

export interface ServiceDashboardProps {
  readonly watched: WatchedService;
  /** Shown in the first row. @default - none */
  readonly alarms?: { readonly all: readonly cloudwatch.IAlarm[] };
  /** The queue that the service works on, and where it puts what it cannot answer. @default - the service has callers */
  readonly queue?: { readonly queue: sqs.IQueue; readonly deadLetterQueue: sqs.IQueue };
  /**
   * What an hour of one replica costs, in whatever currency; nobody here knows your prices.
   * @default - no graph of what a thousand inferences cost
   */
  readonly replicaHourPrice?: number;
}

const WIDTH = 8;
const HEIGHT = 6;
const HOUR = Duration.hours(1);

/**
 * What one looks at first when a service is slow, fails or costs much. CloudWatch keeps three dashboards of an account for
 * nothing and charges for each further one.
 */
export class ServiceDashboard extends Construct {
  /** The dashboard. Exposed so that widgets can be added. */
  readonly dashboard: cloudwatch.Dashboard;

  constructor(scope: Construct, id: string, props: ServiceDashboardProps) {
    super(scope, id);
    this.dashboard = new cloudwatch.Dashboard(this, 'Resource', { defaultInterval: Duration.hours(3) });
    if (props.alarms !== undefined) this.dashboard.addWidgets(alarmRow(props.alarms));
    const graphs = [
      ...(props.queue === undefined ? [] : [messages(props.queue), age(props.queue)]),
      requests(props),
      ...(props.watched.targets === undefined ? [] : [latency(props)]),
      waits(props),
      runs(props),
      batches(props),
      saturation(props),
      ...(props.watched.plan.resources.gpuCount === 0 ? [] : [gpu(props)]),
      replicas(props),
      coldStarts(props),
      ...(props.replicaHourPrice === undefined ? [] : [cost(props, props.replicaHourPrice)]),
    ];
    for (let i = 0; i < graphs.length; i += 3) this.dashboard.addWidgets(...graphs.slice(i, i + 3));
  }
}

function alarmRow({ all }: NonNullable<ServiceDashboardProps['alarms']>): cloudwatch.IWidget {
  return new cloudwatch.AlarmStatusWidget({
    title: 'Alarms',
    width: 3 * WIDTH,
    height: 3,
    alarms: [...all],
  });
}

function graph(title: string, props: Omit<cloudwatch.GraphWidgetProps, 'title'>): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({ title, width: WIDTH, height: HEIGHT, ...props });
}

function published(
  { watched }: ServiceDashboardProps,
  name: PublishedMetricName,
  statistic: string,
  label: string,
): cloudwatch.Metric {
  return publishedMetric(watched.plan, watched.clusterName, name, { statistic, label });
}

function messages({ queue, deadLetterQueue }: NonNullable<ServiceDashboardProps['queue']>): cloudwatch.GraphWidget {
  const options = { statistic: cloudwatch.Stats.MAXIMUM, period: Duration.minutes(1) };
  return graph('Messages', {
    left: [
      queue.metricApproximateNumberOfMessagesVisible({ ...options, label: 'waiting' }),
      queue.metricApproximateNumberOfMessagesNotVisible({ ...options, label: 'held' }),
      deadLetterQueue.metricApproximateNumberOfMessagesVisible({ ...options, label: 'put aside' }),
    ],
  });
}

function age({ queue }: NonNullable<ServiceDashboardProps['queue']>): cloudwatch.GraphWidget {
  const options = { statistic: cloudwatch.Stats.MAXIMUM, period: Duration.minutes(1), label: 'oldest message, s' };
  return graph('Age', { left: [queue.metricApproximateAgeOfOldestMessage(options)] });
}

// Counted in the replicas: the load balancer takes a full queue for the client's mistake.
function requests(props: ServiceDashboardProps): cloudwatch.GraphWidget {
  const { targets } = props.watched;
  const sum = cloudwatch.Stats.SUM;
  return graph('Requests', {
    left: [
      published(props, METRICS.requests, sum, 'answered'),
      ...(targets === undefined
        ? []
        : [overTargets(targets, 'RequestCount', 'sum', { label: 'through the load balancer' })]),
    ],
    right: [published(props, 'slipway_requests_failed_total', sum, 'failed: overload, deadline, error')],
  });
}

function latency({ watched }: ServiceDashboardProps): cloudwatch.GraphWidget {
  const { targets, plan } = watched;
  return graph('Latency', {
    left: [50, 95, 99].map((percent) =>
      overTargets(targets!, 'TargetResponseTime', 'max', {
        statistic: cloudwatch.Stats.p(percent),
        label: `p${percent}, s`,
      }),
    ),
    leftAnnotations: [{ value: plan.lifecycle.requestDeadlineSeconds, label: 'deadline', color: cloudwatch.Color.RED }],
  });
}

function waits(props: ServiceDashboardProps): cloudwatch.GraphWidget {
  return graph('Wait for an executor', {
    left: [50, 99].map((percent) =>
      published(props, METRICS.queueDuration, cloudwatch.Stats.p(percent), `p${percent}, s`),
    ),
  });
}

function runs(props: ServiceDashboardProps): cloudwatch.GraphWidget {
  const average = cloudwatch.Stats.AVERAGE;
  return graph('Runs', {
    left: [published(props, METRICS.runDuration, average, 'one run, s')],
    right: [published(props, METRICS.efficiency, average, 'efficiency')],
    rightYAxis: { min: 0, max: 1 },
  });
}

function batches(props: ServiceDashboardProps): cloudwatch.GraphWidget {
  return graph('Rows of a run', { left: [published(props, METRICS.batchRows, cloudwatch.Stats.AVERAGE, 'mean rows')] });
}

function saturation(props: ServiceDashboardProps): cloudwatch.GraphWidget {
  const { targetSaturation } = props.watched.plan.scaling;
  return graph('Saturation', {
    left: [
      published(props, METRICS.saturation, cloudwatch.Stats.AVERAGE, 'mean'),
      published(props, METRICS.saturation, cloudwatch.Stats.MAXIMUM, 'fullest replica'),
    ],
    leftAnnotations: [
      { value: targetSaturation, label: 'target' },
      { value: 1, label: 'full', color: cloudwatch.Color.RED },
    ],
    leftYAxis: { min: 0 },
  });
}

function gpu(props: ServiceDashboardProps): cloudwatch.GraphWidget {
  return graph('GPU', {
    left: [
      published(props, METRICS.gpuUtilization, cloudwatch.Stats.AVERAGE, 'utilization, mean'),
      published(props, METRICS.gpuUtilization, cloudwatch.Stats.MAXIMUM, 'busiest'),
    ],
    leftYAxis: { min: 0, max: 1 },
  });
}

function replicas({ watched }: ServiceDashboardProps): cloudwatch.GraphWidget {
  const { clusterName, service, targets, plan } = watched;
  const ready = { statistic: cloudwatch.Stats.MINIMUM, label: 'ready' };
  return graph('Replicas', {
    left: [
      replicaSamples(clusterName, service, { label: 'running' }),
      ...(targets === undefined ? [] : [overTargets({ ...targets, grpc: [] }, 'HealthyHostCount', 'sum', ready)]),
    ],
    leftAnnotations: [{ value: plan.scaling.maxReplicas, label: 'maxReplicas' }],
    leftYAxis: { min: 0 },
  });
}

function coldStarts(props: ServiceDashboardProps): cloudwatch.GraphWidget {
  const { startupBudgetSeconds } = props.watched.plan.lifecycle;
  return graph('Cold starts', {
    left: [published(props, METRICS.coldStart, cloudwatch.Stats.MAXIMUM, 'slowest, s')],
    right: [published(props, METRICS.coldStart, cloudwatch.Stats.SAMPLE_COUNT, 'starts')],
    leftAnnotations: [{ value: startupBudgetSeconds, label: 'startup budget' }],
  });
}

// An hour of a replica is sixty samples. Where nothing was answered there is nothing to divide by, and no point is drawn.
function cost({ watched }: ServiceDashboardProps, replicaHourPrice: number): cloudwatch.GraphWidget {
  const { plan, clusterName, service } = watched;
  const usingMetrics = {
    samples: replicaSamples(clusterName, service, { period: HOUR }),
    answered: publishedMetric(plan, clusterName, METRICS.requests, { statistic: cloudwatch.Stats.SUM, period: HOUR }),
  };
  return graph('Cost of 1,000 inferences', {
    left: [
      new cloudwatch.MathExpression({
        label: `at ${replicaHourPrice} for an hour of a replica`,
        expression: `1000 * ${replicaHourPrice} * (samples / 60) / answered`,
        usingMetrics,
        period: HOUR,
      }),
    ],
    leftYAxis: { min: 0 },
  });
}
