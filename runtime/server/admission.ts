import type { BatchPolicy } from './batch-policy';
import type { BatchQueue } from './batch-queue';
import { ServerError } from './errors';
import type { Share } from './fair-shares';
import type { InferCall } from './infer-call';
import type { QueuedCall } from './queued-call';
import type { RunCost } from './run-cost';

/** When a request asks to be let in. */
export interface Arrival {
  readonly call: InferCall;
  readonly now: number;
  readonly level: number;
  /** When it stops waiting, by its queue timeout; Infinity without one. */
  readonly expiresAt: number;
}

export interface AdmissionOptions {
  /** For messages. */
  readonly model: string;
  readonly policy: BatchPolicy;
  readonly queue: BatchQueue;
  /** Rows that left the queue and have not begun. */
  readonly aheadRows: () => number;
  /** What a run costs by the clock, with all that goes on beside it. */
  readonly pace: RunCost;
  readonly executors: () => number;
  /** Seconds until an executor is free, as far as can be told. */
  readonly busySeconds: (now: number) => number;
  /** A waiting request that gives way. */
  readonly evict: (call: QueuedCall, reason: ServerError) => void;
}

const MAX_RETRY_AFTER_SECONDS = 30;

/**
 * Who may wait. The queue is bounded in rows and in seconds of work, and nobody is let in who would wait past their own
 * deadline. In a full queue a tenant with little waiting displaces the newest request of the one with most, and a higher
 * priority one of a lower: a tenant that floods the queue does not keep the others out.
 */
export class Admission {
  constructor(private readonly options: AdmissionOptions) {}

  /** @returns why the request may not wait; undefined when it may. */
  refuse(arrival: Arrival): ServerError | undefined {
    const { policy, queue } = this.options;
    const { call, level, now } = arrival;
    const rows = Math.max(1, call.rows);
    const busySeconds = this.options.busySeconds(now);
    // What can run at once need not wait.
    if (queue.isEmpty && busySeconds === 0) return undefined;
    const share = queue.shareOf(call.tenant, level);
    const { maxQueueSize } = policy.queues[level >> 1]!;
    const sameLevel = queue.callsAt(level) + queue.callsAt(level + 1);
    const wait = this.waitSeconds(queue.rowsAhead(level, share, rows), busySeconds);
    if (sameLevel >= maxQueueSize) return this.levelFull(level, maxQueueSize, wait);
    const allowed = Math.min(policy.queueSeconds, (Math.min(call.deadlineAt, arrival.expiresAt) - now) / 1_000);
    if (wait > allowed) return this.tooLong(wait, allowed);
    return this.makeRoom(level, share, rows, busySeconds);
  }

  private makeRoom(level: number, share: Share, rows: number, busySeconds: number): ServerError | undefined {
    const { policy, queue, evict } = this.options;
    for (;;) {
      const waiting = this.waitingRows;
      const wait = this.waitSeconds(queue.rows, busySeconds);
      // A request larger than the whole depth may still wait alone.
      const isFull = waiting > 0 && waiting + rows > policy.queueDepthRows;
      if (!isFull && wait <= policy.queueSeconds) return undefined;
      const weaker = queue.findWeaker(level, share, rows);
      const reason = isFull ? this.full(rows, wait) : this.tooLong(wait, policy.queueSeconds);
      if (weaker === undefined) return reason;
      evict(weaker, reason);
    }
  }

  private get waitingRows(): number {
    return this.options.queue.rows + this.options.aheadRows();
  }

  /** Seconds until so many waiting rows have been handed to executors. */
  private waitSeconds(rows: number, busySeconds: number): number {
    const { queue, pace, executors } = this.options;
    return pace.of(queue.runsOf(rows), rows) / Math.max(1, executors()) + busySeconds;
  }

  private full(rows: number, wait: number): ServerError {
    const { model, policy } = this.options;
    return refusal(
      `the queue of model '${model}' is full: ${this.waitingRows} of ${policy.queueDepthRows} rows wait, got ${rows} more`,
      wait,
    );
  }

  private tooLong(wait: number, allowed: number): ServerError {
    const { model } = this.options;
    return refusal(
      `the queue of model '${model}' is too long: ${this.waitingRows} rows wait, a predicted ${show(wait)} s, at most ${show(Math.max(0, allowed))} s would do`,
      wait,
    );
  }

  private levelFull(level: number, size: number, wait: number): ServerError {
    const { model } = this.options;
    return refusal(
      `the queue of model '${model}' is full: ${size} of ${size} requests of priority ${(level >> 1) + 1} wait`,
      wait,
    );
  }
}

function refusal(message: string, waitSeconds: number): ServerError {
  const retryAfterSeconds = Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(1, Math.ceil(waitSeconds)));
  return new ServerError('QUEUE_FULL', message, { retryAfterSeconds });
}

function show(seconds: number): string {
  return String(Number(seconds.toPrecision(3)));
}
