import { METRICS, OUTCOMES, type Outcome } from '../../spec/metric-names';
import type { CloudwatchPeriod } from '../cloudwatch-publisher';
import { Histogram } from './histogram';

/** What is counted since the start, and what holds now. */
export interface CountedTotals {
  readonly saturation: number;
  /** By outcome, several for each. */
  readonly answers: Iterable<readonly [outcome: Outcome, durations: Histogram]>;
  readonly queueDurations: readonly Histogram[];
  readonly runDurations: readonly Histogram[];
  readonly batchRows: readonly Histogram[];
  /** Of each model that had work. */
  readonly efficiencies: readonly number[];
  /** The 99th percentile; undefined before anything was measured. */
  readonly eventLoopDelaySeconds: number | undefined;
  /** Of this replica; undefined before it was ready. */
  readonly coldStartSeconds: number | undefined;
  /** Of each GPU that says it. */
  readonly gpuUtilizations: readonly number[];
}

const NOTHING = new Histogram([]);

/** What the service, not its client, could have done otherwise. */
const FAILED = new Set<Outcome>(['queue_full', 'unavailable', 'deadline', 'error']);
/** So many values stand for the waits of a period, however many requests it had. */
const WAITS = 20;

/**
 * Turns counts since the start into those of one period, over all models of the replica. It reads what is counted anyway:
 * no request costs anything more.
 */
export class PeriodTotals {
  /** Weak: a version that was reloaded is gone, with what it counted since the last look. */
  private readonly seen = new WeakMap<Histogram, Histogram>();
  private hasToldColdStart = false;

  /** What came since the last look. */
  take(totals: CountedTotals): CloudwatchPeriod {
    const outcomes: Partial<Record<Outcome, number>> = {};
    for (const [outcome, durations] of totals.answers) {
      const { count } = this.since([durations]);
      if (count > 0) outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
    }
    const counted = OUTCOMES.map((outcome) => ({ outcome, count: outcomes[outcome] ?? 0 }));
    const sum = (counts: typeof counted): number => counts.reduce((all, { count }) => all + count, 0);
    const queue = this.since(totals.queueDurations);
    const { eventLoopDelaySeconds, coldStartSeconds, gpuUtilizations } = totals;
    // A replica starts once: told again, its start would count as many as it has periods.
    const isColdStartNew = coldStartSeconds !== undefined && !this.hasToldColdStart;
    this.hasToldColdStart ||= isColdStartNew;
    return {
      values: {
        [METRICS.saturation]: totals.saturation,
        [METRICS.requests]: sum(counted),
        slipway_requests_failed_total: sum(counted.filter(({ outcome }) => FAILED.has(outcome))),
        [METRICS.queueDuration]: queue.spread(WAITS),
        ...meanOf(METRICS.runDuration, this.since(totals.runDurations)),
        ...meanOf(METRICS.batchRows, this.since(totals.batchRows)),
        // The least efficient first, should there be more models than a line has room for.
        [METRICS.efficiency]: [...totals.efficiencies].sort((a, b) => a - b),
        ...(eventLoopDelaySeconds === undefined ? {} : { [METRICS.eventLoopDelay]: eventLoopDelaySeconds }),
        ...(isColdStartNew ? { [METRICS.coldStart]: coldStartSeconds } : {}),
        ...(gpuUtilizations.length === 0 ? {} : { [METRICS.gpuUtilization]: gpuUtilizations }),
      },
      outcomes,
    };
  }

  /** @param histograms Of the same bounds. */
  private since(histograms: readonly Histogram[]): Histogram {
    const [first] = histograms;
    if (first === undefined) return NOTHING;
    const period = first.emptied();
    for (const histogram of histograms) {
      period.add(histogram, 1);
      const before = this.seen.get(histogram);
      if (before !== undefined) period.add(before, -1);
      const now = histogram.emptied();
      now.add(histogram, 1);
      this.seen.set(histogram, now);
    }
    return period;
  }
}

function meanOf(name: string, { count, sum }: Histogram): Record<string, number> {
  return count === 0 ? {} : { [name]: sum / count };
}
