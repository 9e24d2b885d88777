import { isLoopback } from '../../sources/http-request';
import { registryLogin } from './oci-credentials';
import { patiently } from './patiently';

/** What a registry answered that is no success, and that its caller has not asked for. */
export class RegistryError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface RegistryRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Statuses beside the successful ones that are answers, too. @default - none */
  readonly accepted?: readonly number[];
}

const TIMEOUT_MS = 300_000;

/**
 * One repository of a registry, by the distribution specification's API
 * (https://github.com/opencontainers/distribution-spec/blob/main/spec.md), as whoever `docker login` knows. Plain HTTP for
 * registries of this machine alone.
 */
export class OciRegistry {
  private authorization: string | undefined;
  private readonly origin: URL;

  constructor(
    readonly host: string,
    readonly repository: string,
  ) {
    const plain = new URL(`http://${host}`);
    this.origin = isLoopback(plain) ? plain : new URL(`https://${host}`);
  }

  /** @param where a path below `/v2/<repository>/`, or an address that the registry gave */
  ask(where: string | URL, request: RegistryRequest = {}): Promise<Response> {
    const url = where instanceof URL ? where : new URL(`/v2/${this.repository}/${where}`, this.origin);
    return patiently(() => this.once(url, request), isWorthAnother);
  }

  /** An address from a `Location` header, relative or not. */
  locate(location: string | null): URL {
    return new URL(location ?? '', this.origin);
  }

  private async once(url: URL, request: RegistryRequest): Promise<Response> {
    let response = await this.send(url, request);
    if (response.status === 401 && url.origin === this.origin.origin) {
      await response.body?.cancel();
      this.authorization = await this.authorize(response.headers.get('www-authenticate') ?? '');
      response = await this.send(url, request);
    }
    if (response.ok || request.accepted?.includes(response.status) === true) return response;
    const text = (await response.text()).slice(0, 300).replace(/\s+/g, ' ');
    const said = /"message":\s*"([^"]*)"/.exec(text)?.[1] ?? text;
    throw new RegistryError(
      response.status,
      `the registry answers ${response.status} to ${request.method ?? 'GET'} ${url.pathname}: ${said}`,
    );
  }

  private async send(url: URL, { method = 'GET', headers = {}, body }: RegistryRequest): Promise<Response> {
    // What a registry sends us to, a bucket say, has no need of its token.
    const isOurs = url.origin === this.origin.origin;
    try {
      return await fetch(url, {
        method,
        headers: {
          ...headers,
          ...(isOurs && this.authorization !== undefined ? { Authorization: this.authorization } : {}),
        },
        ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      const { cause, message } = error as Error & { cause?: Error };
      throw new RegistryError(0, cause?.message || message);
    }
  }

  /** A token for this repository alone, or the login itself where the registry takes no tokens. */
  private async authorize(challenge: string): Promise<string> {
    const login = await registryLogin(this.host);
    const basic = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
    if (!/^bearer /i.test(challenge)) {
      if (basic !== undefined) return basic;
      throw new RegistryError(401, `the registry asks who we are: docker login ${this.host}`);
    }
    const field = (name: string): string | undefined => new RegExp(`${name}="([^"]*)"`, 'i').exec(challenge)?.[1];
    const realm = new URL(field('realm') ?? '');
    if (realm.protocol !== 'https:' && !isLoopback(realm)) {
      throw new RegistryError(401, `the registry would have us log in unencrypted, at ${realm.origin}`);
    }
    const scope = `repository:${this.repository}:pull,push`;
    const query = { service: field('service') ?? '', scope };
    const isToken = login?.username === '<token>';
    const response = isToken
      ? await fetch(realm, {
          method: 'POST',
          body: new URLSearchParams({
            ...query,
            grant_type: 'refresh_token',
            refresh_token: login.password,
            client_id: 'slipway',
          }),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        })
      : await fetch(`${realm.href}?${new URLSearchParams(query).toString()}`, {
          headers: basic === undefined ? {} : { Authorization: basic },
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
    if (!response.ok) {
      throw new RegistryError(401, `the registry lets us not in (${response.status}): docker login ${this.host}`);
    }
    const { token, access_token } = (await response.json()) as {
      readonly token?: string;
      readonly access_token?: string;
    };
    return `Bearer ${token ?? access_token ?? ''}`;
  }
}

function isWorthAnother(error: unknown): boolean {
  return error instanceof RegistryError && (error.status === 0 || error.status >= 500 || error.status === 429);
}
