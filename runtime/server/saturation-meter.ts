import { performance } from 'node:perf_hooks';
import { averageOver, computeSaturation } from './saturation';

const TICK_MS = 1_000;

/** A model version as the meter sees it. */
export interface MeteredModel {
  readonly arrivedRows: number;
  readonly queuedRows: number;
  readonly secondsPerRow: number;
  readonly executors: number;
}

export interface SaturationMeterOptions {
  readonly models: () => readonly MeteredModel[];
  readonly targetQueueSeconds: number;
}

/** Measures this replica's saturation once a second. */
export class SaturationMeter {
  private average = 0;
  private lastTick = performance.now();
  private lastLoop = performance.eventLoopUtilization();
  /** Weak: a version that was reloaded is gone. */
  private readonly seenRows = new WeakMap<MeteredModel, number>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: SaturationMeterOptions) {}

  get value(): number {
    return this.average;
  }

  start(): void {
    this.lastTick = performance.now();
    this.lastLoop = performance.eventLoopUtilization();
    this.timer = setInterval(() => this.tick(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    const now = performance.now();
    const seconds = (now - this.lastTick) / 1_000;
    this.lastTick = now;
    const models = this.options.models().map((model) => {
      const arrived = model.arrivedRows - (this.seenRows.get(model) ?? 0);
      this.seenRows.set(model, model.arrivedRows);
      return {
        arrivingRowsPerSecond: arrived / seconds,
        secondsPerRow: model.secondsPerRow,
        queuedRows: model.queuedRows,
        executors: model.executors,
      };
    });
    // One process has one CPU quota or one GPU, and all its models share it.
    const byModels = computeSaturation([{ models }], this.options.targetQueueSeconds);
    // The thread that reads and writes requests is a resource as well: light models fill it before any executor.
    const loop = performance.eventLoopUtilization();
    const byRequests = performance.eventLoopUtilization(loop, this.lastLoop).utilization;
    this.lastLoop = loop;
    this.average = averageOver(this.average, Math.max(byModels, byRequests), seconds);
  }
}
