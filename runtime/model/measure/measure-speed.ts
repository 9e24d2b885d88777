import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import type { Tensor } from '../../onnx/tensor-encoding';
import { median, percentile } from './percentile';
import { cycleRows, fixedRows, type RunnableModel } from './runnable-model';

/** How fast a model answered, batches of one size. Times are in milliseconds, of one run each. */
export interface BatchSpeed {
  readonly batchSize: number;
  /** Runs that were timed. Below 100 the 99th percentile is the slowest of them. */
  readonly runs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  /** The batch size ÷ the median. */
  readonly rowsPerSecond: number;
  /**
   * How far the medians of the rounds lie apart: (largest − smallest) ÷ median. What two models differ by less than that, this
   * machine cannot tell.
   */
  readonly spread: number;
  /** Median of each round, by which models are compared. */
  readonly roundMediansMs: readonly number[];
}

export interface SpeedOptions {
  /** @default 1, 8 and 32; where the model fixes its rows, that many */
  readonly batchSizes?: readonly number[];
  /** Rounds in which all models take turns. @default 5 */
  readonly rounds?: number;
  /** Least runs of each model and batch size, all rounds together; slow models take no more. @default 20 */
  readonly minRuns?: number;
  /** Most runs of each model and batch size, all rounds together. @default 1000 */
  readonly maxRuns?: number;
  /** Time for each model and batch size, all rounds together, in which more than the least runs are made. @default 2 */
  readonly seconds?: number;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

const WARM_UP_RUNS = 3;
const BATCH_SIZES = [1, 8, 32];

/** A model and the rows that it is measured with. */
export interface MeasuredModel {
  readonly name: string;
  readonly model: RunnableModel;
  /** Rows to repeat: what a model is asked may decide how fast it answers. */
  readonly rows: readonly Tensor[];
  /** Asks for batches of a size, where they are no tensors. @default - `model` is run on `rows` */
  readonly asking?: (batchSize: number) => () => Promise<unknown>;
  /** Called after each of its turns: a model that gives its memory back then is warmed up again before the next. @default - it stays */
  readonly rest?: () => Promise<void>;
}

/**
 * Times models, one run after the other. Several models take turns in rounds, the first to go another one in each round: whatever
 * slows the machine down for a while slows all of them down, and the medians of the same round can be compared.
 * @returns for each model its speeds, by ascending batch size
 */
export async function measureSpeed(
  models: readonly MeasuredModel[],
  options: SpeedOptions = {},
): Promise<readonly (readonly BatchSpeed[])[]> {
  const { rounds = 5, minRuns = 20, maxRuns = 1_000, seconds = 2, onProgress, signal } = options;
  const tasks = models.map((measured) =>
    batchSizesOf(measured.model, options.batchSizes).map((batchSize) => new Timing(measured, batchSize)),
  );
  const sizes = [...new Set(tasks.flat().map(({ batchSize }) => batchSize))].sort((a, b) => a - b);
  for (const size of sizes) {
    const ofSize = tasks.flat().filter(({ batchSize }) => batchSize === size);
    for (const timing of ofSize.filter(({ rests }) => !rests)) await timing.warmUp(WARM_UP_RUNS);
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < ofSize.length; turn++) {
        signal?.throwIfAborted();
        const timing = ofSize[(turn + round) % ofSize.length]!;
        await timing.round(minRuns / rounds, maxRuns / rounds, (seconds * 1_000) / rounds);
      }
      onProgress?.(`speed with ${size} ${size === 1 ? 'row' : 'rows'}: round ${round + 1} of ${rounds}`);
    }
  }
  return tasks.map((timings) => timings.map((timing) => timing.result()));
}

function batchSizesOf(model: RunnableModel, chosen: readonly number[] = BATCH_SIZES): readonly number[] {
  const fixed = fixedRows(model);
  return fixed === undefined ? [...new Set(chosen)].sort((a, b) => a - b) : [fixed];
}

/** Times of one model and batch size. */
class Timing {
  private readonly ask: () => Promise<unknown>;
  private readonly byRound: number[][] = [];

  constructor(
    private readonly measured: MeasuredModel,
    readonly batchSize: number,
  ) {
    this.ask = measured.asking?.(batchSize) ?? asksFor(measured, batchSize);
  }

  get rests(): boolean {
    return this.measured.rest !== undefined;
  }

  async warmUp(runs: number): Promise<void> {
    for (let run = 0; run < runs; run++) await this.ask();
  }

  async round(minRuns: number, maxRuns: number, milliseconds: number): Promise<void> {
    const times: number[] = [];
    if (this.rests) await this.warmUp(WARM_UP_RUNS);
    // Whoever waits for signals and sockets gets a turn between rounds: runs block this thread.
    await setImmediate();
    const began = performance.now();
    while (times.length < minRuns || (times.length < maxRuns && performance.now() - began < milliseconds)) {
      const from = performance.now();
      await this.ask();
      times.push(performance.now() - from);
    }
    this.byRound.push(times);
    await this.measured.rest?.();
  }

  result(): BatchSpeed {
    const sorted = Float64Array.from(this.byRound.flat()).sort();
    const middle = median(sorted);
    const roundMediansMs = this.byRound.map((times) => median(times));
    return {
      batchSize: this.batchSize,
      runs: sorted.length,
      p50Ms: middle,
      p90Ms: percentile(sorted, 0.9),
      p99Ms: percentile(sorted, 0.99),
      rowsPerSecond: (this.batchSize * 1_000) / middle,
      spread: (Math.max(...roundMediansMs) - Math.min(...roundMediansMs)) / middle,
      roundMediansMs,
    };
  }
}

function asksFor({ model, rows }: MeasuredModel, batchSize: number): () => Promise<unknown> {
  const inputs = rows.map((tensor) => cycleRows(tensor, batchSize));
  return () => model.run(inputs);
}

/** How much faster one model is than another, with batches of one size. */
export interface SpeedRatio {
  readonly batchSize: number;
  /** The median over the rounds of (time of the other ÷ time of this one): 2 is twice as fast. */
  readonly ratio: number;
  /** The smallest and largest of any round. */
  readonly least: number;
  readonly most: number;
  /** Whether every round agrees about which one is faster. */
  readonly isSure: boolean;
}

/** Compares round by round what was measured together. Batch sizes that only one of them has are left out. */
export function compareSpeed(mine: readonly BatchSpeed[], other: readonly BatchSpeed[]): readonly SpeedRatio[] {
  return mine.flatMap((speed) => {
    const against = other.find(({ batchSize }) => batchSize === speed.batchSize);
    if (against === undefined) return [];
    const ratios = speed.roundMediansMs.map((time, round) => against.roundMediansMs[round]! / time);
    const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
    return [{ batchSize: speed.batchSize, ratio: median(ratios), least, most, isSure: least > 1 || most < 1 }];
  });
}
