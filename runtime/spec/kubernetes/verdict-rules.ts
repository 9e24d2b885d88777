import { integer, number } from '../numbers';

/** What an automatic verdict on a canary asks of it. */
export interface VerdictOptions {
  /**
   * Seconds that the canary is watched before it may be called good, 1 to 86,400: many scrapes of Prometheus, of which there
   * is one in 15 s.
   * @default 600
   */
  readonly bakeSeconds?: number;
  /** Requests that each track must have answered, 20 to 10,000,000. @default 100 */
  readonly minRequests?: number;
  /**
   * How much larger than the stable track's the canary's share of failed requests may be, and that of refused ones: 0.01 is
   * one request in a hundred.
   * @default 0.01
   */
  readonly maxErrorIncrease?: number;
  /** How many times the stable track's p99 the canary's may be, 1 to 100. @default 1.5 */
  readonly maxLatencyRatio?: number;
}

/** Every value of a verdict, decided. */
export type VerdictRules = Required<VerdictOptions>;

export const VERDICT_DEFAULTS: VerdictRules = {
  bakeSeconds: 600,
  minRequests: 100,
  maxErrorIncrease: 0.01,
  maxLatencyRatio: 1.5,
};

/** @throws SpecError NUMBER_INVALID for a value that is out of its range. */
export function planVerdict(options: VerdictOptions, path: string): VerdictRules {
  const { bakeSeconds, minRequests, maxErrorIncrease, maxLatencyRatio } = VERDICT_DEFAULTS;
  return {
    bakeSeconds: integer(`${path}.bakeSeconds`, options.bakeSeconds, bakeSeconds, 1, 86_400),
    minRequests: integer(`${path}.minRequests`, options.minRequests, minRequests, 20, 10_000_000),
    maxErrorIncrease: number(`${path}.maxErrorIncrease`, options.maxErrorIncrease, maxErrorIncrease, 0, 1),
    maxLatencyRatio: number(`${path}.maxLatencyRatio`, options.maxLatencyRatio, maxLatencyRatio, 1, 100),
  };
}
