import { readFile } from 'node:fs/promises';
import type { createLocalJWKSet, JSONWebKeySet } from 'jose' with { 'resolution-mode': 'import' };
import { ENVIRONMENT } from '../../spec/environment';
import { SpecError } from '../../spec/errors';
import { pathOfFileUri } from '../../onnx/file-uri';
import { ServerError } from '../errors';

type KeySetOfJose = ReturnType<typeof createLocalJWKSet>;
/** Finds the key that a token's header names. */
type FindKey = (...header: Parameters<KeySetOfJose>) => ReturnType<KeySetOfJose>;

const MAX_BYTES = 256 * 1_024;
const MAX_KEYS = 100;
const TIMEOUT_MS = 5_000;
/** After this, the set is fetched again beside the request that notices; that one uses the old set. */
const FRESH_MS = 10 * 60_000;
/** Between two fetches because of a key that the set does not have: anybody can invent key ids. */
const COOL_DOWN_MS = 30_000;
/** Between two fetches that fail. */
const RETRY_MS = 5_000;

/**
 * The public keys that sign tokens, from a file or an identity provider. A provider that cannot be reached for a while
 * changes nothing for keys that are known.
 */
export class KeySet {
  private resolve: FindKey | undefined;
  private fetchedAt = -Infinity;
  private failedAt = -Infinity;
  private pending: Promise<void> | undefined;

  /**
   * @param onFailure Told why the set could not be had; callers are not.
   * @throws SpecError ENVIRONMENT_INVALID
   */
  constructor(
    private readonly uri: string,
    private readonly onFailure: (reason: string) => void,
    private readonly now: () => number = Date.now,
  ) {
    assertKeySetUri(uri);
  }

  /**
   * The key that a token's header names.
   * @throws ServerError AUTHENTICATION_UNAVAILABLE when it cannot be said whether the key is right; else the error of jose.
   */
  readonly find: FindKey = async (header, token) => {
    if (this.resolve === undefined) await this.fetch();
    else if (this.now() - this.fetchedAt > FRESH_MS) void this.fetch().catch(() => {});
    try {
      return await this.resolve!(header, token);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_JWKS_NO_MATCHING_KEY') throw error;
      if (this.now() - this.fetchedAt < COOL_DOWN_MS) throw error;
      await this.fetch();
      return this.resolve!(header, token);
    }
  };

  private async fetch(): Promise<void> {
    if (this.now() - this.failedAt < RETRY_MS) throw unavailable();
    this.pending ??= this.load().finally(() => (this.pending = undefined));
    await this.pending;
  }

  private async load(): Promise<void> {
    try {
      const { createLocalJWKSet } = await import('jose');
      const keys = JSON.parse(await readSet(this.uri)) as JSONWebKeySet;
      if (!(keys.keys?.length <= MAX_KEYS)) throw new Error(`the key set must hold at most ${MAX_KEYS} keys`);
      this.resolve = createLocalJWKSet(keys);
      this.fetchedAt = this.now();
    } catch (error) {
      this.failedAt = this.now();
      const { message, cause } = error as Error;
      this.onFailure(cause instanceof Error ? `${message}: ${cause.message}` : message);
      throw unavailable();
    }
  }
}

function unavailable(): ServerError {
  return new ServerError('AUTHENTICATION_UNAVAILABLE', 'the keys that sign tokens cannot be had at the moment', {
    retryAfterSeconds: RETRY_MS / 1_000,
  });
}

function assertKeySetUri(uri: string): void {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  const isLoopback = url !== undefined && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  const isFine = url?.protocol === 'https:' || url?.protocol === 'file:' || (url?.protocol === 'http:' && isLoopback);
  if (isFine) return;
  throw new SpecError(
    'ENVIRONMENT_INVALID',
    ENVIRONMENT.jwtJwks.variable,
    'must be an https:// or file:// URI, or http:// on this machine',
  );
}

async function readSet(uri: string): Promise<string> {
  if (uri.startsWith('file://')) return limited([await readFile(pathOfFileUri(uri))]);
  const headers = { Accept: 'application/jwk-set+json, application/json' };
  // A redirect would be another place than the one that was named.
  const response = await fetch(uri, { headers, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status !== 200 || response.body === null) throw new Error(`the key set was answered ${response.status}`);
  return limited(response.body);
}

async function limited(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`the key set must be at most ${MAX_BYTES} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString();
}
