import type { Exchange } from './exchange';
import type { InferCall } from './infer-call';
import type { RequestTrace, Tracing } from './tracing';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);
const MAX_PATH = 256;

/**
 * Begins the trace of a request over HTTP and tells the client which it is. Names of attributes:
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 */
export function traceExchange(tracing: Tracing, exchange: Exchange): void {
  const { request, path, startedAt, requestId } = exchange;
  const method = METHODS.has(request.method ?? '') ? request.method! : '_OTHER';
  const trace = tracing.begin({
    header: (name) => exchange.header(name),
    startedAt,
    name: method === '_OTHER' ? 'HTTP' : method,
    attributes: {
      'http.request.method': method,
      'url.path': path.slice(0, MAX_PATH),
      'url.scheme': exchange.isPlaintext ? 'http' : 'https',
      'network.protocol.version': request.httpVersion,
      'slipway.request.id': requestId,
    },
  });
  for (const [name, value] of Object.entries(trace.headers)) exchange.setHeader(name, value);
  exchange.trace = trace;
}

/** Says which route was found. */
export function traceRoute({ trace, request }: Exchange, route: string): void {
  trace?.annotate({ 'http.route': route }, `${request.method} ${route}`);
}

export function endTrace({ trace, status }: Exchange): void {
  const error = status >= 500 ? String(status) : undefined;
  trace?.end({
    attributes: { 'http.response.status_code': status, ...(error === undefined ? {} : { 'error.type': error }) },
    error,
  });
}

/** A batch that was run, with times on the clock of `performance.now()`. */
export interface TracedBatch {
  readonly begunAt: number;
  readonly rows: number;
  readonly calls: readonly { readonly call: InferCall }[];
}

/** Adds the run of a batch to the traces of its requests, each with links to the others. Costs nothing where none has one. */
export function traceRun({ begunAt, rows, calls }: TracedBatch, endedAt: number): void {
  let requests: RequestTrace[] | undefined;
  for (const { call } of calls) if (call.trace !== undefined) (requests ??= []).push(call.trace);
  if (requests === undefined) return;
  const attributes = { 'slipway.batch.rows': rows, 'slipway.batch.requests': calls.length };
  for (const request of requests) request.ran({ startedAt: begunAt, endedAt, attributes, requests });
}
