import type { RunResult } from './executor';

/** What happens to requests and batches. All times of day are milliseconds on the scheduler's clock. */
export interface BatchObserver {
  /** A request left the queue for an executor. */
  queued(seconds: number): void;
  /** A batch is handed to an executor. */
  began(nowMs: number): void;
  /** And is back. @param runSeconds Time inside the runtime; 0 for a run that failed. */
  ended(begunAtMs: number, runSeconds: number): void;
  /** A batch was handed over or came back, or an empty queue got its first request: so many batches run and wait. */
  changed(nowMs: number, running: number, waiting: number): void;
  ran(run: BatchRun): void;
}

/** A run that succeeded. */
export interface BatchRun {
  /** Rows of requests. */
  readonly rows: number;
  /** Rows that ran, with those that the batch was padded with. */
  readonly executedRows: number;
  readonly requests: number;
  readonly result: RunResult;
  /** How much of an executor the run had, up to 1. */
  readonly share: number;
}
