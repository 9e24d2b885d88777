/** Why an image was not built, pinned or pushed. A code is public API: people match on it in scripts. */
export type ImageErrorCode =
  'ARGUMENT_INVALID' | 'CONTEXT_MISSING' | 'NO_CONTAINER_TOOL' | 'COMMAND_FAILED' | 'PIN_INVALID' | 'DIGEST_UNKNOWN';

const BRAND = Symbol.for('slipway.ImageError');

/**
 * An image that could not be built, pinned or pushed. The message always reads
 * `CODE where: what was given or seen, what would work`.
 */
export class ImageError extends Error {
  readonly code: ImageErrorCode;
  /** What it is about: an option, a file, a command. */
  readonly where: string;
  /** The message without code and where. */
  readonly reason: string;

  constructor(code: ImageErrorCode, where: string, reason: string) {
    super(`${code} ${where}: ${reason}`);
    this.name = 'ImageError';
    this.code = code;
    this.where = where;
    this.reason = reason;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Works across two installed copies of this package, where `instanceof` does not. */
  static is(error: unknown): error is ImageError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}
