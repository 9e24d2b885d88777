import { CLOUDWATCH, CLOUDWATCH_METRICS } from '../spec/metric-names';

/** What is published of one period, by metric; a metric with nothing to say in it is left out. */
export type CloudwatchValues = Partial<Record<(typeof CLOUDWATCH_METRICS)[number]['name'], number | readonly number[]>>;

/** One period of a replica. */
export interface CloudwatchPeriod {
  readonly values: CloudwatchValues;
  /** Requests by outcome: fields of the line for Logs Insights, which cost no metric. */
  readonly outcomes: Readonly<Record<string, number>>;
}

export interface CloudwatchPublisherOptions {
  readonly cluster: string;
  readonly service: string;
  /**
   * Asked once for each period; undefined while there is nothing to say: a replica that does not serve yet would pull the
   * averages down.
   */
  readonly read: () => Promise<CloudwatchPeriod> | undefined;
  readonly write: (line: string) => void;
}

/** Values of one metric in one line; the format takes up to a hundred. */
const MAX_VALUES = 20;
/** Digits that are worth their bytes in the log. */
const DIGITS = 4;

/** Writes a replica's metrics in CloudWatch's Embedded Metric Format, from which CloudWatch Logs makes metrics. */
export class CloudwatchPublisher {
  private timer: NodeJS.Timeout | undefined;
  private isReading = false;

  constructor(private readonly options: CloudwatchPublisherOptions) {}

  start(): void {
    this.timer = setInterval(() => void this.publish(), CLOUDWATCH.periodSeconds * 1_000).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async publish(): Promise<void> {
    const { cluster, service, read, write } = this.options;
    // A GPU that does not answer must not gather readers.
    if (this.isReading) return;
    this.isReading = true;
    // Nor may one that fails end the replica: what was counted comes with the next line.
    const period = await Promise.resolve(read()).catch(() => undefined);
    this.isReading = false;
    if (period === undefined) return;
    write(`${JSON.stringify(embeddedMetrics({ cluster, service }, period, Date.now()))}\n`);
  }
}

/** One line of the format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
export function embeddedMetrics(
  dimensions: Readonly<Record<(typeof CLOUDWATCH.dimensions)[number], string>>,
  { values, outcomes }: CloudwatchPeriod,
  timestampMs: number,
): unknown {
  const published = CLOUDWATCH_METRICS.flatMap(({ name, unit }) => {
    const value = values[name];
    const isEmpty = value === undefined || (typeof value !== 'number' && value.length === 0);
    return isEmpty ? [] : [{ name, unit, value: shortened(value) }];
  });
  return {
    _aws: {
      Timestamp: timestampMs,
      CloudWatchMetrics: [
        {
          Namespace: CLOUDWATCH.namespace,
          Dimensions: [CLOUDWATCH.dimensions],
          Metrics: published.map(({ name, unit }) => ({ Name: name, Unit: unit })),
        },
      ],
    },
    ...dimensions,
    ...Object.fromEntries(published.map(({ name, value }) => [name, value])),
    outcomes,
  };
}

function shortened(value: number | readonly number[]): number | readonly number[] {
  return typeof value === 'number' ? short(value) : value.slice(0, MAX_VALUES).map(short);
}

function short(value: number): number {
  return Number(value.toPrecision(DIGITS));
}
