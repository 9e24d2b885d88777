import { checkFileDigests, checkTools, type FileDigest } from './evaluation-evidence';
import { isRecord, isRecordArray, isText, isTime, type RefuseField } from './manifest-fields';

/** One command that made files of others. */
export interface ProvenanceStep {
  /** What was run, without folders or secrets: `slipway model optimize --quantize static`. */
  readonly command: string;
  /** Versions of what ran: `{ "slipway": "0.1.0", "torch": "2.15.0" }`. */
  readonly tools: Readonly<Record<string, string>>;
  readonly inputs: readonly FileDigest[];
  readonly outputs: readonly FileDigest[];
  /** What the tool measured or compared, as it printed it for machines. @default - nothing beyond the digests */
  readonly report?: Readonly<Record<string, unknown>>;
  /** ISO 8601, in UTC. */
  readonly at: string;
}

/** How a model file came to be: what it was first, and each step to what it is now. */
export interface Provenance {
  /** The files that the first step was given. Names are without folders. */
  readonly source: readonly FileDigest[];
  readonly steps: readonly ProvenanceStep[];
}

/** More would be no history but a log. */
const MAX_STEPS = 100;
const MAX_COMMAND = 4_096;

/** Checks the shape of a history; whether its digests follow one another is checked where the files are known. */
export function checkProvenance(value: unknown, at: string, refuse: RefuseField): asserts value is Provenance {
  if (!isRecord(value)) return refuse(at, 'an object', value);
  checkFileDigests(value['source'], `${at}.source`, refuse);
  const { steps } = value;
  if (!isRecordArray(steps) || steps.length > MAX_STEPS)
    return refuse(`${at}.steps`, `up to ${MAX_STEPS} steps`, steps);
  steps.forEach((step, i) => {
    const here = `${at}.steps[${i}]`;
    if (!isText(step['command'], MAX_COMMAND)) refuse(`${here}.command`, 'a command', step['command']);
    checkTools(step['tools'], `${here}.tools`, refuse);
    checkFileDigests(step['inputs'], `${here}.inputs`, refuse);
    checkFileDigests(step['outputs'], `${here}.outputs`, refuse);
    if (step['report'] !== undefined && !isRecord(step['report']))
      refuse(`${here}.report`, 'an object', step['report']);
    if (!isTime(step['at'])) refuse(`${here}.at`, 'a time in UTC', step['at']);
  });
}
