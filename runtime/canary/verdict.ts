import type { VerdictRules } from '../spec/kubernetes/verdict-rules';

/** What one track of a service answered while it was watched. */
export interface TrackCounts {
  readonly name: string;
  /** Requests that were answered, whatever the answer; those that their clients gave up are left out. */
  readonly answered: number;
  /** Of these, answered with an error of the server, too late, or not at all for want of room. */
  readonly failed: number;
  /** Of these, refused as the client's mistake: what a model with other inputs makes of every request. */
  readonly refused: number;
  /** Seconds of the requests that were answered well: upper bound of each bucket, ascending, and how many took no longer. */
  readonly durations: readonly (readonly [bound: number, count: number])[];
}

export type Outcome = 'good' | 'bad' | 'not enough requests' | 'undecided';

export interface Verdict {
  readonly outcome: Outcome;
  /** One sentence with the numbers. */
  readonly sentence: string;
}

/** Two and a half standard deviations: of a hundred canaries as good as the stable track, less than one is called bad early. */
const CONFIDENCE = 2.576;
/** Fewer requests than this say nothing before the end, however bad they look. */
const EARLY_REQUESTS = 20;
/** A p99 is the duration that this share of the requests exceeds. */
const TAIL = 0.01;
const ROUNDING = 1e-9;

interface Comparison {
  readonly what: string;
  readonly share: number;
  readonly of: number;
  readonly limit: number;
  /** What to say where the share is over its limit. */
  readonly complaint: string;
}

/**
 * Whether a canary does as well as the stable track. Three shares of its requests are held against limits that come from the
 * stable track: those that failed, those that were refused, and those that took longer than its p99 × `maxLatencyRatio`, of
 * which one in a hundred may. Pure: the same counts give the same verdict.
 *
 * @param isOver Before the end only what is clear beyond chance is called bad, and nothing is called good. At the end the
 * shares decide as they are.
 */
export function judge(stable: TrackCounts, canary: TrackCounts, rules: VerdictRules, isOver: boolean): Verdict {
  const enough = isOver ? rules.minRequests : Math.min(rules.minRequests, EARLY_REQUESTS);
  if (canary.answered < enough || stable.answered < enough) {
    return {
      outcome: isOver ? 'not enough requests' : 'undecided',
      sentence: `${canary.name} answered ${round(canary.answered)} requests and ${stable.name} ${round(stable.answered)}, a verdict needs ${rules.minRequests} of each`,
    };
  }
  const comparisons = compare(stable, canary, rules);
  const worse = comparisons.find(({ share, of, limit }) => (isOver ? share : surely(share, of)) > limit + ROUNDING);
  if (worse !== undefined) return { outcome: 'bad', sentence: worse.complaint };
  return { outcome: isOver ? 'good' : 'undecided', sentence: comparisons.map(({ what }) => what).join('; ') };
}

/** The duration that all but one in a hundred stay below, interpolated within its bucket as Prometheus does; undefined without any. */
export function p99(durations: TrackCounts['durations']): number | undefined {
  const count = total(durations);
  if (count === 0) return undefined;
  const rank = count * (1 - TAIL);
  let [lower, before] = [0, 0];
  for (const [bound, upTo] of durations) {
    if (upTo >= rank) {
      // Nobody can say how long those beyond the last bound took.
      if (bound === Infinity) return lower;
      return lower + ((bound - lower) * (rank - before)) / (upTo - before);
    }
    [lower, before] = [bound, upTo];
  }
  return lower;
}

/** Share of the requests that took longer. */
export function shareAbove(durations: TrackCounts['durations'], seconds: number): number {
  const count = total(durations);
  if (count === 0) return 0;
  let [lower, before] = [0, 0];
  for (const [bound, upTo] of durations) {
    if (seconds < bound) {
      // Nobody can say how long those beyond the last bound took, so none of them is held against anybody.
      if (bound === Infinity) return 0;
      return (count - before - ((upTo - before) * (seconds - lower)) / (bound - lower)) / count;
    }
    [lower, before] = [bound, upTo];
  }
  return 0;
}

function compare(stable: TrackCounts, canary: TrackCounts, rules: VerdictRules): readonly Comparison[] {
  return [
    compareShares('failed', stable, canary, ({ failed }) => failed, rules),
    compareShares('refused', stable, canary, ({ refused }) => refused, rules),
    ...compareDurations(stable, canary, rules),
  ];
}

function compareShares(
  verb: string,
  stable: TrackCounts,
  canary: TrackCounts,
  count: (track: TrackCounts) => number,
  { maxErrorIncrease }: VerdictRules,
): Comparison {
  const share = count(canary) / canary.answered;
  const usual = count(stable) / stable.answered;
  const what = `${canary.name} ${verb} ${percent(share)} of ${round(canary.answered)} requests, ${stable.name} ${percent(usual)} of ${round(stable.answered)}`;
  return {
    what,
    share,
    of: canary.answered,
    limit: usual + maxErrorIncrease,
    complaint: `${what}: more than ${percent(maxErrorIncrease)} above it`,
  };
}

function compareDurations(stable: TrackCounts, canary: TrackCounts, { maxLatencyRatio }: VerdictRules): Comparison[] {
  const usual = p99(stable.durations);
  const now = p99(canary.durations);
  if (usual === undefined || now === undefined) return [];
  const what = `p99 of ${canary.name} ${milliseconds(now)}, of ${stable.name} ${milliseconds(usual)}`;
  const slowest = usual * maxLatencyRatio;
  const share = shareAbove(canary.durations, slowest);
  return [
    {
      what,
      share,
      of: total(canary.durations),
      limit: TAIL,
      complaint: `${what}: ${percent(share)} took longer than ${milliseconds(slowest)}, ${maxLatencyRatio} times the stable p99`,
    },
  ];
}

function total(durations: TrackCounts['durations']): number {
  return durations.at(-1)?.[1] ?? 0;
}

/** The least share that this many requests show beyond chance (Wilson's interval): few requests show little. */
function surely(share: number, of: number): number {
  if (of === 0) return 0;
  const z2 = CONFIDENCE ** 2;
  const centre = share + z2 / (2 * of);
  const spread = CONFIDENCE * Math.sqrt((share * (1 - share) + z2 / (4 * of)) / of);
  return (centre - spread) / (1 + z2 / of);
}

function round(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function milliseconds(seconds: number): string {
  const value = seconds * 1_000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US')} ms`;
}
