import { sliceRows } from '../onnx/slice-rows';
import type { Tensor } from '../onnx/tensor-encoding';
import { Admission } from './admission';
import { AheadBatches } from './ahead-batches';
import { paddedRows, type BatchPolicy } from './batch-policy';
import { BatchQueue } from './batch-queue';
import type { BatchObserver } from './batch-observer';
import { describeRunError } from './describe-run-error';
import { ServerError } from './errors';
import { ExecutorExit, RunError, RunTakenBack, type Executor, type RunResult } from './executor';
import type { ExecutorPool } from './executor-pool';
import type { InferCall } from './infer-call';
import { OrderedAnswers } from './ordered-answers';
import { levelOf, queueTimeoutMs } from './queue-level';
import { QueuedCall } from './queued-call';
import type { RunCost } from './run-cost';
import { Roster } from './roster';
import { RunningBatch } from './running-batch';
import { EVENT_LOOP, type Scheduler } from './scheduler';
import type { Bucket } from './shape-buckets';
import type { SharedResource } from './shared-resource';
import { traceRun } from './traced-request';

export interface BatcherOptions {
  /** For messages. */
  readonly model: string;
  readonly pool: Pick<ExecutorPool, 'take' | 'giveBack' | 'liveCount'>;
  readonly resource: SharedResource;
  readonly policy: BatchPolicy;
  /** What a run costs by the clock, warm-up's measurement at first: the batcher keeps it up to date. */
  readonly pace: RunCost;
  /** Whether all requests have the same shape, dimension 0 aside. */
  readonly hasOneShape: boolean;
  readonly observe: BatchObserver;
  /** @default - the event loop's */
  readonly scheduler?: Scheduler;
}

/** How often a request is handed to executors that turn out to be gone. */
const MAX_RETURNS = 3;
/** How exactly queue timeouts are kept. */
const TIMEOUT_STEP_MS = 20;

/** Joins the requests of one model version into batches and hands each request its own rows of the result. */
export class Batcher {
  private readonly scheduler: Scheduler;
  private readonly queue: BatchQueue;
  private readonly admission: Admission;
  private readonly order: OrderedAnswers<QueuedCall> | undefined;
  private readonly running = new Roster<RunningBatch>();
  private readonly ahead: AheadBatches;
  /** Answers that are handed out after the next batches have been started. */
  private readonly answers: (() => void)[] = [];
  private isDispatchScheduled = false;
  private areTimeoutsWatched = false;
  /** When the timer ends that looks again for batches that wait for more rows. */
  private wakesAt = Infinity;
  private count = 0;

  constructor(private readonly options: BatcherOptions) {
    const { policy, model, pace, pool } = options;
    this.scheduler = options.scheduler ?? EVENT_LOOP;
    // Behind each level of priority is one for requests that are past their timeout and were not refused.
    this.queue = new BatchQueue(policy, 2 * policy.priorityLevels, options.hasOneShape || policy.maxBatchRows === 1);
    this.ahead = new AheadBatches({ policy, pace, running: this.running, scheduler: this.scheduler });
    this.order = policy.preserveOrdering ? new OrderedAnswers() : undefined;
    this.admission = new Admission({
      model,
      policy,
      queue: this.queue,
      pace,
      aheadRows: () => this.ahead.rows,
      executors: () => pool.liveCount,
      busySeconds: (now) => this.busySeconds(now),
      evict: (call, reason) => {
        this.queue.remove(call);
        this.fail(call, reason);
      },
    });
  }

  get queuedRows(): number {
    return this.queue.rows + this.ahead.rows;
  }

  /**
   * Runs one request, with others where possible. A cancellation takes it out of the queue; once it runs, its answer is
   * given up, and the run with it when nobody else waits for that.
   * @returns all outputs in the model's order, as views of memory that other requests share.
   * @throws ServerError QUEUE_FULL, DEADLINE when a queue timeout passes, RUN_REFUSED, RUN_FAILED, EXECUTOR_LOST, or the reason of the
   * cancellation.
   */
  run(call: InferCall): Promise<readonly Tensor[]> {
    const { cancellation } = call;
    if (cancellation.reason !== undefined) return Promise.reject(cancellation.reason);
    const { queue } = this;
    const now = this.scheduler.now();
    if (now >= call.deadlineAt) return Promise.reject(this.tooLate(0));
    queue.dropPast(now, this.past);
    const level = levelOf(call, this.options.policy);
    const expiresAt = now + queueTimeoutMs(call, this.options.policy, level);
    const isDelayed = this.options.policy.queues[level >> 1]!.timeoutAction === 'DELAY';
    const refusal = this.admission.refuse({ call, now, level, expiresAt: isDelayed ? Infinity : expiresAt });
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const queued = new QueuedCall(call, this.count++, now, level, expiresAt, resolve, reject);
      this.order?.expect(queued);
      cancellation.onCancel((reason) => this.cancel(queued, reason));
      if (queue.isEmpty) this.options.observe.changed(now, this.running.size, 1);
      queue.add(queued);
      if (expiresAt < call.deadlineAt) this.watchTimeouts();
      // Otherwise the batch that ends next looks into the queue.
      if (this.hasFreeExecutor) {
        if (queue.hasFullBatch) this.dispatch();
        else this.scheduleDispatch();
      } else if (queue.hasFullBatch && this.ahead.hasRoom) {
        this.dispatch();
      }
    });
  }

  /** Starts batches at the end of this turn of the event loop, so that requests that arrived together run together. */
  scheduleDispatch(): void {
    if (this.queue.isEmpty && this.hasFreeExecutor) this.ahead.takeOneBack();
    if (this.isDispatchScheduled || (this.queue.isEmpty && this.answers.length === 0)) return;
    this.isDispatchScheduled = true;
    this.scheduler.endOfTurn(this.endTurn);
  }

  private readonly endTurn = (): void => {
    this.isDispatchScheduled = false;
    this.dispatch();
    for (const answer of this.answers.splice(0)) answer();
  };

  private dispatch(): void {
    const { queue, options } = this;
    while (!queue.isEmpty) {
      const now = this.scheduler.now();
      queue.dropPast(now, this.past);
      if (queue.isEmpty) return;
      const bucket = queue.nextBucket(now);
      if (bucket === undefined) return this.wakeAt(queue.nextAt, now);
      const executor = options.pool.take();
      const lead = executor === undefined ? this.findLead(bucket) : undefined;
      if (executor !== undefined) this.begin(executor, queue.take(bucket), now);
      else if (lead !== undefined) this.handAhead(lead, queue.take(bucket));
      else return;
    }
  }

  private begin(executor: Executor, calls: readonly QueuedCall[], now: number): void {
    const batch = new RunningBatch(executor, calls);
    this.leftQueue(batch, now);
    this.begun(batch, now);
    this.start(batch);
  }

  private findLead(bucket: Bucket): RunningBatch | undefined {
    // A request whose time in the queue is bounded must not wait where it cannot be dropped.
    if (this.areTimeoutsWatched) return undefined;
    return this.ahead.findLead(bucket.rows, this.queue.firstOf(bucket).call);
  }

  /** Hands a batch over that begins, on the same executor, when the other one ends. */
  private handAhead(lead: RunningBatch, calls: readonly QueuedCall[]): void {
    const batch = new RunningBatch(lead.executor, calls);
    this.ahead.add(batch, lead);
    this.start(batch);
  }

  private leftQueue({ calls }: RunningBatch, now: number): void {
    for (const { enqueuedAt, call } of calls) {
      this.options.observe.queued((now - enqueuedAt) / 1_000);
      call.trace?.queued(enqueuedAt, now);
    }
  }

  private begun(batch: RunningBatch, now: number): void {
    const { resource, observe } = this.options;
    batch.begunAt = now;
    batch.share = resource.begin();
    this.running.add(batch);
    observe.began(now);
    observe.changed(now, this.running.size, this.queue.runsOf(this.queue.rows));
  }

  private start(batch: RunningBatch): void {
    this.handOver(batch, paddedRows(this.options.policy, batch.rows)).then(
      (result) => this.succeeded(batch, result),
      (error: Error) => this.failed(batch, error),
    );
  }

  /** Asynchronous so that there is one way to fail. */
  private async handOver(batch: RunningBatch, rows: number): Promise<RunResult> {
    return batch.executor.run(batch.joinInputs(rows));
  }

  private succeeded(batch: RunningBatch, result: RunResult): void {
    const { policy, pace, observe } = this.options;
    const now = this.scheduler.now();
    const share = this.end(batch, now, result.seconds);
    const executedRows = paddedRows(policy, batch.rows);
    pace.observe(executedRows, (now - batch.begunAt) / 1_000);
    observe.ran({ rows: batch.rows, executedRows, requests: batch.calls.length, result, share });
    // The rows of a single request that was not padded are the outputs, whatever dimension 0 of them means.
    const isWhole = batch.calls.length === 1 && executedRows === batch.rows;
    const wrong = isWhole ? undefined : result.outputs.find(({ shape }) => shape[0] !== executedRows);
    if (wrong !== undefined) {
      const message = `output '${wrong.name}' has ${wrong.shape[0]} rows for a batch of ${executedRows}`;
      return this.recover(batch, new RunError(message));
    }
    batch.releaseInputs();
    this.next(batch, batch.rest, () => {
      let from = 0;
      for (const call of batch.calls) {
        const to = from + call.call.rows;
        if (!call.isSettled) {
          this.answer(call, isWhole ? result.outputs : result.outputs.map((output) => sliceRows(output, from, to)));
        }
        from = to;
      }
    });
  }

  private failed(batch: RunningBatch, error: Error): void {
    if (batch.lead !== undefined) return this.neverBegan(batch, batch.lead, error);
    this.end(batch, this.scheduler.now(), 0);
    this.recover(batch, error);
  }

  /** A batch that was ahead waits again, where other executors find it. */
  private neverBegan(batch: RunningBatch, lead: RunningBatch, error: Error): void {
    lead.ahead = undefined;
    this.ahead.remove(batch);
    const isWhole = error instanceof RunTakenBack || (error instanceof ExecutorExit && !error.hadBegun);
    for (const call of batch.calls.toReversed()) {
      call.batch = undefined;
      if (call.isSettled) continue;
      if (isWhole) this.queue.putBack(call);
      else this.fail(call, describeRunError(this.options.model, error));
    }
    this.scheduleDispatch();
  }

  private recover(batch: RunningBatch, error: Error): void {
    const wanted = batch.calls.filter(({ isSettled }) => !isSettled);
    if (error instanceof ExecutorExit) {
      this.lost(batch, wanted, error);
    } else if (error instanceof RunError && batch.calls.length > 1) {
      // One request's values made the run fail; the others must not pay for it. Halving finds it in few runs.
      const half = Math.ceil(wanted.length / 2);
      this.next(batch, [wanted.slice(0, half), wanted.slice(half), ...batch.rest]);
    } else {
      for (const call of wanted) this.fail(call, describeRunError(this.options.model, error));
      this.next(batch, batch.rest);
    }
  }

  /** What an executor that is gone has not begun can still be run by another. */
  private lost(batch: RunningBatch, wanted: readonly QueuedCall[], error: ExecutorExit): void {
    const waiting = batch.rest.flat().filter(({ isSettled }) => !isSettled);
    const again = error.hadBegun ? waiting : [...wanted, ...waiting];
    for (const call of again.reverse()) {
      call.returns += 1;
      if (call.returns <= MAX_RETURNS) this.queue.putBack(call);
      else this.fail(call, describeRunError(this.options.model, error));
    }
    if (error.hadBegun) for (const call of wanted) this.fail(call, describeRunError(this.options.model, error));
    this.next(batch, []);
  }

  /**
   * Gives the executor its next work: what is left of a failed batch, or else whatever waits.
   * @param answer Hands out what the batch brought: after the next one has been started, so that the executor works while
   * answers are written.
   */
  private next(batch: RunningBatch, groups: readonly (readonly QueuedCall[])[], answer?: () => void): void {
    const { executor, ahead } = batch;
    if (ahead !== undefined) {
      // It has begun already.
      ahead.rest = [...ahead.rest, ...groups];
      if (this.queue.hasFullBatch) this.dispatch();
      answer?.();
      return;
    }
    for (const [i, group] of groups.entries()) {
      const wanted = group.filter(({ isSettled }) => !isSettled);
      if (wanted.length === 0) continue;
      const next = new RunningBatch(executor, wanted, groups.slice(i + 1));
      this.begun(next, this.scheduler.now());
      this.start(next);
      answer?.();
      return;
    }
    this.options.pool.giveBack(executor);
    if (this.queue.hasFullBatch) this.dispatch();
    if (answer === undefined || this.queue.isEmpty) answer?.();
    else this.answers.push(answer);
    this.scheduleDispatch();
  }

  private end(batch: RunningBatch, now: number, runSeconds: number): number {
    const { observe } = this.options;
    this.running.remove(batch);
    for (const call of batch.calls) call.batch = undefined;
    traceRun(batch, now);
    observe.ended(batch.begunAt, runSeconds);
    const share = batch.share!.end();
    const { ahead } = batch;
    if (ahead === undefined) {
      observe.changed(now, this.running.size, this.queue.runsOf(this.queue.rows));
    } else {
      this.ahead.remove(ahead);
      this.leftQueue(ahead, now);
      this.begun(ahead, now);
    }
    return share;
  }

  private cancel(call: QueuedCall, reason: ServerError): void {
    if (call.isSettled) return;
    this.queue.remove(call);
    this.fail(call, reason);
    const { batch } = call;
    if (batch === undefined) return;
    batch.wanted -= 1;
    if (batch.wanted > 0) return;
    if (batch.lead === undefined) batch.executor.interrupt?.();
    else batch.executor.takeBack?.();
  }

  /** A request whose time is over before it ran. */
  private readonly past = (call: QueuedCall): void => {
    const { policy } = this.options;
    const now = this.scheduler.now();
    if (now < call.call.deadlineAt && policy.queues[call.level >> 1]!.timeoutAction === 'DELAY') {
      call.level += 1;
      call.expiresAt = Infinity;
      this.queue.add(call);
      return;
    }
    this.fail(call, this.tooLate(now - call.enqueuedAt));
  };

  private tooLate(waitedMs: number): ServerError {
    const { model } = this.options;
    return new ServerError('DEADLINE', `no executor of model '${model}' was free within ${Math.round(waitedMs)} ms`);
  }

  private answer(call: QueuedCall, outputs: readonly Tensor[]): void {
    call.isSettled = true;
    if (this.order === undefined) call.resolve(outputs);
    else this.order.settle(call, () => call.resolve(outputs));
  }

  private fail(call: QueuedCall, reason: Error): void {
    call.isSettled = true;
    call.reject(reason);
    this.order?.settle(call, () => {});
  }

  private get hasFreeExecutor(): boolean {
    return this.running.size < this.options.pool.liveCount;
  }

  /** Seconds until the first executor has done what it was given, by what such runs take; 0 while one is free. */
  private busySeconds(now: number): number {
    const { policy, pace } = this.options;
    if (this.hasFreeExecutor) return 0;
    let least = Infinity;
    for (const { rows, begunAt, ahead } of this.running.snapshot()) {
      const left = Math.max(0, pace.of(1, paddedRows(policy, rows)) - (now - begunAt) / 1_000);
      const next = ahead === undefined ? 0 : pace.of(1, paddedRows(policy, ahead.rows));
      if (left + next < least) least = left + next;
    }
    return least === Infinity ? 0 : least;
  }

  private watchTimeouts(): void {
    if (this.areTimeoutsWatched) return;
    this.areTimeoutsWatched = true;
    this.scheduler.after(TIMEOUT_STEP_MS, () => {
      this.areTimeoutsWatched = false;
      this.queue.dropPast(this.scheduler.now(), this.past);
      if (!this.queue.isEmpty) this.watchTimeouts();
    });
  }

  /** Looks again when a batch has waited long enough for more rows. */
  private wakeAt(at: number, now: number): void {
    // Timers count whole milliseconds, and delays are often shorter.
    if (at - now < 1) return this.scheduleDispatch();
    if (at >= this.wakesAt) return;
    this.wakesAt = at;
    this.scheduler.after(Math.floor(at - now), () => {
      // Timers may be early: the next look says whether another one is needed.
      this.wakesAt = Infinity;
      this.scheduleDispatch();
    });
  }
}
