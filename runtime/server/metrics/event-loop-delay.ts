import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { Sample } from './family';

/** A timer that wakes the process 50 times a second costs some 0.1 % of a core; a finer one sees nothing that matters more. */
const RESOLUTION_MS = 20;
const WINDOW_MS = 10_000;

/** How late the event loop was in the last whole window of ten seconds. Scrapes do not disturb each other: none resets it. */
export class EventLoopDelay {
  private readonly histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private window: readonly Sample[] = [];
  private timer: NodeJS.Timeout | undefined;

  start(): void {
    this.histogram.enable();
    this.timer = setInterval(() => this.closeWindow(), WINDOW_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.histogram.disable();
  }

  /** The last whole window; before there is one, the beginning of the first. */
  samples(): readonly Sample[] {
    return this.window.length > 0 ? this.window : this.read();
  }

  /** @returns undefined before anything was measured. */
  seconds(quantile: string): number | undefined {
    return this.samples().find(([labels]) => labels['quantile'] === quantile)?.[1];
  }

  private closeWindow(): void {
    this.window = this.read();
    this.histogram.reset();
  }

  private read(): readonly Sample[] {
    if (this.histogram.max === 0) return [];
    const quantile = (name: string, nanoseconds: number): Sample => [
      { quantile: name },
      // Node records the whole interval between two ticks of its timer, not by how much the second was late.
      Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1_000),
    ];
    const { histogram } = this;
    return [
      quantile('0.5', histogram.percentile(50)),
      quantile('0.99', histogram.percentile(99)),
      quantile('1', histogram.max),
    ];
  }
}
