import { ServerError } from './errors';

export interface Route<H> {
  readonly method: 'GET' | 'POST';
  /** Segments in braces are parameters: `/v2/models/{model}/infer`. */
  readonly path: string;
  readonly handler: H;
}

export interface RouteMatch<H> {
  readonly handler: H;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Finds a route in a closed set. HEAD is answered like GET; Node leaves the body out. */
export class Router<H> {
  private readonly routes: readonly { readonly route: Route<H>; readonly segments: readonly string[] }[];

  constructor(routes: readonly Route<H>[]) {
    this.routes = routes.map((route) => ({ route, segments: route.path.split('/') }));
  }

  /** @throws ServerError PATH_UNKNOWN, METHOD_NOT_ALLOWED with the methods that work, MALFORMED_REQUEST */
  find(method: string, url: string): RouteMatch<H> {
    // A proxy may send the whole URI (RFC 9112, 3.2.2).
    const path = url.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)[0]!;
    const segments = (path.length > 1 ? path.replace(/\/$/, '') : path).split('/');
    const matching = this.routes.flatMap(({ route, segments: pattern }) => {
      const parameters = match(pattern, segments);
      return parameters === undefined ? [] : [{ route, parameters }];
    });
    const asked = method === 'HEAD' ? 'GET' : method;
    const found = matching.find(({ route }) => route.method === asked);
    if (found !== undefined) return { handler: found.route.handler, parameters: decode(found.parameters) };
    if (matching.length === 0) throw new ServerError('PATH_UNKNOWN', 'no such path');
    const allow = matching.map(({ route }) => route.method).join(', ');
    throw new ServerError('METHOD_NOT_ALLOWED', `this path takes ${allow}, got ${method}`, { allow });
  }
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [i, expected] of pattern.entries()) {
    const segment = segments[i]!;
    if (expected.startsWith('{')) parameters[expected.slice(1, -1)] = segment;
    else if (expected !== segment) return undefined;
  }
  return parameters;
}

function decode(parameters: Record<string, string>): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    throw new ServerError('MALFORMED_REQUEST', 'the path must be percent-encoded UTF-8');
  }
}
