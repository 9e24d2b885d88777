/** Every reason why a model cannot be published. A code is public API: people match on it in scripts. */
export type PublishErrorCode =
  | 'REPOSITORY_INVALID'
  | 'REPOSITORY_UNREACHABLE'
  | 'PACKAGE_MISSING'
  | 'VERSION_EXISTS'
  | 'VERSION_UNKNOWN'
  | 'LABEL_UNKNOWN'
  | 'LABELS_INVALID'
  | 'LABELS_CONTESTED'
  | 'FILE_NAME_RESERVED'
  | 'FILE_CHANGED'
  | 'FILE_UNREADABLE'
  | 'COMPILED_STALE'
  | 'CONFIGURATION_UNFIT'
  | 'MANIFEST_FILE_UNWRITABLE'
  | 'MODEL_NOT_LOADED'
  | 'GOLDEN_FILE_INVALID'
  | 'GOLDEN_RUN_FAILED'
  | 'MODEL_NOT_DETERMINISTIC'
  | 'TOLERANCE_INVALID'
  | 'LABELS_UNCLEAR'
  | 'PREPROCESSING_INVALID'
  | 'EVALUATION_INVALID'
  | 'EVALUATION_MISMATCH'
  | 'EVALUATION_FAILED'
  | 'PROVENANCE_MISMATCH'
  | 'LICENCE_INVALID';

const BRAND = Symbol.for('slipway.PublishError');

/** A model that was not published. The message always reads `CODE where: what was found, what would work`. */
export class PublishError extends Error {
  readonly code: PublishErrorCode;
  /** A file, a URI, or an option's name. */
  readonly where: string;

  constructor(code: PublishErrorCode, where: string, message: string) {
    super(`${code} ${where}: ${message}`);
    this.name = 'PublishError';
    this.code = code;
    this.where = where;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Works across two installed copies of this package, where `instanceof` does not. */
  static is(error: unknown): error is PublishError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}
