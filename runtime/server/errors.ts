import type { Outcome } from '../spec/metric-names';

interface ErrorFacts {
  /** Of HTTP. */
  readonly status: number;
  /** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
  readonly grpcStatus: number;
  readonly outcome: Outcome;
  /** The same request may succeed later: the answer carries Retry-After. */
  readonly retry?: true;
}

/** Every reason why a request is refused, and the one status of HTTP and of gRPC that it becomes. A client's mistake is never a 5xx. */
export const ERRORS = {
  MALFORMED_REQUEST: { status: 400, grpcStatus: 3, outcome: 'client_error' },
  INPUT_INVALID: { status: 400, grpcStatus: 3, outcome: 'client_error' },
  OUTPUT_UNKNOWN: { status: 400, grpcStatus: 3, outcome: 'client_error' },
  RUN_REFUSED: { status: 400, grpcStatus: 3, outcome: 'client_error' },
  // By a client that loads models: the files are at fault, and Triton's clients expect 400.
  LOAD_FAILED: { status: 400, grpcStatus: 9, outcome: 'client_error' },
  UNAUTHENTICATED: { status: 401, grpcStatus: 16, outcome: 'client_error' },
  FORBIDDEN: { status: 403, grpcStatus: 7, outcome: 'client_error' },
  PATH_UNKNOWN: { status: 404, grpcStatus: 12, outcome: 'client_error' },
  MODEL_UNKNOWN: { status: 404, grpcStatus: 5, outcome: 'client_error' },
  METHOD_NOT_ALLOWED: { status: 405, grpcStatus: 12, outcome: 'client_error' },
  BODY_TOO_SLOW: { status: 408, grpcStatus: 4, outcome: 'client_error' },
  MODEL_EXISTS: { status: 409, grpcStatus: 6, outcome: 'client_error' },
  BODY_TOO_LARGE: { status: 413, grpcStatus: 8, outcome: 'client_error' },
  CONTENT_ENCODING: { status: 415, grpcStatus: 12, outcome: 'client_error' },
  MEDIA_TYPE: { status: 415, grpcStatus: 12, outcome: 'client_error' },
  HEADERS_TOO_LARGE: { status: 431, grpcStatus: 8, outcome: 'client_error' },
  QUEUE_FULL: { status: 429, grpcStatus: 8, outcome: 'queue_full', retry: true },
  BODY_MEMORY_FULL: { status: 429, grpcStatus: 8, outcome: 'queue_full', retry: true },
  // Nobody reads this answer; 499 is what logs of proxies call a client that went away.
  CLIENT_GONE: { status: 499, grpcStatus: 1, outcome: 'cancelled' },
  // A model's own hooks, not the client: a hook that finds the request at fault declines it instead.
  HOOK_FAILED: { status: 500, grpcStatus: 13, outcome: 'error' },
  RUN_FAILED: { status: 500, grpcStatus: 13, outcome: 'error' },
  INTERNAL: { status: 500, grpcStatus: 13, outcome: 'error' },
  // What a protocol has and this server has not; the only 5xx that asking again does not change.
  NOT_IMPLEMENTED: { status: 501, grpcStatus: 12, outcome: 'client_error' },
  // The request may have been what ended the executor: it is the client's decision to send it again.
  EXECUTOR_LOST: { status: 503, grpcStatus: 14, outcome: 'error', retry: true },
  MODEL_NOT_READY: { status: 503, grpcStatus: 14, outcome: 'unavailable', retry: true },
  AUTHENTICATION_UNAVAILABLE: { status: 503, grpcStatus: 14, outcome: 'unavailable', retry: true },
  DRAINING: { status: 503, grpcStatus: 14, outcome: 'unavailable', retry: true },
  // By a client that loads models, as SageMaker wants it: it unloads another one and asks again.
  MODEL_MEMORY: { status: 507, grpcStatus: 8, outcome: 'unavailable' },
  DEADLINE: { status: 504, grpcStatus: 4, outcome: 'deadline' },
} as const satisfies Record<string, ErrorFacts>;

export type ErrorCode = keyof typeof ERRORS;

/** A request that gets no answer of the model. The message goes to the client. */
export class ServerError extends Error {
  readonly status: number;
  readonly grpcStatus: number;
  readonly outcome: Outcome;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { readonly retryAfterSeconds?: number; readonly allow?: string; readonly authenticate?: string } = {},
  ) {
    super(message);
    this.name = 'ServerError';
    const facts: ErrorFacts = ERRORS[code];
    this.status = facts.status;
    this.grpcStatus = facts.grpcStatus;
    this.outcome = facts.outcome;
    this.headers = {
      ...(facts.retry ? { 'Retry-After': String(options.retryAfterSeconds ?? 1) } : {}),
      ...(options.allow === undefined ? {} : { Allow: options.allow }),
      ...(options.authenticate === undefined ? {} : { 'WWW-Authenticate': options.authenticate }),
    };
  }
}

/** What the client is told about an error; anything that is not a `ServerError` is our defect. */
export function toServerError(error: unknown): ServerError {
  return error instanceof ServerError
    ? error
    : new ServerError('INTERNAL', 'internal error, see the log of the server');
}

export type StartupErrorCode =
  | 'PORT_UNAVAILABLE'
  | 'NO_MODEL'
  | 'MODEL_REPOSITORY_UNREADABLE'
  | 'NO_DISK_SPACE'
  | 'CACHE_UNUSABLE'
  | 'STARTUP_BUDGET'
  | 'SIGNING_KEYS_UNREADABLE';

/** A reason for the whole process to end: one line for the operator, exit status 1. */
export class StartupError extends Error {
  constructor(
    readonly code: StartupErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'StartupError';
  }
}
