import { planBatching, type BatchPolicy } from '../../../runtime/server/batch-policy';
import type { BatchRun } from '../../../runtime/server/batch-observer';
import { Batcher } from '../../../runtime/server/batcher';
import { Cancellation } from '../../../runtime/server/cancellation';
import type { ServerError } from '../../../runtime/server/errors';
import { ExecutorExit, RunError, RunTakenBack, type Executor, type RunResult } from '../../../runtime/server/executor';
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
  /** Whether executors take a run ahead. @default false */
  readonly ahead?: boolean;
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
  takenBack = 0;
  /** Runs that executors took while another one was going on. */
  tookAhead = 0;
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
    return new VirtualExecutor({
      time: this.time,
      runs: this.runs,
      ahead: this.options.ahead ?? false,
      fate: this.options.fate ?? (() => 'works'),
      runMs: (rows) => this.runMs(rows),
      onInterrupt: () => (this.interrupted += 1),
      onTakeBack: () => (this.takenBack += 1),
      onAhead: () => (this.tookAhead += 1),
      onExit: (executor) => this.lose(executor),
    });
  }
}

interface VirtualExecutorOptions {
  readonly time: VirtualTime;
  readonly runs: ObservedRun[];
  readonly ahead: boolean;
  readonly fate: NonNullable<VirtualOptions['fate']>;
  readonly runMs: (rows: number) => number;
  readonly onInterrupt: () => void;
  readonly onTakeBack: () => void;
  readonly onAhead: () => void;
  readonly onExit: (executor: Executor) => void;
}

interface VirtualRun {
  readonly input: Tensor & { readonly data: Float64Array };
  readonly resolve: (result: RunResult) => void;
  readonly reject: (error: Error) => void;
  observed?: ObservedRun;
}

/** Runs one batch at a time and gives its input back; what is ahead begins when that is over. */
class VirtualExecutor implements Executor {
  readonly kind = 'native';
  readonly inputs = [];
  readonly outputs = [];
  readonly onnxRuntimeVersion = '';
  readonly runningSince = undefined;
  readonly exit = new Promise<ExecutorExit>(() => {});
  private readonly pending: VirtualRun[] = [];

  constructor(private readonly options: VirtualExecutorOptions) {}

  get takesAhead(): boolean {
    return this.options.ahead && this.pending.length === 1;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  interrupt(): void {
    this.takeBack();
    this.options.onInterrupt();
    this.end((run) => run.reject(new RunError('interrupted')), true);
  }

  takeBack(): boolean {
    const [, ahead] = this.pending;
    if (ahead === undefined) return true;
    this.pending.pop();
    this.options.onTakeBack();
    ahead.reject(new RunTakenBack('taken back'));
    return true;
  }

  run([input]: readonly Tensor[]): Promise<RunResult> {
    if (this.pending.length > 0 && !this.takesAhead) throw new Error('an executor was given too much');
    return new Promise((resolve, reject) => {
      this.pending.push({ input: input as VirtualRun['input'], resolve, reject });
      if (this.pending.length === 1) this.begin();
      else this.options.onAhead();
    });
  }

  private begin(): void {
    const { time, runs, fate, runMs } = this.options;
    const [current] = this.pending;
    if (current === undefined) return;
    const { shape, data } = current.input;
    const [rows, width] = shape as [number, number];
    const becomes = fate(runs.length);
    if (becomes === 'refused') return this.leave(false);
    const first = Array.from({ length: rows }, (_, i) => data[i * width]!);
    const observed: ObservedRun = { at: time.now(), rows: first, width, hasFailed: false };
    runs.push(observed);
    current.observed = observed;
    const ms = runMs(rows);
    time.after(ms, () => {
      // It was interrupted, or its executor was lost.
      if (this.pending[0] !== current) return;
      if (becomes === 'lost') this.leave(true);
      else if (first.includes(POISON)) this.end((run) => run.reject(new RunError('poison')), true);
      else this.end((run) => run.resolve(echo(run.input, ms)), false);
    });
  }

  private end(settle: (run: VirtualRun) => void, hasFailed: boolean): void {
    const current = this.pending.shift();
    if (current === undefined) return;
    current.observed!.hasFailed = hasFailed;
    settle(current);
    this.begin();
  }

  /** As a thread that is gone: whatever it was given comes back, in order. */
  private leave(hadBegun: boolean): void {
    this.options.onExit(this);
    for (const { observed, reject } of this.pending.splice(0)) {
      if (observed !== undefined) observed.hasFailed = true;
      reject(new ExecutorExit('gone', hadBegun && observed !== undefined));
    }
  }
}

function echo(input: VirtualRun['input'], ms: number): RunResult {
  return { outputs: [{ ...input, name: 'y', data: input.data.slice() }], seconds: ms / 1_000, nonfiniteElements: 0 };
}
