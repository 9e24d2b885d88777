import type { Outcome } from '../spec/metric-names';
import type { RunResult } from './executor';

/** How often something happened and how long it took together. */
export class StatisticDuration {
  count = 0;
  seconds = 0;

  add(seconds: number, count = 1): void {
    this.count += count;
    this.seconds += seconds;
  }
}

/** Runs of one batch size. */
export interface BatchStatistic {
  readonly rows: number;
  readonly run: StatisticDuration;
}

/**
 * What one model version has done since it was loaded, in the terms of Triton's statistics extension. Counters only ever
 * grow; the time to lay a batch out and to hand its rows back is part of the run.
 */
export class ModelStatistics {
  readonly success = new StatisticDuration();
  readonly fail = new StatisticDuration();
  readonly queue = new StatisticDuration();
  readonly run = new StatisticDuration();
  readonly cacheHit = new StatisticDuration();
  readonly cacheMiss = new StatisticDuration();
  /** Requests that got no answer of the model, by Triton's reasons. */
  readonly failures = { REJECTED: 0, CANCELED: 0, BACKEND: 0, OTHER: 0 };
  /** Rows that were run. */
  rows = 0;
  /** Runs, whatever their size. */
  executions = 0;
  /** When the last request came, in milliseconds since 1970; 0 before the first. */
  lastInferenceMs = 0;
  private readonly bySize = new Map<number, BatchStatistic>();

  get batches(): readonly BatchStatistic[] {
    return [...this.bySize.values()].sort((a, b) => a.rows - b.rows);
  }

  /** A request that got no answer of the model. */
  failed(seconds: number, outcome: Outcome): void {
    this.fail.add(seconds);
    this.failures[FAILURE_REASONS[outcome]] += 1;
  }

  ran(rows: number, { seconds }: RunResult): void {
    this.rows += rows;
    this.executions += 1;
    this.run.add(seconds);
    let batch = this.bySize.get(rows);
    // As many sizes as a batch may have rows: bounded by the model's largest batch.
    if (batch === undefined) this.bySize.set(rows, (batch = { rows, run: new StatisticDuration() }));
    batch.run.add(seconds);
  }
}

/** Triton's reasons, in which refusing what is too much and giving up what waited too long are one. */
const FAILURE_REASONS: Readonly<Record<Outcome, keyof ModelStatistics['failures']>> = {
  ok: 'OTHER',
  client_error: 'OTHER',
  queue_full: 'REJECTED',
  deadline: 'REJECTED',
  unavailable: 'OTHER',
  cancelled: 'CANCELED',
  error: 'BACKEND',
};
