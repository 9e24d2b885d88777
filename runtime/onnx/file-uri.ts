import { fileURLToPath } from 'node:url';

/**
 * The path that a `file://` URI names.
 * @throws Error for a URI of another machine, and for one with a bare '?' or '#': what follows them is no part of the
 * path to a URI, so another folder than the one that was meant would be taken without a word.
 */
export function pathOfFileUri(uri: string): string {
  const sign = /[?#]/.exec(uri)?.[0];
  if (sign !== undefined) throw new Error(`'${sign}' must be written as ${encodeURIComponent(sign)}`);
  return fileURLToPath(uri);
}
