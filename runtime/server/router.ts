import { ServerError } from './errors';

/** Who may call a route where callers are asked who they are: anybody, or those of a group. */
export type RouteGroup = 'public' | 'infer' | 'metadata' | 'admin';

export type Method = 'GET' | 'POST' | 'DELETE';

export interface Route<H> {
  readonly method: Method;
  /**
   * Segments in braces are parameters: `/v2/models/{model}/infer`. A pattern matches the whole path as it was sent, and its
   * named groups are the parameters.
   */
  readonly path: string | RegExp;
  readonly group: RouteGroup;
  readonly handler: H;
}

export interface RouteMatch<H> {
  readonly handler: H;
  readonly group: RouteGroup;
  /** The route's own path, of a closed set: no word of a client is in it. */
  readonly route: string;
  readonly parameters: Readonly<Record<string, string>>;
}

type Parameters = Readonly<Record<string, string>>;

/** URLs whose routes are remembered: clients ask for the same few again and again. */
const REMEMBERED = 1_000;

/** Finds a route in a closed set. HEAD is answered like GET; Node leaves the body out. */
export class Router<H> {
  private readonly routes: readonly {
    readonly route: Route<H>;
    readonly match: (path: string) => Parameters | undefined;
  }[];
  private readonly remembered = new Map<string, Map<string, RouteMatch<H>>>();
  private size = 0;

  constructor(routes: readonly Route<H>[]) {
    this.routes = routes.map((route) => ({
      route,
      match: typeof route.path === 'string' ? segmentMatcher(route.path) : patternMatcher(route.path),
    }));
  }

  /** @throws ServerError PATH_UNKNOWN, METHOD_NOT_ALLOWED with the methods that work, MALFORMED_REQUEST */
  find(method: string, url: string): RouteMatch<H> {
    const known = this.remembered.get(method)?.get(url);
    if (known !== undefined) return known;
    const found = this.search(method, url);
    this.remember(method, url, found);
    return found;
  }

  private search(method: string, url: string): RouteMatch<H> {
    // A proxy may send the whole URI (RFC 9112, 3.2.2).
    const path = url.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)[0]!;
    const trimmed = path.length > 1 ? path.replace(/\/$/, '') : path;
    const matching = this.routes.flatMap(({ route, match }) => {
      const parameters = match(trimmed);
      return parameters === undefined ? [] : [{ route, parameters }];
    });
    const asked = method === 'HEAD' ? 'GET' : method;
    const found = matching.find(({ route }) => route.method === asked);
    if (found !== undefined) {
      const { handler, group, path: route } = found.route;
      return {
        handler,
        group,
        route: typeof route === 'string' ? route : route.source,
        parameters: decode(found.parameters),
      };
    }
    if (matching.length === 0) throw new ServerError('PATH_UNKNOWN', 'no such path');
    const allow = [...new Set(matching.map(({ route }) => route.method))].join(', ');
    throw new ServerError('METHOD_NOT_ALLOWED', `this path takes ${allow}, got ${method}`, { allow });
  }

  private remember(method: string, url: string, found: RouteMatch<H>): void {
    if (this.size >= REMEMBERED) {
      this.remembered.clear();
      this.size = 0;
    }
    const byUrl = this.remembered.get(method) ?? new Map<string, RouteMatch<H>>();
    byUrl.set(url, found);
    this.remembered.set(method, byUrl);
    this.size += 1;
  }
}

function segmentMatcher(pattern: string): (path: string) => Parameters | undefined {
  const expected = pattern.split('/');
  return (path) => {
    const segments = path.split('/');
    if (segments.length !== expected.length) return undefined;
    const parameters: Record<string, string> = {};
    for (const [i, name] of expected.entries()) {
      if (name.startsWith('{')) parameters[name.slice(1, -1)] = segments[i]!;
      else if (name !== segments[i]) return undefined;
    }
    return parameters;
  };
}

function patternMatcher(pattern: RegExp): (path: string) => Parameters | undefined {
  return (path) => {
    const match = pattern.exec(path);
    if (match === null) return undefined;
    return Object.fromEntries(Object.entries(match.groups ?? {}).filter(([, value]) => value !== undefined));
  };
}

function decode(parameters: Parameters): Parameters {
  try {
    return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    throw new ServerError('MALFORMED_REQUEST', 'the path must be percent-encoded UTF-8');
  }
}
