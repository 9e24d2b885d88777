import type { Tracing } from '../tracing';
import type { GrpcCall } from './grpc-call';

/** UNKNOWN, INTERNAL, UNAVAILABLE: what the server is to blame for, as 5xx are. */
const SERVER_FAULTS: ReadonlySet<number | undefined> = new Set([2, 13, 14]);

export function isServerFault(status: number | undefined): boolean {
  return SERVER_FAULTS.has(status);
}

/**
 * Begins the trace of a call of a known method. Names of attributes:
 * https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
 */
export function traceCall(tracing: Tracing, call: GrpcCall): void {
  const [service = '', method = ''] = call.path.slice(1).split('/');
  call.trace = tracing.begin({
    header: (name) => call.header(name),
    startedAt: call.startedAt,
    name: `${service}/${method}`,
    attributes: {
      'rpc.system': 'grpc',
      'rpc.service': service,
      'rpc.method': method,
      'slipway.request.id': call.requestId,
    },
  });
}

export function endCallTrace({ trace, status }: GrpcCall): void {
  // A client that went away first is told of as gRPC does: CANCELLED.
  const code = status ?? 1;
  const error = isServerFault(code) ? String(code) : undefined;
  trace?.end({
    attributes: { 'rpc.grpc.status_code': code, ...(error === undefined ? {} : { 'error.type': error }) },
    error,
  });
}
