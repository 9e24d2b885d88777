import { performance } from 'node:perf_hooks';
import type { Tensor } from '../onnx/tensor-encoding';
import { joinRows, sliceRows } from './batch';
import { BatchQueue, type QueuedRequest } from './batch-queue';
import { ServerError } from './errors';
import { ExecutorExit, RunError, type Executor, type RunResult } from './executor';
import type { ExecutorPool } from './executor-pool';
import type { Cancellation } from './cancellation';
import type { InferCall } from './infer-call';
import type { SharedResource } from './shared-resource';

export interface BatcherOptions {
  /** For messages. */
  readonly model: string;
  readonly pool: Pick<ExecutorPool, 'take' | 'giveBack'>;
  readonly resource: SharedResource;
  /** Rows of one run; 1 when requests must not be joined. */
  readonly maxBatchRows: number;
  readonly queueDepthRows: number;
  /** Seconds after which a client that found the queue full may come again. */
  readonly retryAfterSeconds: () => number;
  readonly observe: BatchObserver;
}

export interface BatchObserver {
  queued(seconds: number): void;
  /** @param share How much of an executor the run had, up to 1. */
  ran(rows: number, result: RunResult, share: number): void;
}

interface Waiting extends QueuedRequest {
  readonly cancellation: Cancellation;
  resolve(outputs: readonly Tensor[]): void;
  reject(error: Error): void;
}

/** Joins the requests of one model version into batches and hands each request its own rows of the result. */
export class Batcher {
  private readonly queue: BatchQueue<Waiting>;
  private isDispatchScheduled = false;

  constructor(private readonly options: BatcherOptions) {
    this.queue = new BatchQueue(options.maxBatchRows, options.queueDepthRows);
  }

  get queuedRows(): number {
    return this.queue.rows;
  }

  /**
   * Runs one request, with others where possible. A cancellation takes it out of the queue; once it runs, only its answer
   * is given up.
   * @throws ServerError QUEUE_FULL, RUN_REFUSED, RUN_FAILED or MODEL_NOT_READY, or the reason of the cancellation.
   */
  run({ inputs, rows, cancellation }: InferCall): Promise<readonly Tensor[]> {
    if (cancellation.reason !== undefined) return Promise.reject(cancellation.reason);
    const counted = Math.max(1, rows);
    if (!this.queue.hasRoomFor(counted)) {
      const { model, queueDepthRows, retryAfterSeconds } = this.options;
      return Promise.reject(
        new ServerError(
          'QUEUE_FULL',
          `the queue of model '${model}' is full: ${this.queue.rows} of ${queueDepthRows} rows wait, got ${counted} more`,
          { retryAfterSeconds: retryAfterSeconds() },
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const request: Waiting = { inputs, rows: counted, enqueuedAt: performance.now(), cancellation, resolve, reject };
      cancellation.onCancel((reason) => {
        this.queue.remove(request);
        reject(reason);
      });
      this.queue.add(request);
      this.scheduleDispatch();
    });
  }

  /** Starts batches at the end of this turn of the event loop, so that requests that arrived together run together. */
  scheduleDispatch(): void {
    if (this.isDispatchScheduled) return;
    this.isDispatchScheduled = true;
    setImmediate(() => {
      this.isDispatchScheduled = false;
      this.dispatch();
    });
  }

  private dispatch(): void {
    while (!this.queue.isEmpty) {
      const executor = this.options.pool.take();
      if (executor === undefined) return;
      const batch = this.queue.take();
      const now = performance.now();
      for (const { enqueuedAt } of batch) this.options.observe.queued((now - enqueuedAt) / 1_000);
      void this.runBatch(executor, batch).finally(() => this.options.pool.giveBack(executor));
    }
  }

  private async runBatch(executor: Executor, batch: readonly Waiting[]): Promise<void> {
    try {
      const outputs = await this.runOn(executor, batch);
      let from = 0;
      for (const request of batch) {
        const to = from + rowsOf(request);
        request.resolve(batch.length === 1 ? outputs : outputs.map((output) => sliceRows(output, from, to)));
        from = to;
      }
    } catch (error) {
      if (error instanceof RunError && batch.length > 1) {
        // One request's values made the run fail; the others must not pay for it.
        for (const request of batch)
          if (request.cancellation.reason === undefined) await this.runBatch(executor, [request]);
      } else {
        for (const request of batch) request.reject(this.describe(error));
      }
    }
  }

  private async runOn(executor: Executor, batch: readonly Waiting[]): Promise<readonly Tensor[]> {
    const [first] = batch as readonly [Waiting, ...Waiting[]];
    const inputs = first.inputs.map((_, i) => joinRows(batch.map((request) => request.inputs[i]!)));
    const rows = batch.reduce((sum, request) => sum + request.rows, 0);
    const share = this.options.resource.begin();
    let had = 1;
    const result = await executor.run(inputs).finally(() => (had = share.end()));
    this.options.observe.ran(rows, result, had);
    const expected = batch.reduce((sum, request) => sum + rowsOf(request), 0);
    for (const { name, shape } of batch.length > 1 ? result.outputs : []) {
      if (shape[0] !== expected) throw new RunError(`output '${name}' has ${shape[0]} rows for a batch of ${expected}`);
    }
    return result.outputs;
  }

  private describe(error: unknown): Error {
    const { model } = this.options;
    if (error instanceof ExecutorExit) {
      return new ServerError('RUN_FAILED', `the executor of model '${model}' was lost while it ran this request`);
    }
    if (!(error instanceof RunError)) return error as Error;
    // Names, datatypes and shapes were right and the model has proven that it runs: what is left is the values (an
    // index outside a table, sizes that do not go together), unless the machine is to blame.
    return OUT_OF_RESOURCES.test(error.message)
      ? new ServerError('RUN_FAILED', `model '${model}' ran out of resources: ${error.message}`)
      : new ServerError('RUN_REFUSED', `model '${model}' cannot run these inputs: ${error.message}`);
  }
}

/** Rows that the tensors hold: none, for a request that counts as one. */
function rowsOf({ inputs }: Waiting): number {
  return inputs[0]?.shape[0] ?? 1;
}

const OUT_OF_RESOURCES = /allocate memory|out of memory|bad_alloc|CUDA|CUDNN|CUBLAS|TensorRT/i;
