import { ModelToolError } from '../tool-error';
import type { ModelComparison } from './compare-models';

/** How far a changed model may be from its source. What is not given is not asked. */
export interface Acceptance {
  /** Largest difference as a share of the largest element of an output: `ModelComparison.maxRelative`. 0 asks for equal bits. */
  readonly tolerance?: number;
  /** Least share of rows whose largest element stays at its place, from 0 to 1; for outputs that have classes. */
  readonly minAgreement?: number;
}

/**
 * Refuses limits that mean nothing, before any work is done.
 * @throws ModelToolError OPTION_INVALID
 */
export function assertAcceptance({ tolerance = 0, minAgreement = 0 }: Acceptance): void {
  if (!(tolerance >= 0)) {
    throw new ModelToolError('OPTION_INVALID', '--tolerance', `must be a share from 0 up, got ${tolerance}`);
  }
  if (!(minAgreement >= 0 && minAgreement <= 1)) {
    throw new ModelToolError('OPTION_INVALID', '--min-agreement', `must be a share from 0 to 1, got ${minAgreement}`);
  }
}

/**
 * Refuses a changed model that is further from its source than its author allows.
 * @param where the output that is then not written
 * @throws ModelToolError TOLERANCE_EXCEEDED with both numbers
 */
export function assertAcceptable(comparison: ModelComparison, acceptance: Acceptance, where: string): void {
  const { tolerance, minAgreement } = acceptance;
  const { maxRelative, agreement, rows } = comparison;
  const said: string[] = [];
  if (tolerance !== undefined && !(maxRelative <= tolerance)) {
    said.push(
      `differs from its source by up to ${percent(maxRelative)} of an output's largest element, and --tolerance ${tolerance} allows ${percent(tolerance)}`,
    );
  }
  if (minAgreement !== undefined && agreement !== undefined && !(agreement >= minAgreement)) {
    said.push(
      `agrees with its source on ${percent(agreement)} of ${rows} rows, and --min-agreement ${minAgreement} asks for ${percent(minAgreement)}`,
    );
  }
  if (said.length === 0) return;
  throw new ModelToolError('TOLERANCE_EXCEEDED', where, `${said.join('; ')}: nothing was written`);
}

/**
 * What is asked of a changed model. What the author says counts, and alone: a tolerance that was asked for is not joined by an
 * agreement that was not. Where the author says nothing, outputs that have classes are asked to agree, and others to be close.
 * @param otherwise what is asked when the author says nothing
 * @throws ModelToolError OPTION_INVALID when an agreement alone is asked of outputs without classes
 */
export function acceptanceOf(
  { tolerance, minAgreement }: Acceptance,
  otherwise: Acceptance,
  { agreement }: Pick<ModelComparison, 'agreement'>,
): Acceptance {
  if (tolerance === undefined && minAgreement === undefined) {
    if (otherwise.tolerance === undefined || otherwise.minAgreement === undefined) return otherwise;
    return agreement === undefined ? { tolerance: otherwise.tolerance } : { minAgreement: otherwise.minAgreement };
  }
  if (tolerance === undefined && agreement === undefined) {
    throw new ModelToolError(
      'OPTION_INVALID',
      '--min-agreement',
      'asks rows to keep their class, and no output of the model has classes: give --tolerance',
    );
  }
  return { ...(tolerance === undefined ? {} : { tolerance }), ...(minAgreement === undefined ? {} : { minAgreement }) };
}

/** A share as people read it. */
export function percent(share: number): string {
  return Number.isFinite(share) ? `${Number((share * 100).toPrecision(4))} %` : 'no number of %';
}
