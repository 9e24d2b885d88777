import { parseJsonText } from '../../onnx/json-text';
import { SpecError } from '../../spec/errors';

/** What an author asks of the labels of one model. */
export interface LabelRules {
  /** From label to version. */
  readonly labels: ReadonlyMap<string, number>;
  /** How many of 100 requests that name neither version nor label go to a label; the rest goes to `stable`. */
  readonly weights: ReadonlyMap<string, number>;
}

export const NO_LABELS: LabelRules = { labels: new Map(), weights: new Map() };

/** The label that gets what no other one takes. */
const STABLE = 'stable';
const LABEL = /^[A-Za-z0-9_]{1,64}$/;
/** Steps of the golden ratio fall evenly: of any n steps, a share of p gets p × n, give or take one or two. */
const GOLDEN_STEP = (Math.sqrt(5) - 1) / 2;

/**
 * The labels of one model. A label only ever leads to a version that is loaded, and keeps its old version until the new
 * one is: a swap cannot leave a label without a model behind it.
 */
export class VersionLabels {
  private rules = NO_LABELS;
  private readonly versions = new Map<string, number>();
  private position = 0;

  /** Labels that lead somewhere, in the order they were written. */
  get names(): readonly string[] {
    return [...this.rules.labels.keys()].filter((label) => this.versions.has(label));
  }

  /** Whether requests that name no version are shared out. */
  get hasWeights(): boolean {
    return this.rules.weights.size > 0;
  }

  versionOf(label: string): number | undefined {
    return this.versions.get(label);
  }

  /** Takes over new rules as far as their versions are loaded; `settle` again when that changes. */
  use(rules: LabelRules, isLoaded: (version: number) => boolean): void {
    this.rules = rules;
    for (const label of this.versions.keys()) if (!rules.labels.has(label)) this.versions.delete(label);
    this.settle(isLoaded);
  }

  /**
   * Moves each label to the version it is meant for, if that one is loaded. A label whose version is gone leads nowhere.
   * @returns labels that could not be moved yet, with the version they are meant for.
   */
  settle(isLoaded: (version: number) => boolean): ReadonlyMap<string, number> {
    const pending = new Map<string, number>();
    for (const [label, version] of this.rules.labels) {
      if (isLoaded(version)) this.versions.set(label, version);
      else pending.set(label, version);
      const current = this.versions.get(label);
      if (current !== undefined && !isLoaded(current)) this.versions.delete(label);
    }
    return pending;
  }

  /**
   * The version for the next request that names none: undefined when there are no weights, or none that is ready has one.
   * The choice follows a fixed sequence without chance in it, so that ten per cent of a hundred requests are ten.
   */
  choose(isReady: (version: number) => boolean): number | undefined {
    if (!this.hasWeights) return undefined;
    const target = (label: string): number | undefined => {
      const version = this.versions.get(label);
      return version !== undefined && isReady(version) ? version : undefined;
    };
    this.position = (this.position + GOLDEN_STEP) % 1;
    let to = 0;
    for (const [label, percent] of this.rules.weights) {
      if (label === STABLE) continue;
      to += percent / 100;
      // The share of one that is not ready is the stable version's.
      if (this.position < to) return target(label) ?? target(STABLE);
    }
    return target(STABLE);
  }
}

/**
 * Reads a `version-labels.json`: `{"labels": {"stable": 3, "canary": 4}, "weights": {"canary": 10}}`.
 * @throws SpecError VERSION_LABELS_INVALID naming the field and what was found there.
 */
export function parseLabelRules(text: string, source: string): LabelRules {
  const refuse = (what: string): never => {
    throw new SpecError('VERSION_LABELS_INVALID', source, what);
  };
  let file: unknown;
  try {
    file = parseJsonText(text);
  } catch (error) {
    return refuse(`must be JSON: ${(error as Error).message}`);
  }
  if (!isRecord(file)) return refuse('must be an object with labels and weights');
  // How labels came to be is the affair of those who move them.
  const { labels = {}, weights = {}, history: _history, ...others } = file;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return refuse(`'${unknown}' is not known here; labels and weights are`);
  if (!isRecord(labels) || !isRecord(weights)) return refuse('labels and weights must be objects');
  return assertLabelRules({ labels: numbers(labels, refuse), weights: numbers(weights, refuse) }, source);
}

/** @throws SpecError VERSION_LABELS_INVALID */
export function assertLabelRules(rules: LabelRules, source: string): LabelRules {
  const refuse = (what: string): never => {
    throw new SpecError('VERSION_LABELS_INVALID', source, what);
  };
  for (const [label, version] of rules.labels) {
    if (!LABEL.test(label)) refuse(`label '${label}' must be 1 to 64 letters, digits or underscores`);
    if (!Number.isSafeInteger(version) || version < 1) {
      refuse(`label '${label}' must name a version from 1 up, got ${version}`);
    }
  }
  let sum = 0;
  for (const [label, percent] of rules.weights) {
    if (!rules.labels.has(label)) refuse(`weights name '${label}', and labels have no such entry`);
    if (!(percent >= 0 && percent <= 100)) refuse(`the weight of '${label}' must be from 0 to 100, got ${percent}`);
    sum += percent;
  }
  if (sum > 100) refuse(`weights are parts of 100, got ${sum} together`);
  if (rules.weights.size > 0 && sum < 100 && !rules.labels.has(STABLE)) {
    refuse(`weights sum to ${sum} of 100, and there is no label '${STABLE}' to get the rest`);
  }
  return rules;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function numbers(record: Record<string, unknown>, refuse: (what: string) => never): ReadonlyMap<string, number> {
  return new Map(
    Object.entries(record).map(([key, value]) => {
      if (typeof value !== 'number' && typeof value !== 'bigint') return refuse(`'${key}' must be a number`);
      return [key, Number(value)];
    }),
  );
}
