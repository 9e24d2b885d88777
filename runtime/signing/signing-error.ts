export type SigningErrorCode =
  'SIGNING_KEY_INVALID' | 'SIGNING_KEY_UNREACHABLE' | 'SIGNATURE_MISSING' | 'SIGNATURE_WRONG';

const BRAND = Symbol.for('slipway.SigningError');

/** A key that cannot be used, or a manifest that none of the keys has signed. The message reads `CODE where: reason, remedy`. */
export class SigningError extends Error {
  readonly code: SigningErrorCode;
  /** A file, a URI, or the name of an option or a variable. */
  readonly where: string;

  constructor(code: SigningErrorCode, where: string, message: string) {
    super(`${code} ${where}: ${message}`);
    this.name = 'SigningError';
    this.code = code;
    this.where = where;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Works across two installed copies of this package, where `instanceof` does not. */
  static is(error: unknown): error is SigningError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}
