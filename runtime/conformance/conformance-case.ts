import type { GrpcClient } from './grpc-client';
import type { HttpAnswer, HttpClient } from './http-client';

/**
 * Whose rule a case holds a server to: the Open Inference Protocol's (or TensorFlow Serving's, for its paths), what Triton
 * does where the protocol is silent and clients count on it, or a promise of Slipway's own.
 */
export type CaseKind = 'spec' | 'Triton behaviour' | 'ours';

/** What a case is about: servers may leave out whole areas and say so. */
export type CaseArea =
  'health' | 'metadata' | 'json' | 'binary' | 'grpc' | 'extensions' | 'tensorflow-serving' | 'kserve-v1';

/** A server under test. */
export interface Subject {
  readonly http: HttpClient;
  /** undefined where no gRPC port was named. */
  readonly grpc: GrpcClient | undefined;
}

/** One fact about a server that can be seen from outside. */
export interface ConformanceCase {
  /** Stable: a report names it. */
  readonly id: string;
  readonly area: CaseArea;
  readonly kind: CaseKind;
  /** Document and section that the fact comes from. */
  readonly source: string;
  readonly title: string;
  /** @throws ConformanceFailure with what was expected and what came. */
  readonly run: (subject: Subject) => Promise<void>;
}

export class ConformanceFailure extends Error {
  override readonly name = 'ConformanceFailure';
}

/** Where facts come from, by their short names. */
export const SOURCES = {
  rest: 'Open Inference Protocol, inference_rest.md',
  grpc: 'Open Inference Protocol, open_inference_grpc.proto',
  binary: 'Triton, protocol/extension_binary_data.md',
  classification: 'Triton, protocol/extension_classification.md',
  configuration: 'Triton, protocol/extension_model_configuration.md',
  repository: 'Triton, protocol/extension_model_repository.md',
  statistics: 'Triton, protocol/extension_statistics.md',
  health: 'gRPC Health Checking Protocol',
  grpcHttp2: 'gRPC over HTTP2, PROTOCOL-HTTP2.md',
  tfs: 'TensorFlow Serving, RESTful API (api_rest.md)',
  kserve: 'KServe, Data Plane V1',
  slipway: 'Slipway, docs/architecture.md',
} as const;

export function assert(holds: boolean, message: string): asserts holds {
  if (!holds) throw new ConformanceFailure(message);
}

/** Compares as JSON: the order of keys aside, two equal values have equal texts. */
export function assertEqual(got: unknown, expected: unknown, what: string): void {
  const [gotText, expectedText] = [canonical(got), canonical(expected)];
  assert(gotText === expectedText, `${what}: expected ${shorten(expectedText)}, got ${shorten(gotText)}`);
}

export function assertStatus(answer: HttpAnswer, ...statuses: readonly number[]): void {
  assert(
    statuses.includes(answer.status),
    `expected status ${statuses.join(' or ')}, got ${answer.status}: ${shorten(answer.body.toString('utf8'))}`,
  );
}

/** A refusal of the client's request: 4xx, with the reason as JSON. */
export function assertRefused(answer: HttpAnswer, ...statuses: readonly number[]): void {
  assertStatus(answer, ...(statuses.length === 0 ? [400] : statuses));
  const { error } = answer.json() as { error?: unknown };
  assert(
    typeof error === 'string' && error.length > 0,
    `expected {"error": text}, got ${shorten(answer.body.toString())}`,
  );
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return `${part}n`;
    if (typeof part === 'number' && !Number.isFinite(part)) return String(part);
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function shorten(text: string | undefined): string {
  const shown = text ?? 'nothing';
  return shown.length > 300 ? `${shown.slice(0, 300)}…` : shown;
}
