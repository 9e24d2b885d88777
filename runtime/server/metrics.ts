import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { METRICS, type Outcome } from '../spec/metric-names';
import type { RunResult } from './executor';

/** How a request came: as JSON alone, or with the binary tensor extension. */
export type Protocol = 'oip-json' | 'oip-binary';

export interface MeasuredModel {
  readonly name: string;
  readonly version: number;
}

export interface GaugeSources {
  readonly saturation: () => number;
  readonly models: () => readonly (MeasuredModel & { readonly isReady: boolean; readonly queuedRows: number })[];
}

const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const LOAD_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const ROWS_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/** Everything a replica publishes, in one registry of its own. */
export class Metrics {
  readonly registry = new Registry();
  private readonly requests: Counter;
  private readonly requestDuration: Histogram;
  private readonly queueDuration: Histogram;
  private readonly runDuration: Histogram;
  private readonly batchRows: Histogram;
  private readonly modelLoadDuration: Histogram;
  private readonly nonfiniteOutputs: Counter;

  constructor(service: { readonly cluster: string; readonly service: string }, sources: GaugeSources) {
    const registers = [this.registry];
    const byModel = ['model', 'version'];
    const byRequest = [...byModel, 'protocol', 'outcome'];
    const histogram = (name: string, help: string, labelNames: string[], buckets = SECONDS_BUCKETS): Histogram =>
      new Histogram({ name, help, labelNames, buckets, registers });
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: METRICS.saturation,
      help: 'Share of its capacity that this replica uses, 1 is full (10 s average): what autoscaling holds at its target',
      labelNames: ['cluster', 'service'],
      registers,
      collect() {
        this.set({ ...service }, sources.saturation());
      },
    });
    new Gauge({
      name: METRICS.modelReady,
      help: '1 while the model version is loaded and proven',
      labelNames: byModel,
      registers,
      collect() {
        for (const model of sources.models()) this.set(labelsOf(model), model.isReady ? 1 : 0);
      },
    });
    new Gauge({
      name: METRICS.queueRows,
      help: 'Rows that wait for an executor',
      labelNames: byModel,
      registers,
      collect() {
        for (const model of sources.models()) this.set(labelsOf(model), model.queuedRows);
      },
    });
    this.requests = new Counter({
      name: METRICS.requests,
      help: 'Inference requests answered, by outcome',
      labelNames: byRequest,
      registers,
    });
    this.requestDuration = histogram(
      METRICS.requestDuration,
      'Seconds from the headers of an inference request to its answer',
      byRequest,
    );
    this.queueDuration = histogram(METRICS.queueDuration, 'Seconds that requests waited for an executor', byModel);
    this.runDuration = histogram(METRICS.runDuration, 'Seconds of one run of a batch', byModel);
    this.batchRows = histogram(METRICS.batchRows, 'Rows of one run', byModel, ROWS_BUCKETS);
    this.modelLoadDuration = histogram(
      METRICS.modelLoadDuration,
      'Seconds to fetch, open and prove a model',
      byModel,
      LOAD_BUCKETS,
    );
    this.nonfiniteOutputs = new Counter({
      name: METRICS.nonfiniteOutputs,
      help: 'Output elements that were NaN or infinite',
      labelNames: byModel,
      registers,
    });
  }

  /** @param model undefined when the client named a model that is not served: its text never becomes a label. */
  answered(model: MeasuredModel | undefined, protocol: Protocol, outcome: Outcome, seconds: number): void {
    const labels = { ...(model === undefined ? { model: '', version: '' } : labelsOf(model)), protocol, outcome };
    this.requests.inc(labels);
    this.requestDuration.observe(labels, seconds);
  }

  queued(model: MeasuredModel, seconds: number): void {
    this.queueDuration.observe(labelsOf(model), seconds);
  }

  ran(model: MeasuredModel, rows: number, { seconds, nonfiniteElements }: RunResult): void {
    const labels = labelsOf(model);
    this.runDuration.observe(labels, seconds);
    this.batchRows.observe(labels, rows);
    if (nonfiniteElements > 0) this.nonfiniteOutputs.inc(labels, nonfiniteElements);
  }

  modelLoaded(model: MeasuredModel, seconds: number): void {
    this.modelLoadDuration.observe(labelsOf(model), seconds);
  }
}

function labelsOf({ name, version }: MeasuredModel): { model: string; version: string } {
  return { model: name, version: String(version) };
}
