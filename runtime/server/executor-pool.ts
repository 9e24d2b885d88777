import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Executor } from './executor';

export interface ExecutorPoolOptions {
  readonly size: number;
  /** Starts an executor and proves it: what it resolves with is fit to serve. */
  readonly start: () => Promise<Executor>;
  readonly log: Logger;
  /** Called when an executor becomes idle or is gone. */
  readonly onChange: () => void;
  /** The least time that a restart is given. @default 60,000 */
  readonly minRestartDeadlineMs?: number;
}

/** The pause before the first restart; it doubles with each further one that fails. */
const RESTART_DELAY_MS = 500;
const MAX_RESTART_DELAY_MS = 30_000;
/** A restart may take so many times as long as the longest start so far, before it counts as stuck. */
const RESTART_PATIENCE = 4;
const MIN_RESTART_DEADLINE_MS = 60_000;

/**
 * The executors of one model version. One that ends by itself is replaced, with a growing pause between attempts. A
 * restart that gets stuck is not tried again, because each attempt could hold another copy of the weights: it counts as
 * a run that does not return, which `/livez` reports.
 */
export class ExecutorPool {
  private readonly executors = new Set<Executor>();
  private readonly idle: Executor[] = [];
  private readonly restarts = new Set<NodeJS.Timeout>();
  /** When the restarts began that are past their deadline. */
  private readonly stuckSince = new Set<number>();
  private failures = 0;
  private starting = 0;
  private longestStartMs = 0;
  private isClosed = false;
  /** Why the last executor ended or did not start; undefined while all is well. */
  lastFailure: string | undefined;

  constructor(private readonly options: ExecutorPoolOptions) {}

  /** Opens all executors, one after the other: they would only compete for the CPU. */
  async open(): Promise<void> {
    for (let i = 0; i < this.options.size && !this.isClosed; i++) await this.add(await this.start());
  }

  get liveCount(): number {
    return this.executors.size;
  }

  /** Whether no executor runs or is being opened. */
  get isIdle(): boolean {
    return this.starting === 0 && this.idle.length === this.executors.size;
  }

  take(): Executor | undefined {
    return this.idle.pop();
  }

  giveBack(executor: Executor): void {
    if (!this.executors.has(executor)) return;
    this.idle.push(executor);
    this.failures = 0;
    this.options.onChange();
  }

  /** Seconds that the longest current run, or a restart that is stuck, has taken so far. */
  longestRunSeconds(): number {
    const now = performance.now();
    const runs = [...this.executors].map(({ runningSince }) => runningSince ?? now);
    return Math.max(0, ...[...runs, ...this.stuckSince].map((since) => (now - since) / 1_000));
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const restart of this.restarts) clearTimeout(restart);
    await Promise.all([...this.executors].map((executor) => executor.close()));
    this.executors.clear();
    this.idle.length = 0;
  }

  private async start(): Promise<Executor> {
    this.starting += 1;
    const begun = performance.now();
    try {
      const executor = await this.options.start();
      this.longestStartMs = Math.max(this.longestStartMs, performance.now() - begun);
      return executor;
    } finally {
      this.starting -= 1;
    }
  }

  private async add(executor: Executor): Promise<void> {
    // Closed while it was being opened.
    if (this.isClosed) return executor.close();
    this.executors.add(executor);
    this.idle.push(executor);
    void executor.exit.then((reason) => {
      this.executors.delete(executor);
      const i = this.idle.indexOf(executor);
      if (i >= 0) this.idle.splice(i, 1);
      this.scheduleRestart(reason.message);
    });
  }

  private scheduleRestart(reason: string): void {
    if (this.isClosed) return;
    const delayMs = Math.min(MAX_RESTART_DELAY_MS, RESTART_DELAY_MS * 2 ** this.failures);
    this.failures += 1;
    this.lastFailure = reason;
    this.options.log.error({ reason, restartInSeconds: delayMs / 1_000 }, 'executor lost');
    this.options.onChange();
    const timer = setTimeout(() => {
      this.restarts.delete(timer);
      void this.restart();
    }, delayMs);
    this.restarts.add(timer);
  }

  private async restart(): Promise<void> {
    const watch = this.watchRestart();
    try {
      await this.add(await this.start());
      this.lastFailure = undefined;
      this.options.log.info('executor restarted');
      this.options.onChange();
    } catch (error) {
      this.scheduleRestart((error as Error).message);
    } finally {
      watch.end();
    }
  }

  private watchRestart(): { end(): void } {
    const begun = performance.now();
    const { minRestartDeadlineMs = MIN_RESTART_DEADLINE_MS } = this.options;
    const deadlineMs = Math.max(minRestartDeadlineMs, RESTART_PATIENCE * this.longestStartMs);
    const timer = setTimeout(() => {
      this.stuckSince.add(begun);
      this.lastFailure = `executor does not start again, waited ${Math.round(deadlineMs / 1_000)} s`;
      this.options.log.error({ reason: this.lastFailure }, 'executor stuck');
      this.options.onChange();
    }, deadlineMs);
    this.restarts.add(timer);
    return {
      end: () => {
        clearTimeout(timer);
        this.restarts.delete(timer);
        this.stuckSince.delete(begun);
      },
    };
  }
}
