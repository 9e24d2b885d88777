import { SourceError } from './model-source';
import { isLoopback } from './http-request';

export interface StoreEndpoint {
  readonly url: URL;
  /** An emulator on this machine: it has no host name per bucket. */
  readonly isLocal: boolean;
}

/**
 * The address of a store as an operator wrote it, with or without `https://`.
 * @throws SourceError for what is no address, and for one that would be asked unencrypted over a network.
 */
export function storeEndpoint(text: string | undefined, variable: string): StoreEndpoint | undefined {
  if (text === undefined || text === '') return undefined;
  let url: URL;
  try {
    url = new URL(/^https?:\/\//.test(text) ? text : `https://${text}`);
  } catch {
    throw new SourceError('permanent', `${variable} must be a host or an https:// URL, got '${text}'`);
  }
  const isLocal = isLoopback(url);
  if (url.protocol === 'http:' && !isLocal) {
    throw new SourceError(
      'permanent',
      `${variable} must be https://, got '${text}'; http:// is for this machine alone`,
    );
  }
  return { url, isLocal };
}
