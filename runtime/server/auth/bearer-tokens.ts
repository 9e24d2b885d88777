import { hash } from 'node:crypto';
import { ENVIRONMENT } from '../../spec/environment';
import { SpecError } from '../../spec/errors';
import { ServerError } from '../errors';
import { KeySet } from './key-set';
import { isGroup, MAX_NAME_LENGTH, type Group, type Principal } from './principal';

export interface BearerTokenOptions {
  /** https:// or file:// URI of the key set. */
  readonly jwks: string;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly onFailure: (reason: string) => void;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

/** Signatures with public keys alone: with a shared secret, whoever can check a token can make one. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const CLOCK_TOLERANCE_SECONDS = 30;
/** A token that was checked is let in again for so long without being checked: a signature costs as much as a small model. */
const REMEMBERED_MS = 60_000;
const REMEMBERED = 10_000;
const SCOPE_PREFIX = 'slipway:';

interface Remembered {
  readonly principal: Principal;
  readonly until: number;
}

/** Lets callers in by the signed tokens (JWT) of an identity provider. */
export class BearerTokens {
  private readonly keys: KeySet;
  private readonly remembered = new Map<string, Remembered>();
  private readonly now: () => number;

  /** @throws SpecError ENVIRONMENT_INVALID when it is not said whose tokens for whom are meant. */
  constructor(private readonly options: BearerTokenOptions) {
    this.now = options.now ?? Date.now;
    for (const setting of ['jwtIssuer', 'jwtAudience'] as const) {
      if (options[setting === 'jwtIssuer' ? 'issuer' : 'audience'] !== undefined) continue;
      const { variable } = ENVIRONMENT[setting];
      const jwks = ENVIRONMENT.jwtJwks.variable;
      throw new SpecError(
        'ENVIRONMENT_INVALID',
        variable,
        `must be set together with ${jwks}: else tokens that were made for another service would do`,
      );
    }
    this.keys = new KeySet(options.jwks, options.onFailure, this.now);
  }

  /**
   * @returns at once for a token that came before.
   * @throws ServerError UNAUTHENTICATED, AUTHENTICATION_UNAVAILABLE
   */
  check(token: string): Principal | Promise<Principal> {
    const digest = hash('sha256', token, 'base64');
    const known = this.remembered.get(digest);
    if (known !== undefined && known.until > this.now()) return known.principal;
    return this.verify(token, digest);
  }

  private async verify(token: string, digest: string): Promise<Principal> {
    const { issuer, audience } = this.options;
    const { jwtVerify } = await import('jose');
    let claims: Readonly<Record<string, unknown>>;
    try {
      ({ payload: claims } = await jwtVerify(token, this.keys.find, {
        issuer: issuer!,
        audience: audience!,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp', 'sub'],
        currentDate: new Date(this.now()),
      }));
    } catch (error) {
      if (error instanceof ServerError) throw error;
      throw invalidToken(reasonOf(error));
    }
    const principal = principalOf(claims);
    const expiresAt = (claims['exp'] as number) * 1_000;
    this.remember(digest, { principal, until: Math.min(this.now() + REMEMBERED_MS, expiresAt) });
    return principal;
  }

  private remember(digest: string, known: Remembered): void {
    // The one that came first goes first: with tokens that live minutes, that is the one that is over first.
    if (this.remembered.size >= REMEMBERED) this.remembered.delete(this.remembered.keys().next().value!);
    this.remembered.delete(digest);
    this.remembered.set(digest, known);
  }
}

function principalOf(claims: Readonly<Record<string, unknown>>): Principal {
  const { sub, slipway_tenant: tenant } = claims;
  if (typeof sub !== 'string' || sub === '') throw invalidToken('it names no subject');
  const name = sub.slice(0, MAX_NAME_LENGTH);
  return {
    name,
    tenant: typeof tenant === 'string' && tenant !== '' ? tenant.slice(0, MAX_NAME_LENGTH) : name,
    groups: groupsOf(claims),
  };
}

/** The claim `slipway_groups`; without it, scopes such as `slipway:infer`. A token with neither may do nothing. */
function groupsOf({ slipway_groups: groups, scope, scp }: Readonly<Record<string, unknown>>): ReadonlySet<Group> {
  if (groups !== undefined) return new Set(wordsOf(groups).filter(isGroup));
  const scopes = wordsOf(scope ?? scp).filter((word) => word.startsWith(SCOPE_PREFIX));
  return new Set(scopes.map((word) => word.slice(SCOPE_PREFIX.length)).filter(isGroup));
}

function wordsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.split(' ');
  return Array.isArray(value) ? value.filter((word): word is string => typeof word === 'string') : [];
}

function invalidToken(reason: string): ServerError {
  return new ServerError('UNAUTHENTICATED', `the bearer token is not valid: ${reason}`, {
    authenticate: 'Bearer realm="slipway", error="invalid_token"',
  });
}

/** In our words: messages of the library quote the token's claims. */
function reasonOf(error: unknown): string {
  const { code, claim } = error as { readonly code?: unknown; readonly claim?: unknown };
  if (code === 'ERR_JWT_CLAIM_VALIDATION_FAILED' && CLAIM_REASONS[String(claim)] !== undefined) {
    return CLAIM_REASONS[String(claim)]!;
  }
  return REASONS[String(code)] ?? 'it cannot be read';
}

const REASONS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'it has expired',
  ERR_JOSE_ALG_NOT_ALLOWED: `it must be signed with one of ${ALGORITHMS.join(', ')}`,
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'its signature is wrong',
  ERR_JWKS_NO_MATCHING_KEY: 'it is signed with a key that is not known',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'it names no key (kid), and several would do',
};

const CLAIM_REASONS: Readonly<Record<string, string>> = Object.assign(Object.create(null) as Record<string, string>, {
  iss: 'it is from another issuer',
  aud: 'it is for another audience',
  nbf: 'its time has not come yet',
  exp: 'it does not say when it expires',
  sub: 'it names no subject',
});
