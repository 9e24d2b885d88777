import { collectDefaultMetrics, Registry, type Metric } from 'prom-client';
import {
  METRICS,
  PORT_LABELS,
  UNAUTHORIZED_REASONS,
  type Outcome,
  type PortLabel,
  type Protocol,
  type UnauthorizedReason,
} from '../spec/metric-names';
import type { CloudwatchPeriod } from './cloudwatch-publisher';
import type { RunResult } from './executor';
import type { GpuReading } from './gpu-metrics';
import { EventLoopDelay } from './metrics/event-loop-delay';
import { family, histogramFamily, type Labels, type Sample } from './metrics/family';
import { gpuFamilies, tritonGpuFamilies } from './metrics/gpu-families';
import type { Histogram } from './metrics/histogram';
import { AnswerMetrics, ModelMetrics } from './metrics/model-metrics';
import { OPENMETRICS_TYPE, toOpenMetrics } from './metrics/openmetrics';
import { PeriodTotals } from './metrics/period-totals';
import { tritonFamilies, type TritonMeasuredModel } from './metrics/triton-metrics';

import { chooseMediaType } from './protocols/media-type';

export type { Protocol } from '../spec/metric-names';

export interface MeasuredModel {
  readonly name: string;
  readonly version: number;
}

/** A model version that is there now, with what is read off it when somebody scrapes. */
export interface ScrapedModel extends TritonMeasuredModel {
  readonly isReady: boolean;
  /** undefined before there was any work. */
  readonly efficiency?: number | undefined;
}

export interface GaugeSources {
  readonly saturation: () => number;
  readonly models: () => readonly ScrapedModel[];
  /** Open connections by port. */
  readonly connections?: () => Iterable<readonly [port: PortLabel, count: number]>;
  /** Asked once per scrape. @default - no GPU */
  readonly gpus?: () => Promise<readonly GpuReading[]>;
}

export interface ExposeOptions {
  readonly withTriton?: boolean;
  /** The reader's `Accept`. @default - anything will do */
  readonly accept?: string | undefined;
}

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** Everything a replica publishes, in one registry of its own. */
export class Metrics {
  private readonly registry = new Registry();
  /** Under Triton's names, for those who ask for them. */
  private readonly tritonRegistry = new Registry();
  /** What requests find their model's numbers by: nothing is put together or hashed. */
  private readonly byModel = new WeakMap<MeasuredModel, ModelMetrics>();
  /** By name and version, which a version that is loaded again keeps. */
  private readonly models = new Map<string, { readonly metrics: ModelMetrics; holders: number }>();
  /** Requests for models that are not served here. The client's text never becomes a label. */
  private readonly unknownModel = new AnswerMetrics();
  private readonly reloads = new Map<string, { readonly labels: Labels; count: number }>();
  private readonly refusedConnections = countersOf(PORT_LABELS);
  private readonly unauthorized = countersOf(UNAUTHORIZED_REASONS);
  private readonly eventLoopDelay = new EventLoopDelay();
  private readonly periods = new PeriodTotals();
  private gpus: readonly GpuReading[] = [];
  private coldStartSeconds: number | undefined;

  constructor(
    private readonly service: { readonly cluster: string; readonly service: string },
    private readonly sources: GaugeSources,
  ) {
    collectDefaultMetrics({ register: this.registry });
    const gpus = (): readonly GpuReading[] => this.gpus;
    const ours = [...this.replicaFamilies(), ...this.modelFamilies(), ...gpuFamilies(gpus)];
    for (const metric of ours) this.registry.registerMetric(metric);
    const tritons = [...tritonFamilies(sources.models), ...tritonGpuFamilies(gpus)];
    for (const metric of tritons) this.tritonRegistry.registerMetric(metric);
    this.eventLoopDelay.start();
  }

  /**
   * Everything, in Prometheus' text format, or in OpenMetrics where the reader prefers it.
   * @param options.withTriton Adds Triton's counters by its names, some of which OpenMetrics cannot have.
   */
  async expose({ withTriton = false, accept }: ExposeOptions = {}): Promise<Exposition> {
    this.gpus = (await this.sources.gpus?.()) ?? [];
    const text = await this.registry.metrics();
    const { contentType } = this.registry;
    if (withTriton) return { contentType, text: `${text}\n${await this.tritonRegistry.metrics()}` };
    if (chooseMediaType(accept, ['text/plain', OPENMETRICS_TYPE]) !== OPENMETRICS_TYPE) return { contentType, text };
    return { contentType: `${OPENMETRICS_TYPE}; version=1.0.0; charset=utf-8`, text: toOpenMetrics(text) };
  }

  /** What came since the last call, over all models. For one caller alone: each call begins a new period. */
  async takePeriod(): Promise<CloudwatchPeriod> {
    const gpus = (await this.sources.gpus?.()) ?? [];
    const models = this.measured();
    return this.periods.take({
      saturation: this.sources.saturation(),
      answers: [this.unknownModel, ...models].flatMap((model) => [...model.answers()]),
      queueDurations: models.map(({ queueDuration }) => queueDuration),
      runDurations: models.map(({ runDuration }) => runDuration),
      batchRows: models.map(({ batchRows }) => batchRows),
      efficiencies: this.sources.models().flatMap(({ efficiency }) => efficiency ?? []),
      eventLoopDelaySeconds: this.eventLoopDelay.seconds('0.99'),
      coldStartSeconds: this.coldStartSeconds,
      gpuUtilizations: gpus.flatMap(({ utilization }) => utilization ?? []),
    });
  }

  /** The replica serves for the first time. @param seconds Since its process began. */
  becameReady(seconds: number): void {
    this.coldStartSeconds ??= seconds;
  }

  /** Stops what runs by itself. */
  close(): void {
    this.eventLoopDelay.stop();
  }

  /** A model version that is there no longer takes its series with it, unless the same version was loaded again. */
  forget(model: MeasuredModel): void {
    if (!this.byModel.delete(model)) return;
    const key = keyOf(model);
    const held = this.models.get(key);
    if (held !== undefined && (held.holders -= 1) === 0) this.models.delete(key);
  }

  /** @param model undefined when the client named a model that is not served: its text never becomes a label. */
  answered(model: MeasuredModel | undefined, protocol: Protocol, outcome: Outcome, seconds: number): void {
    (model === undefined ? this.unknownModel : this.of(model)).answered(protocol, outcome, seconds);
  }

  queued(model: MeasuredModel, seconds: number): void {
    this.of(model).queued(seconds);
  }

  ran(model: MeasuredModel, rows: number, { seconds, nonfiniteElements }: RunResult): void {
    this.of(model).ran(rows, seconds, nonfiniteElements);
  }

  modelLoaded(model: MeasuredModel, seconds: number): void {
    this.of(model).loaded(seconds);
  }

  /** @param savedSeconds What the answer took to compute when it was computed. */
  cacheHit(model: MeasuredModel, savedSeconds: number): void {
    this.of(model).cacheHit(savedSeconds);
  }

  cacheMiss(model: MeasuredModel): void {
    this.of(model).cacheMiss();
  }

  /** A change of a model in its repository. @param model Its name there, never a client's word. */
  reloaded(model: string, outcome: 'ok' | 'failed'): void {
    const key = `${model}\0${outcome}`;
    const counter = this.reloads.get(key) ?? { labels: { model, outcome }, count: 0 };
    counter.count += 1;
    this.reloads.set(key, counter);
  }

  connectionRefused(port: PortLabel): void {
    this.refusedConnections[port] += 1;
  }

  requestUnauthorized(reason: UnauthorizedReason): void {
    this.unauthorized[reason] += 1;
  }

  private of(model: MeasuredModel): ModelMetrics {
    return this.byModel.get(model) ?? this.adopt(model);
  }

  private adopt(model: MeasuredModel): ModelMetrics {
    const key = keyOf(model);
    const held = this.models.get(key) ?? { metrics: new ModelMetrics(model.name, model.version), holders: 0 };
    held.holders += 1;
    this.models.set(key, held);
    this.byModel.set(model, held.metrics);
    return held.metrics;
  }

  private replicaFamilies(): readonly Metric[] {
    const { sources } = this;
    return [
      family(
        'gauge',
        METRICS.saturation,
        'Share of its capacity that this replica uses, 1 is full (10 s average): what autoscaling holds at its target',
        () => [[{ ...this.service }, sources.saturation()]],
      ),
      family('gauge', METRICS.connections, 'Open connections', () =>
        Array.from(sources.connections?.() ?? [], ([port, count]): Sample => [{ port }, count]),
      ),
      family(
        'counter',
        METRICS.connectionsRefused,
        'Connections that were closed at once because so many were open',
        () => samplesOf('port', this.refusedConnections),
      ),
      family(
        'counter',
        METRICS.requestsUnauthorized,
        'Requests without a key or token that lets them in, by what was wrong with it',
        () => samplesOf('reason', this.unauthorized),
      ),
      family('gauge', METRICS.eventLoopDelay, 'How late the event loop was in the last 10 s, by quantile', () =>
        this.eventLoopDelay.samples(),
      ),
      family('gauge', METRICS.coldStart, 'Seconds from the start of the process until it was ready', () =>
        this.coldStartSeconds === undefined ? [] : [[{}, this.coldStartSeconds]],
      ),
      family('counter', METRICS.modelReloads, 'Changes of models in the model repository, by how they ended', () =>
        Array.from(this.reloads.values(), ({ labels, count }): Sample => [labels, count]),
      ),
    ];
  }

  private modelFamilies(): readonly Metric[] {
    const scraped = (value: (model: ScrapedModel) => number | undefined) => () =>
      this.sources.models().flatMap((model): Sample[] => {
        const now = value(model);
        return now === undefined ? [] : [[labelsOf(model), now]];
      });
    const counted = (value: (model: ModelMetrics) => number) => () =>
      this.measured().map((model): Sample => [model.labels, value(model)]);
    const histograms = (of: (model: ModelMetrics) => Histogram) => () =>
      this.measured().map((model) => [model.labels, of(model)] as const);
    return [
      family(
        'gauge',
        METRICS.modelReady,
        '1 while the model version is loaded and proven',
        scraped(({ isReady }) => (isReady ? 1 : 0)),
      ),
      family(
        'gauge',
        METRICS.queueRows,
        'Rows that wait for an executor',
        scraped(({ queuedRows }) => queuedRows),
      ),
      family(
        'gauge',
        METRICS.efficiency,
        'Time inside the runtime ÷ time in which runs could have gone on, while there was work (last minute)',
        scraped(({ efficiency }) => efficiency),
      ),
      family('counter', METRICS.requests, 'Inference requests answered, by outcome', () =>
        this.durations().map(([labels, histogram]): Sample => [labels, histogram.count]),
      ),
      histogramFamily(METRICS.requestDuration, 'Seconds from the headers of an inference request to its answer', () =>
        this.durations(),
      ),
      histogramFamily(
        METRICS.queueDuration,
        'Seconds that requests waited for an executor',
        histograms(({ queueDuration }) => queueDuration),
      ),
      histogramFamily(
        METRICS.runDuration,
        'Seconds of one run of a batch',
        histograms(({ runDuration }) => runDuration),
      ),
      histogramFamily(
        METRICS.batchRows,
        'Rows of one run',
        histograms(({ batchRows }) => batchRows),
      ),
      histogramFamily(
        METRICS.modelLoadDuration,
        'Seconds to fetch, open and prove a model',
        histograms(({ loadDuration }) => loadDuration),
      ),
      family(
        'counter',
        METRICS.nonfiniteOutputs,
        'Output elements that were NaN or infinite',
        counted(({ nonfiniteOutputs }) => nonfiniteOutputs),
      ),
      family(
        'counter',
        METRICS.cacheHits,
        'Requests answered without a run',
        counted(({ cacheHits }) => cacheHits),
      ),
      family(
        'counter',
        METRICS.cacheMisses,
        'Requests whose answer was looked for and not there',
        counted(({ cacheMisses }) => cacheMisses),
      ),
      family(
        'counter',
        METRICS.cacheSavedSeconds,
        'Seconds of runs that answers from the cache took when they were computed',
        counted(({ cacheSavedSeconds }) => cacheSavedSeconds),
      ),
    ];
  }

  private measured(): readonly ModelMetrics[] {
    return Array.from(this.models.values(), ({ metrics }) => metrics);
  }

  private durations(): readonly (readonly [labels: Labels, histogram: Histogram])[] {
    return [
      ...this.unknownModel.durations({ model: '', version: '' }),
      ...this.measured().flatMap((model) => [...model.durations(model.labels)]),
    ];
  }
}

function keyOf({ name, version }: MeasuredModel): string {
  return `${version}/${name}`;
}

function labelsOf({ name, version }: MeasuredModel): Labels {
  return { model: name, version: String(version) };
}

function countersOf<T extends string>(values: readonly T[]): Record<T, number> {
  return Object.fromEntries(values.map((value) => [value, 0])) as Record<T, number>;
}

function samplesOf(label: string, counters: Readonly<Record<string, number>>): readonly Sample[] {
  return Object.entries(counters).map(([value, count]): Sample => [{ [label]: value }, count]);
}
