import { OUTCOMES, PROTOCOLS, type Outcome, type Protocol } from '../../spec/metric-names';
import { Histogram } from './histogram';
import type { Labels } from './family';

const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const LOAD_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const ROWS_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

const PROTOCOL_INDEX = indexOf(PROTOCOLS);
const OUTCOME_INDEX = indexOf(OUTCOMES);

/** Answers by protocol and outcome. The number of requests is the count of their durations: it is not kept twice. */
export class AnswerMetrics {
  private readonly byProtocolAndOutcome: (Histogram | undefined)[] = new Array<undefined>(
    PROTOCOLS.length * OUTCOMES.length,
  ).fill(undefined);

  answered(protocol: Protocol, outcome: Outcome, seconds: number): void {
    const i = PROTOCOL_INDEX[protocol] * OUTCOMES.length + OUTCOME_INDEX[outcome];
    (this.byProtocolAndOutcome[i] ??= new Histogram(SECONDS_BUCKETS)).observe(seconds);
  }

  /** By outcome, those of each protocol apart. */
  *answers(): Generator<readonly [outcome: Outcome, durations: Histogram]> {
    for (const [i, histogram] of this.byProtocolAndOutcome.entries()) {
      if (histogram !== undefined) yield [OUTCOMES[i % OUTCOMES.length]!, histogram];
    }
  }

  *durations(model: Labels): Generator<readonly [labels: Labels, histogram: Histogram]> {
    for (const [i, histogram] of this.byProtocolAndOutcome.entries()) {
      if (histogram === undefined) continue;
      const protocol = PROTOCOLS[Math.floor(i / OUTCOMES.length)]!;
      yield [{ ...model, protocol, outcome: OUTCOMES[i % OUTCOMES.length]! }, histogram];
    }
  }
}

/** Everything that is measured of one model version. Whoever serves it holds this, so that no request looks it up. */
export class ModelMetrics extends AnswerMetrics {
  readonly labels: Labels;
  readonly queueDuration = new Histogram(SECONDS_BUCKETS);
  readonly runDuration = new Histogram(SECONDS_BUCKETS);
  readonly batchRows = new Histogram(ROWS_BUCKETS);
  readonly loadDuration = new Histogram(LOAD_BUCKETS);
  nonfiniteOutputs = 0;
  cacheHits = 0;
  cacheMisses = 0;
  cacheSavedSeconds = 0;

  constructor(
    readonly name: string,
    readonly version: number,
  ) {
    super();
    this.labels = { model: name, version: String(version) };
  }

  queued(seconds: number): void {
    this.queueDuration.observe(seconds);
  }

  /** @param seconds Of the run alone. */
  ran(rows: number, seconds: number, nonfiniteElements: number): void {
    this.runDuration.observe(seconds);
    this.batchRows.observe(rows);
    this.nonfiniteOutputs += nonfiniteElements;
  }

  loaded(seconds: number): void {
    this.loadDuration.observe(seconds);
  }

  /** @param savedSeconds What the answer took to compute when it was computed. */
  cacheHit(savedSeconds: number): void {
    this.cacheHits += 1;
    this.cacheSavedSeconds += savedSeconds;
  }

  cacheMiss(): void {
    this.cacheMisses += 1;
  }
}

function indexOf<T extends string>(values: readonly T[]): Readonly<Record<T, number>> {
  return Object.fromEntries(values.map((value, i) => [value, i])) as Record<T, number>;
}
