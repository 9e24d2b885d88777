import { remedyFor, type EvidenceFacts } from '../evidence-facts';
import type { Checkup } from './checkup';

/** Whether servers that require evidence will serve the versions of a service: they say it only when they start. */
export function examineEvidence(facts: readonly EvidenceFacts[]): readonly Checkup[] {
  return facts.map((each): Checkup => {
    const { model, version, place, missing, unreadable } = each;
    const who = `version ${version} of model '${model}'`;
    if (unreadable !== undefined) {
      return {
        code: 'model-evidence',
        severity: 'warning',
        what: `nobody can tell whether ${who} has the evidence that requireEvidence asks for`,
        evidence: `${place}: ${unreadable}`,
        fix: `read it with slipway model list REPOSITORY --model ${model}, or give models[].manifest`,
      };
    }
    if (missing === undefined) {
      return {
        code: 'model-evidence',
        severity: 'ok',
        what: `${who} has a golden proof and a passed evaluation`,
        evidence: place,
      };
    }
    return {
      code: 'model-evidence',
      severity: 'error',
      what: `${who} has not the evidence that requireEvidence asks for, and no replica will be ready`,
      evidence: `${place}: ${missing}`,
      fix: remedyFor(each),
    };
  });
}
