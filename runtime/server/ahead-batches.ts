import type { Tensor } from '../onnx/tensor-encoding';
import type { BatchPolicy } from './batch-policy';
import type { InferCall } from './infer-call';
import type { Roster } from './roster';
import type { RunCost } from './run-cost';
import type { RunningBatch } from './running-batch';
import type { Scheduler } from './scheduler';

/**
 * Up to this length of a run the next full batch is handed over ahead: the pause between two, some 0.1 to 0.4 ms, would be
 * felt. Of longer runs it is not, and what waits in the queue can still be overtaken, joined by others or dropped.
 */
const RUN_MS = 10;
/** A request that is alone is copied when it is handed over ahead, so that it can be taken back: not if it is larger. */
const COPIED_BYTES = 64 * 1_024;
/** After so long the run is none of those: what is ahead of it is taken back, for other executors. */
const PATIENCE_MS = 100;

export interface AheadBatchesOptions {
  readonly policy: Pick<BatchPolicy, 'maxBatchRows' | 'queues'>;
  readonly pace: RunCost;
  readonly running: Roster<RunningBatch>;
  readonly scheduler: Scheduler;
}

/** Batches that executors have been given while they run others. */
export class AheadBatches {
  private count = 0;
  private heldRows = 0;
  private isWatched = false;
  /** A bound on who waits, by number or by time, is kept to the letter only in the queue. */
  private readonly isAllowed: boolean;

  constructor(private readonly options: AheadBatchesOptions) {
    this.isAllowed = options.policy.queues.every(({ maxQueueSize, defaultTimeoutMs }) => {
      return maxQueueSize === Infinity && defaultTimeoutMs === Infinity;
    });
  }

  /** Rows in them. They wait as those in the queue do. */
  get rows(): number {
    return this.heldRows;
  }

  /** Whether some executor that is busy has nothing ahead. */
  get hasRoom(): boolean {
    return this.isAllowed && this.count < this.options.running.size;
  }

  /**
   * A running batch whose executor can have the next one ahead.
   * @param rows That wait for a batch.
   * @param first The request that this batch would begin with.
   */
  findLead(rows: number, first: InferCall): RunningBatch | undefined {
    const { policy, pace, running } = this.options;
    const { maxBatchRows } = policy;
    if (rows < maxBatchRows || !this.hasRoom || pace.of(1, maxBatchRows) * 1_000 > RUN_MS) return undefined;
    if (first.rows >= maxBatchRows && bytesOf(first.inputs) > COPIED_BYTES) return undefined;
    return running.find(({ ahead, rest, executor }) => {
      return ahead === undefined && rest.length === 0 && executor.takesAhead === true;
    });
  }

  /** Before it is handed over. */
  add(batch: RunningBatch, lead: RunningBatch): void {
    batch.lead = lead;
    lead.ahead = batch;
    this.count += 1;
    this.heldRows += batch.rows;
    this.watch();
  }

  /** When it begins, or comes back. */
  remove(batch: RunningBatch): void {
    batch.lead = undefined;
    this.count -= 1;
    this.heldRows -= batch.rows;
  }

  /** For an executor that is free and finds nothing in the queue. */
  takeOneBack(): void {
    if (this.count === 0) return;
    this.options.running.find(({ ahead, executor }) => ahead !== undefined && executor.takeBack?.() === true);
  }

  private watch(): void {
    if (this.isWatched) return;
    this.isWatched = true;
    const { scheduler, running } = this.options;
    scheduler.after(PATIENCE_MS, () => {
      this.isWatched = false;
      if (this.count === 0) return;
      const late = scheduler.now() - PATIENCE_MS;
      for (const { ahead, begunAt, executor } of running.snapshot()) {
        if (ahead !== undefined && begunAt <= late) executor.takeBack?.();
      }
      this.watch();
    });
  }
}

function bytesOf(inputs: readonly Tensor[]): number {
  let bytes = 0;
  for (const { data } of inputs) if (ArrayBuffer.isView(data)) bytes += data.byteLength;
  return bytes;
}
