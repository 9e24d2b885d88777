import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Executor, StartExecutor } from './executor';
import type { FetchedModel } from './fetch-model';
import { ModelProver, type ModelProverOptions } from './model-prover';
import type { ExecutorPlan } from './plan-executors';
import type { ModelProof } from './prove-model';
import { WarmUpRuns } from './warm-up-runs';

export interface ExecutorStarterOptions extends Omit<ModelProverOptions, 'runs'> {
  readonly model: FetchedModel;
  readonly plan: ExecutorPlan;
  readonly startExecutor: StartExecutor;
  /** Seconds after which a run is stuck. */
  readonly runStuckSeconds: number;
  /** Whether an executor may serve what it has opened. @throws ModelError */
  readonly check: (executor: Executor) => void;
  readonly log: Logger;
}

/** An executor with what running it has shown of its model. */
export interface ProvenExecutor {
  readonly executor: Executor;
  readonly proof: ModelProof;
}

/** Starts the executors of one model version, and proves and warms each before it serves: restarted ones, too. */
export class ExecutorStarter {
  /** The first one, of which the others are copies. */
  first: ProvenExecutor | undefined;
  private starts = 0;
  private readonly runs: WarmUpRuns;
  private readonly prover: ModelProver;
  private readonly leaving: Promise<void>[] = [];
  private isOpen = false;

  constructor(private readonly options: ExecutorStarterOptions) {
    const { model, runStuckSeconds } = options;
    this.runs = new WarmUpRuns({
      input: model.manifest?.golden === undefined ? 'a generated input' : 'the golden input',
      stuckSeconds: runStuckSeconds,
      // Later, a session that is left behind would hold its memory beside the next attempt's: the pool waits on.
      givesUp: () => !this.isOpen && !this.compiles,
    });
    this.prover = new ModelProver({ ...options, runs: this.runs });
  }

  /** What an open model waits for no longer; undefined while no run goes on. */
  get progress(): string | undefined {
    return this.runs.progress;
  }

  /** Seconds of the longest warm-up run that goes on. */
  get longestRunSeconds(): number {
    return this.compiles ? 0 : this.runs.longestSeconds;
  }

  get isIdle(): boolean {
    return this.runs.progress === undefined;
  }

  /** @throws ModelError, or as `StartExecutor` does. */
  async start(): Promise<Executor> {
    const { plan } = this.options;
    const started = await this.startProven(plan[this.starts++ % plan.length]!);
    this.first ??= started;
    return started.executor;
  }

  /** The executors of the start are there. */
  opened(): void {
    this.isOpen = true;
  }

  /** Resolves when every executor that was given up has ended its run. */
  async close(): Promise<void> {
    await Promise.all(this.leaving);
  }

  /** TensorRT builds its engines in the first runs, which may take many minutes. */
  private get compiles(): boolean {
    return this.options.plan.some(({ executionProvider }) => executionProvider === 'tensorrt');
  }

  /** A session of what was compiled for this machine, or else of the portable model. */
  private async openSession(planned: ExecutorPlan[number]): Promise<{ executor: Executor; compiled: boolean }> {
    const { model, startExecutor, log } = this.options;
    const { compiledPath } = model;
    if (compiledPath !== undefined && takesCompiled(planned)) {
      const tuning = { ...planned.tuning, graphOptimization: 'disabled' as const };
      try {
        return { executor: await startExecutor({ ...planned, tuning, modelPath: compiledPath }), compiled: true };
      } catch (error) {
        log.warn({ reason: (error as Error).message }, 'what was compiled cannot be opened; taking the portable model');
      }
    }
    return { executor: await startExecutor({ ...planned, modelPath: model.modelPath }), compiled: false };
  }

  private async startProven(planned: ExecutorPlan[number]): Promise<ProvenExecutor> {
    const { model, check, log } = this.options;
    const opening = performance.now();
    const { executor, compiled } = await this.openSession(planned);
    log.info(
      {
        seconds: secondsSince(opening),
        executor: executor.kind,
        intraOpThreads: planned.intraOpThreads,
        onnxRuntime: executor.onnxRuntimeVersion,
        compiled,
      },
      'session opened',
    );
    try {
      check(executor);
      const proving = performance.now();
      const proof = await this.prover.prove(executor);
      log.info(
        { seconds: secondsSince(proving), golden: model.manifest?.golden !== undefined },
        'model proven and warm',
      );
      return { executor, proof };
    } catch (error) {
      const closed = executor.close();
      // It waits for a run that may never return: whoever asked must hear of it now.
      if (executor.runningSince === undefined) await closed;
      else this.leaving.push(closed);
      throw error;
    }
  }
}

/** What was compiled was compiled with all optimisations and packed weights: a configuration that wants otherwise gets the portable model. */
function takesCompiled({ executionProvider, tuning = {} }: ExecutorPlan[number]): boolean {
  const { graphOptimization = 'all', disablePrepacking = false } = tuning;
  return executionProvider === 'cpu' && graphOptimization === 'all' && !disablePrepacking;
}

function secondsSince(start: number): number {
  return Math.round(performance.now() - start) / 1_000;
}
