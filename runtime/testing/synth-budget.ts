/** A CDK app, or whatever else is made by `synth()`. */
export interface Synthesizable {
  synth(): unknown;
}

export interface SynthTimingOptions {
  /** Measured runs; one more before them warms up. @default 7 */
  readonly runs?: number;
  /** What the app has of the thing that is paid for: stacks, services. @default 1 */
  readonly units?: number;
}

export interface SynthTiming {
  /** Median seconds to build and synthesize. */
  readonly median: number;
  /** The same, for one unit. */
  readonly perUnit: number;
}

/** How long it takes to build an app and to synthesize it, in this process and warm. Each run builds a new one. */
export function synthSeconds(build: () => Synthesizable, options: SynthTimingOptions = {}): SynthTiming {
  const { runs = 7, units = 1 } = options;
  build().synth();
  const seconds = Array.from({ length: Math.max(1, runs) }, () => {
    const began = performance.now();
    build().synth();
    return (performance.now() - began) / 1000;
  });
  const median = seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)]!;
  return { median, perUnit: median / units };
}

/**
 * Fails when an app takes longer to synthesize than it may. Times are those of the machine: leave room, or set the limit to
 * a multiple of an app of one's own.
 * @param limit seconds for one unit
 * @throws Error with the time, the limit and the number of units
 */
export function assertSynthBudget(build: () => Synthesizable, limit: number, options: SynthTimingOptions = {}): void {
  const { perUnit } = synthSeconds(build, options);
  if (perUnit <= limit) return;
  const units = options.units ?? 1;
  throw new Error(
    `synthesis took ${milliseconds(perUnit)} for each of ${units}, and may take ${milliseconds(limit)}; look for what walks the whole tree, and for assets`,
  );
}

function milliseconds(seconds: number): string {
  return `${(seconds * 1000).toFixed(1)} ms`;
}
