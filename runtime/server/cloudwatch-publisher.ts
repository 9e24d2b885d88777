import { CLOUDWATCH, METRICS } from '../spec/metric-names';

export interface CloudwatchPublisherOptions {
  readonly cluster: string;
  readonly service: string;
  /** undefined while there is nothing to say: a replica that does not serve yet would pull the average down. */
  readonly saturation: () => number | undefined;
  readonly write: (line: string) => void;
}

/** Writes the saturation in CloudWatch's Embedded Metric Format, which CloudWatch Logs turns into a metric. */
export class CloudwatchPublisher {
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: CloudwatchPublisherOptions) {}

  start(): void {
    this.timer = setInterval(() => this.publish(), CLOUDWATCH.periodSeconds * 1_000).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private publish(): void {
    const { cluster, service, saturation, write } = this.options;
    const value = saturation();
    if (value !== undefined) write(`${JSON.stringify(embeddedMetric({ cluster, service }, value, Date.now()))}\n`);
  }
}

/** One line of the format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
export function embeddedMetric(
  dimensions: Readonly<Record<(typeof CLOUDWATCH.dimensions)[number], string>>,
  saturation: number,
  timestampMs: number,
): unknown {
  return {
    _aws: {
      Timestamp: timestampMs,
      CloudWatchMetrics: [
        {
          Namespace: CLOUDWATCH.namespace,
          Dimensions: [CLOUDWATCH.dimensions],
          Metrics: [{ Name: METRICS.saturation, Unit: 'None' }],
        },
      ],
    },
    ...dimensions,
    [METRICS.saturation]: saturation,
  };
}
