/** Every reason why an ONNX file cannot be used. A code is public API: people match on it in scripts. */
export type OnnxFileErrorCode =
  | 'FILE_MISSING'
  | 'FILE_UNREADABLE'
  | 'FILE_TOO_LARGE'
  | 'NOT_ONNX'
  | 'TRUNCATED'
  | 'MALFORMED'
  | 'TYPE_UNSUPPORTED'
  | 'SHAPE_UNKNOWN'
  | 'EXTERNAL_DATA_INVALID'
  | 'EXTERNAL_DATA_OUTSIDE'
  | 'EXTERNAL_DATA_MISSING'
  | 'EXTERNAL_DATA_TRUNCATED';

const BRAND = Symbol.for('slipway.OnnxFileError');

/**
 * An ONNX file that cannot be read, or that the runtime cannot serve. The message always reads
 * `CODE file: what was found, what would work`.
 */
export class OnnxFileError extends Error {
  readonly code: OnnxFileErrorCode;
  /** The model file as the caller named it; for FILE_UNREADABLE possibly one of its external data files. */
  readonly file: string;

  constructor(code: OnnxFileErrorCode, file: string, message: string) {
    super(`${code} ${file}: ${message}`);
    this.name = 'OnnxFileError';
    this.code = code;
    this.file = file;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Works across two installed copies of this package, where `instanceof` does not. */
  static is(error: unknown): error is OnnxFileError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}
