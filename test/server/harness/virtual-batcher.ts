import { planBatching, type BatchPolicy } from '../../../runtime/server/batch-policy';
import type { BatchRun } from '../../../runtime/server/batch-observer';
import { Batcher } from '../../../runtime/server/batcher';
import { Cancellation } from '../../../runtime/server/cancellation';
import type { ServerError } from '../../../runtime/server/errors';
import { ExecutorExit, RunError, type Executor, type RunResult } from '../../../runtime/server/executor';
import type { InferCall } from '../../../runtime/server/infer-call';
import { RunCost } from '../../../runtime/server/run-cost';
import type { Scheduler } from '../../../runtime/server/scheduler';
import { SharedResource } from '../../../runtime/server/shared-resource';
import type { Tensor } from '../../../runtime/onnx/tensor-encoding';

/** A row with this in it makes the run fail. */
export const POISON = -1;

/** Time that passes only when nothing else is left to do. */
export class VirtualTime implements Scheduler {
  private time = 0;
  private turn: (() => void)[] = [];
  private readonly timers: { readonly at: number; readonly number: number; readonly callback: () => void }[] = [];
  private count = 0;
  /** Called whenever everything that can happen now has happened. */
  onQuiet = (): void => {};

  now(): number {
    return this.time;
  }

  endOfTurn(callback: () => void): void {
    this.turn.push(callback);
  }

  after(ms: number, callback: () => void): void {
    this.timers.push({ at: this.time + ms, number: this.count++, callback });
  }

  /** Lets everything happen that is due until then. */
  async run(until = Infinity): Promise<void> {
    await this.settle();
    for (let events = 0; events < 100_000; events++) {
      this.timers.sort((a, b) => a.at - b.at || a.number - b.number);
      const next = this.timers[0];
      if (next === undefined || next.at > until) {
        if (until !== Infinity) this.time = Math.max(this.time, until);
        return;
      }
      this.timers.shift();
      this.time = Math.max(this.time, next.at);
      next.callback();
      await this.settle();
    }
    throw new Error('virtual time does not come to rest');
  }

  private async settle(): Promise<void> {
    for (let turns = 0; turns < 10_000; turns++) {
      // Promises first, as in the event loop.
      for (let i = 0; i < 10; i++) await Promise.resolve();
      if (this.turn.length === 0) return this.onQuiet();
      for (const callback of this.turn.splice(0)) callback();
      // A delay of less than a millisecond is waited for turn by turn.
      this.time += 0.05;
    }
    throw new Error('the end of the turn never comes');
  }
}

/** What an executor was given. */
export interface ObservedRun {
  readonly at: number;
  /** The first number of every row, pads among them. */
  readonly rows: readonly number[];
  readonly width: number;
  hasFailed: boolean;
}

export interface VirtualOptions {
  readonly policy?: Partial<BatchPolicy>;
  readonly executors?: number;
  readonly hasOneShape?: boolean;
  /** Milliseconds of a run of so many rows. */
  readonly runMs?: (rows: number) => number;
  /** What warm-up found out about that. @default - the truth */
  readonly expectedMs?: number;
  /** What becomes of the n-th run. @default - it works */
  readonly fate?: (run: number) => 'works' | 'refused' | 'lost';
}

/** A batcher over executors that give their inputs back after a time, on a clock of its own. */
export class VirtualBatcher {
  readonly time = new VirtualTime();
  readonly runs: ObservedRun[] = [];
  readonly observed: BatchRun[] = [];
  readonly queuedSeconds: number[] = [];
  readonly policy: BatchPolicy;
  readonly batcher: Batcher;
  readonly idle: Executor[] = [];
  interrupted = 0;
  private live = 0;
  private readonly gone = new Set<Executor>();

  constructor(private readonly options: VirtualOptions = {}) {
    this.policy = {
      ...planBatching({ queueDepthRows: 1_000, maxQueueDelayMicroseconds: 0 }, 8),
      ...options.policy,
    };
    const pace = new RunCost();
    const { maxBatchRows } = this.policy;
    const expected = (rows: number): number => (options.expectedMs ?? this.runMs(rows)) / 1_000;
    pace.calibrate(expected(1), maxBatchRows, expected(maxBatchRows));
    const pool = {
      take: () => this.idle.pop(),
      giveBack: (executor: Executor) => {
        if (this.gone.has(executor)) return;
        this.idle.push(executor);
        this.batcher.scheduleDispatch();
      },
    };
    Object.defineProperty(pool, 'liveCount', { get: () => this.live });
    this.batcher = new Batcher({
      model: 'm',
      pool: pool as typeof pool & { readonly liveCount: number },
      resource: new SharedResource(options.executors ?? 1, () => this.time.now() / 1_000),
      policy: this.policy,
      pace,
      hasOneShape: options.hasOneShape ?? false,
      scheduler: this.time,
      observe: {
        queued: (seconds) => this.queuedSeconds.push(seconds),
        began: () => {},
        ended: () => {},
        changed: () => {},
        ran: (run) => this.observed.push(run),
      },
    });
    for (let i = 0; i < (options.executors ?? 1); i++) this.add();
  }

  /** One request of so many rows, each of which begins with its number. */
  call(numbers: readonly number[], call: Partial<InferCall> & { readonly width?: number } = {}): Promise<number[]> {
    const width = call.width ?? 1;
    const data = Float64Array.from(numbers.flatMap((number) => new Array<number>(width).fill(number)));
    const inputs: Tensor[] = [{ name: 'x', datatype: 'FP64', shape: [numbers.length, width], data }];
    return this.batcher
      .run({
        inputs,
        rows: numbers.length,
        cancellation: new Cancellation(),
        deadlineAt: Infinity,
        priority: 0,
        tenant: '',
        ...call,
      })
      .then(([output]) => {
        const { shape, data: answer } = output as Tensor & { readonly data: Float64Array };
        if (shape[0] !== numbers.length || shape[1] !== width || answer.length !== numbers.length * width) {
          throw new Error(`got shape [${shape.join()}] and ${answer.length} elements`);
        }
        return numbers.map((_, i) => answer[i * width]!);
      });
  }

  /** The code of the error that a request got, or its rows. */
  outcome(...call: Parameters<VirtualBatcher['call']>): Promise<string> {
    return this.call(...call).then(
      (rows) => `ok ${rows.join()}`,
      (error: ServerError) => error.code ?? String(error),
    );
  }

  private runMs(rows: number): number {
    return (this.options.runMs ?? ((count) => 10 + count))(rows);
  }

  private add(): void {
    this.live += 1;
    const executor = this.executor();
    this.idle.push(executor);
  }

  private lose(executor: Executor): void {
    this.gone.add(executor);
    this.live -= 1;
    this.time.after(50, () => {
      this.add();
      this.batcher.scheduleDispatch();
    });
  }

  private executor(): Executor {
    let end: ((error: RunError) => void) | undefined;
    const executor: Executor = {
      kind: 'native',
      inputs: [],
      outputs: [],
      onnxRuntimeVersion: '',
      runningSince: undefined,
      exit: new Promise(() => {}),
      close: () => Promise.resolve(),
      interrupt: () => {
        this.interrupted += 1;
        end?.(new RunError('interrupted'));
      },
      run: ([input]) => {
        const { shape, data } = input as Tensor & { readonly data: Float64Array };
        const [rows, width] = shape as [number, number];
        const fate = this.options.fate?.(this.runs.length) ?? 'works';
        if (fate === 'refused') {
          this.lose(executor);
          return Promise.reject(new ExecutorExit('gone', false));
        }
        const first = Array.from({ length: rows }, (_, i) => data[i * width]!);
        const run: ObservedRun = { at: this.time.now(), rows: first, width, hasFailed: false };
        this.runs.push(run);
        return new Promise<RunResult>((resolve, reject) => {
          const fail = (error: Error): void => {
            run.hasFailed = true;
            reject(error);
          };
          end = fail;
          const ms = this.runMs(rows);
          this.time.after(ms, () => {
            // It was interrupted.
            if (run.hasFailed) return;
            end = undefined;
            if (fate === 'lost') {
              this.lose(executor);
              fail(new ExecutorExit('gone'));
            } else if (first.includes(POISON)) {
              fail(new RunError('poison'));
            } else {
              resolve({
                outputs: [{ ...input!, name: 'y', data: data.slice() }],
                seconds: ms / 1_000,
                nonfiniteElements: 0,
              });
            }
          });
        });
      },
    };
    return executor;
  }
}
