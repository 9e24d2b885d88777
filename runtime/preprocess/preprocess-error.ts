/**
 * Why nothing could be made of what somebody gave: `input` is the giver's fault, `setup` the fault of the preprocessing or of
 * the files that it names, `missing` a package that is not installed.
 */
export type PreprocessFailure = 'input' | 'setup' | 'missing';

const BRAND = Symbol.for('slipway.PreprocessError');

/** The message names neither request nor file of this machine: the caller does. */
export class PreprocessError extends Error {
  constructor(
    readonly failure: PreprocessFailure,
    message: string,
  ) {
    super(message);
    this.name = 'PreprocessError';
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Works across two installed copies of this package, where `instanceof` does not. */
  static is(error: unknown): error is PreprocessError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}

/** Says of which row an error is, where there are several. */
export function errorInRow(error: unknown, row: number, rows: number): unknown {
  return rows > 1 && PreprocessError.is(error)
    ? new PreprocessError(error.failure, `row ${row}: ${error.message}`)
    : error;
}
