/**
 * What kind of failure a code is, which decides the exit status of a command: `input` is a file or data that cannot be used,
 * `verdict` a gate or a tolerance that said no, `missing` something that must be installed first, `outside` a network, a
 * store or a disk.
 */
export type FailureKind = 'input' | 'verdict' | 'missing' | 'outside';

/** Every reason why a model tool stops. A code is public API: people match on it in scripts. */
const KIND_OF = {
  OUTPUT_EXISTS: 'input',
  FILE_UNREADABLE: 'input',
  PROVENANCE_INVALID: 'input',
  OUTPUT_UNWRITABLE: 'outside',
  TOLERANCE_EXCEEDED: 'verdict',
  LAYER_UNKNOWN: 'input',
  OPTION_INVALID: 'input',
  NOTHING_TO_CHANGE: 'input',
  DATA_UNREADABLE: 'input',
  DATA_UNSAFE: 'input',
  DATA_TOO_LARGE: 'input',
  DATA_MISFIT: 'input',
  DATA_EMPTY: 'input',
  LABEL_INVALID: 'input',
  MODEL_RUN_FAILED: 'input',
  OUTPUT_UNFIT: 'input',
  GATE_UNKNOWN: 'input',
  ENDPOINT_REFUSED: 'input',
  ENDPOINT_UNREACHABLE: 'outside',
  GATE_FAILED: 'verdict',
  SOURCE_UNREADABLE: 'input',
  SOURCE_UNKNOWN: 'input',
  SOURCE_UNSAFE: 'input',
  SOURCE_TOO_LARGE: 'input',
  INPUTS_UNKNOWN: 'input',
  CONVERSION_FAILED: 'input',
  CONVERSION_DIFFERS: 'verdict',
  CALIBRATION_MISSING: 'input',
  QUANTIZATION_FAILED: 'input',
  OPTIMIZATION_FAILED: 'input',
  TARGET_UNKNOWN: 'input',
  RECIPES_INVALID: 'input',
  NO_CANDIDATE: 'verdict',
  PYTHON_MISSING: 'missing',
  PYTHON_UNFIT: 'missing',
  PYTHON_SETUP_FAILED: 'outside',
  PYTHON_CRASHED: 'outside',
  PYTHON_TIMEOUT: 'outside',
} as const satisfies Readonly<Record<string, FailureKind>>;

export type ModelToolErrorCode = keyof typeof KIND_OF;

const BRAND = Symbol.for('slipway.ModelToolError');

/** Why a tool made nothing of a model. The message always reads `CODE where: what was found, what would work`. */
export class ModelToolError extends Error {
  readonly code: ModelToolErrorCode;
  /** A file, a tensor, or an option's name. */
  readonly where: string;
  readonly kind: FailureKind;

  constructor(code: ModelToolErrorCode, where: string, message: string) {
    super(`${code} ${where}: ${message}`);
    this.name = 'ModelToolError';
    this.code = code;
    this.where = where;
    this.kind = KIND_OF[code];
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Works across two installed copies of this package, where `instanceof` does not. */
  static is(error: unknown): error is ModelToolError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}

/** Every code, for those who list them. */
export const MODEL_TOOL_ERROR_CODES = Object.keys(KIND_OF) as readonly ModelToolErrorCode[];
