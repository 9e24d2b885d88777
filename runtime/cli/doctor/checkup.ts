/** What the doctor looked at, and what came of it. Codes are public API: people match on them in scripts. */
export interface Checkup {
  readonly code: CheckupCode;
  readonly severity: Severity;
  /** One sentence. */
  readonly what: string;
  /** What was seen. */
  readonly evidence: string;
  /** A command, or a change of the spec or the program, that mends it. */
  readonly fix?: string;
}

/**
 * `ok`: as it should be. `note`: worth knowing. `warning`: it works, and not as well as it could, or not for long.
 * `error`: a service does not start, scale or get watched like this.
 */
export type Severity = 'ok' | 'note' | 'warning' | 'error';

export type CheckupCode =
  | 'tool-node'
  | 'tool-kubectl'
  | 'tool-pulumi'
  | 'tool-image-builder'
  | 'cluster-version'
  | 'cluster-unreadable'
  | 'kind-missing'
  | 'add-on-present'
  | 'image-volumes'
  | 'gpu-nodes'
  | 'gpu-taint'
  | 'gpu-device-plugin'
  | 'gpu-driver'
  | 'gpu-claimed-twice'
  | 'gpu-dra'
  | 'pool-nodes'
  | 'namespace'
  | 'namespace-pod-security'
  | 'namespace-identity'
  | 'prometheus-monitors'
  | 'prometheus-rules'
  | 'metrics-api'
  | 'identity'
  | 'model-evidence'
  | 'aws-quota';

const ORDER: readonly Severity[] = ['ok', 'note', 'warning', 'error'];

/** The worst of several; `ok` of none. */
export function worstOf(checkups: readonly Checkup[]): Severity {
  return checkups.reduce<Severity>(
    (worst, { severity }) => (ORDER.indexOf(severity) > ORDER.indexOf(worst) ? severity : worst),
    'ok',
  );
}

/** `1 machine`, `2 machines`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
