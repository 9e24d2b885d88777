import { percent } from '../compare/acceptance';
import { formatBytes } from '../quantities';
import { ModelToolError } from '../tool-error';
import type { CandidateNumbers, SearchConstraints, SearchPreference, SearchReport } from './search-report';

export interface Named {
  readonly name: string;
  readonly numbers: CandidateNumbers;
}

/** Names of the models that no other one beats: at least as accurate, fast and small, and better in one of the three. */
export function frontOf(models: readonly Named[]): ReadonlySet<string> {
  const isBeaten = ({ numbers }: Named): boolean => models.some((other) => beats(other.numbers, numbers));
  return new Set(models.filter((model) => !isBeaten(model)).map(({ name }) => name));
}

function beats(one: CandidateNumbers, other: CandidateNumbers): boolean {
  const gains = [one.accuracy - other.accuracy, other.speed.p50Ms - one.speed.p50Ms, other.fileBytes - one.fileBytes];
  return gains.every((gain) => gain >= 0) && gains.some((gain) => gain > 0);
}

interface Held {
  /** By how much of the limit it is beyond it; at most 0 when it is not. */
  readonly excess: number;
  readonly miss: string;
}

function hold(numbers: CandidateNumbers, { maxDrop, maxLatencyMs, maxBytes }: SearchConstraints): readonly Held[] {
  const beyond = (value: number, limit: number): number => (value - limit) / (limit > 0 ? limit : 1);
  const { drop, speed, fileBytes } = numbers;
  return [
    ...(maxDrop === undefined
      ? []
      : [{ excess: beyond(drop, maxDrop), miss: `loses ${percent(drop)} of accuracy, at most ${percent(maxDrop)}` }]),
    ...(maxLatencyMs === undefined
      ? []
      : [
          {
            excess: beyond(speed.p50Ms, maxLatencyMs),
            miss: `takes ${formatMs(speed.p50Ms)}, at most ${formatMs(maxLatencyMs)}`,
          },
        ]),
    ...(maxBytes === undefined
      ? []
      : [
          {
            excess: beyond(fileBytes, maxBytes),
            miss: `has ${formatBytes(fileBytes)}, at most ${formatBytes(maxBytes)}`,
          },
        ]),
  ];
}

/** Constraints that a model misses, each as a sentence. */
export function missesOf(numbers: CandidateNumbers, constraints: SearchConstraints): readonly string[] {
  return hold(numbers, constraints)
    .filter(({ excess }) => excess > 0)
    .map(({ miss }) => miss);
}

/**
 * The best of the models that are what they must be; where none is, the one that misses by the smallest share of a limit.
 * Nothing is chosen where nothing is asked: what a front is worth is not for a program to say.
 */
export function choose(
  models: readonly Named[],
  constraints: SearchConstraints,
  prefer: SearchPreference,
): { readonly chosen?: string; readonly nearest?: string } {
  if (Object.values(constraints).every((limit) => limit === undefined)) return {};
  const fitting = models.filter(({ numbers }) => missesOf(numbers, constraints).length === 0);
  const [best] = [...fitting].sort(({ numbers: a }, { numbers: b }) => compare(a, b, prefer));
  if (best !== undefined) return { chosen: best.name };
  const excessOf = ({ numbers }: Named): number => Math.max(...hold(numbers, constraints).map(({ excess }) => excess));
  const [nearest] = [...models].sort((a, b) => excessOf(a) - excessOf(b));
  return nearest === undefined ? {} : { nearest: nearest.name };
}

/** Below 0 where the first is better. What is equal by the preference is told apart by size, then by accuracy. */
function compare(a: CandidateNumbers, b: CandidateNumbers, prefer: SearchPreference): number {
  const by = {
    latency: a.speed.p50Ms - b.speed.p50Ms,
    size: a.fileBytes - b.fileBytes,
    accuracy: b.accuracy - a.accuracy,
  };
  return by[prefer] || by.size || by.accuracy || by.latency;
}

/**
 * Says which model comes nearest where none is what it must be.
 * @throws ModelToolError NO_CANDIDATE
 */
export function assertChosen({ chosen, nearest, rows, source }: SearchReport): void {
  const near = rows.find(({ name }) => name === nearest);
  if (chosen !== undefined || near === undefined) return;
  const tried = rows.filter(({ numbers }) => numbers !== undefined).length;
  throw new ModelToolError(
    'NO_CANDIDATE',
    source.name,
    `none of ${tried} models is what it must be; the nearest, '${near.name}', ${near.misses.join('; ')}`,
  );
}

/** `1.25 ms`; three digits that mean something. */
export function formatMs(milliseconds: number): string {
  return `${Number(milliseconds.toPrecision(3))} ms`;
}
