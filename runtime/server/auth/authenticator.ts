import type { Logger } from 'pino';
import type { ServerSettings } from '../../spec/environment';
import type { UnauthorizedReason } from '../../spec/metric-names';
import { ServerError } from '../errors';
import type { RouteGroup } from '../router';
import { WatchedFiles } from '../watched-files';
import { ApiKeys, apiKeyFile } from './api-keys';
import { BearerTokens } from './bearer-tokens';
import { ANONYMOUS, MAX_NAME_LENGTH, mayCall, type Principal } from './principal';

/** What came with a request, whichever protocol it came by. */
export interface Credentials {
  /** A header's value by its name in lower case; metadata of gRPC the same. */
  header(name: string): string | undefined;
  /** The common name of the client certificate that was proven; undefined without one. */
  readonly certificateName?: string | undefined;
  /** Of a port that is plain by design, such as the admin port of this machine: no certificate can come. @default false */
  readonly isPlaintext?: boolean;
}

export interface AuthenticatorOptions {
  readonly settings: Pick<
    ServerSettings,
    'apiKeys' | 'jwtJwks' | 'jwtIssuer' | 'jwtAudience' | 'tlsClientCa' | 'tenantHeader'
  >;
  readonly log: Logger;
  readonly onRefused: (reason: UnauthorizedReason) => void;
  /** How often files are looked at. @default 5,000 */
  readonly pollMs?: number;
}

const BEARER = /^bearer +(\S+)$/i;
const CHALLENGE = 'Bearer realm="slipway"';

/**
 * Decides who may call what, before a body is read. Nobody is asked unless keys, tokens or client certificates are
 * configured; where several are, a certificate comes on top of a key or token.
 */
export class Authenticator {
  private keys: ApiKeys | undefined;
  private readonly tokens: BearerTokens | undefined;
  private readonly asksForCertificate: boolean;
  private readonly tenantHeader: string;
  private watched: WatchedFiles | undefined;

  /** @throws SpecError ENVIRONMENT_INVALID */
  constructor(private readonly options: AuthenticatorOptions) {
    const { apiKeys, jwtJwks, jwtIssuer, jwtAudience, tlsClientCa } = options.settings;
    this.keys = apiKeys === undefined ? undefined : ApiKeys.read(apiKeys);
    const onFailure = (reason: string): void => options.log.error({ reason }, 'the key set cannot be had');
    this.tokens =
      jwtJwks === undefined
        ? undefined
        : new BearerTokens({ jwks: jwtJwks, issuer: jwtIssuer, audience: jwtAudience, onFailure });
    this.asksForCertificate = tlsClientCa !== undefined;
    this.tenantHeader = options.settings.tenantHeader.toLowerCase();
  }

  /** Whether callers are asked for anything. */
  get isOn(): boolean {
    return this.keys !== undefined || this.tokens !== undefined || this.asksForCertificate;
  }

  /** Reads keys again when their file changes. */
  async watch(): Promise<void> {
    const { settings, log, pollMs } = this.options;
    const file = settings.apiKeys === undefined ? undefined : apiKeyFile(settings.apiKeys);
    if (file === undefined) return;
    const reload = (): void => {
      this.keys = ApiKeys.read(settings.apiKeys!);
    };
    this.watched = await WatchedFiles.start({ paths: [file], reload, log, pollMs });
  }

  close(): void {
    this.watched?.stop();
  }

  /**
   * Who calls. Answers at once but for a token that did not come before.
   * @throws ServerError UNAUTHENTICATED, FORBIDDEN, AUTHENTICATION_UNAVAILABLE
   */
  check(credentials: Credentials, group: RouteGroup): Principal | Promise<Principal> {
    if (group === 'public') return ANONYMOUS;
    if (!this.isOn) return this.tenantOf(credentials);
    try {
      const principal = this.identify(credentials);
      if (principal instanceof Promise) return this.letInLater(principal, group);
      return letIn(principal, group);
    } catch (error) {
      throw this.counted(error);
    }
  }

  private async letInLater(principal: Promise<Principal>, group: RouteGroup): Promise<Principal> {
    try {
      return letIn(await principal, group);
    } catch (error) {
      throw this.counted(error);
    }
  }

  private identify(credentials: Credentials): Principal | Promise<Principal> {
    const { certificateName } = credentials;
    if (this.asksForCertificate && certificateName === undefined && credentials.isPlaintext !== true) {
      throw new Missing('a client certificate');
    }
    if (this.keys === undefined && this.tokens === undefined) {
      return certificateName === undefined ? this.tenantOf(credentials) : certified(certificateName);
    }
    const secret = credentials.header('x-api-key') ?? BEARER.exec(credentials.header('authorization') ?? '')?.[1];
    if (secret === undefined) throw new Missing(this.wanted);
    const byKey = this.keys?.find(secret);
    if (byKey !== undefined) return byKey;
    if (this.tokens !== undefined && secret.split('.').length === 3) return this.tokens.check(secret);
    throw new ServerError('UNAUTHENTICATED', `${this.wanted} is needed, and what came is none that is known`, {
      authenticate: `${CHALLENGE}, error="invalid_token"`,
    });
  }

  private get wanted(): string {
    const key = 'an API key (Authorization: Bearer, or X-API-Key)';
    const token = 'a bearer token';
    if (this.tokens === undefined) return key;
    return this.keys === undefined ? token : `${key} or ${token}`;
  }

  /** Without keys, a caller is believed who it says it is: for a fair share, not for rights. */
  private tenantOf(credentials: Credentials): Principal {
    const tenant = credentials.header(this.tenantHeader);
    return tenant === undefined ? ANONYMOUS : { ...ANONYMOUS, tenant: tenant.slice(0, MAX_NAME_LENGTH) };
  }

  private counted(error: unknown): unknown {
    if (error instanceof ServerError) {
      this.options.onRefused(error instanceof Missing ? 'missing' : (REASONS[error.code] ?? 'refused'));
    }
    return error;
  }
}

class Missing extends ServerError {
  constructor(wanted: string) {
    super('UNAUTHENTICATED', `${wanted} is needed, and none came`, { authenticate: CHALLENGE });
  }
}

const REASONS: Readonly<Partial<Record<ServerError['code'], UnauthorizedReason>>> = {
  FORBIDDEN: 'forbidden',
  AUTHENTICATION_UNAVAILABLE: 'unavailable',
};

function letIn(principal: Principal, group: RouteGroup): Principal {
  if (mayCall(principal, group)) return principal;
  throw new ServerError('FORBIDDEN', `the caller is not in the group '${group}', which this needs`, {
    authenticate: `${CHALLENGE}, error="insufficient_scope"`,
  });
}

/** Where certificates alone let callers in, they let them in to everything but the admin calls. */
function certified(name: string): Principal {
  const bounded = name.slice(0, MAX_NAME_LENGTH);
  return { name: bounded, tenant: bounded, groups: new Set(['infer', 'metadata']) };
}
