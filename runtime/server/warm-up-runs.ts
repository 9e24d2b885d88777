import { performance } from 'node:perf_hooks';
import { isBatchable } from '../spec/model-facts';
import type { Executor } from './executor';
import { ModelError } from './model-error';

/** What warm-up needs of an executor. */
export type WarmedExecutor = Pick<Executor, 'inputs' | 'outputs' | 'run'>;

export interface WarmUpRunsOptions {
  /** What is run, for messages: `a generated input`. */
  readonly input: string;
  /** Seconds after which a run does not count on to return. */
  readonly stuckSeconds: number;
  /** Asked of a run that took so long: whether to give it up, rather than to wait on. */
  readonly givesUp: () => boolean;
}

interface WarmUpRun {
  readonly what: string;
  readonly begunAt: number;
  readonly begunAtDate: Date;
}

/** The runs before anybody is served: which ones go on, and since when. Nothing but this knows of one that never returns. */
export class WarmUpRuns {
  private readonly current = new Set<WarmUpRun>();

  constructor(private readonly options: WarmUpRunsOptions) {}

  /** Seconds that the longest current run has taken so far. */
  get longestSeconds(): number {
    const now = performance.now();
    return Math.max(0, ...[...this.current].map(({ begunAt }) => (now - begunAt) / 1_000));
  }

  /** What is being waited for; undefined when nothing runs. */
  get progress(): string | undefined {
    const [oldest] = this.current;
    if (oldest === undefined) return undefined;
    return `${oldest.what} began at ${oldest.begunAtDate.toISOString()} and has not returned`;
  }

  /** The executor, with every run watched from now on. */
  watch(executor: Executor): WarmedExecutor {
    const { inputs, outputs } = executor;
    return {
      inputs,
      outputs,
      run: (tensors) => {
        const rows = isBatchable(executor) ? (tensors[0]?.shape[0] ?? 1) : undefined;
        return this.run(executor, rows, () => executor.run(tensors));
      },
    };
  }

  private async run<T>(executor: Executor, rows: number | undefined, start: () => Promise<T>): Promise<T> {
    const { input, stuckSeconds, givesUp } = this.options;
    const size = rows === undefined ? '' : rows === 1 ? ' (1 row)' : ` (${rows} rows)`;
    const what = `a warm-up run on ${input}${size}`;
    const run = { what, begunAt: performance.now(), begunAtDate: new Date() };
    this.current.add(run);
    const result = start().finally(() => this.current.delete(run));
    let timer: NodeJS.Timeout | undefined;
    const stuck = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        if (!givesUp()) return;
        executor.interrupt?.();
        reject(new ModelError(`${what} does not return, it began ${stuckSeconds} s ago (SLIPWAY_RUN_STUCK_SECONDS)`));
      }, stuckSeconds * 1_000);
    });
    try {
      return await Promise.race([result, stuck]);
    } finally {
      clearTimeout(timer);
    }
  }
}
