import type { Attributes, Context, HrTime, Link, Span, SpanContext } from '@opentelemetry/api';
import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import { version as serverVersion } from '../../package.json';
import { ENVIRONMENT, type ServerSettings } from '../spec/environment';
import { SpecError } from '../spec/errors';

export type TracingSettings = Pick<
  ServerSettings,
  'tracesEndpoint' | 'tracesPlaintext' | 'tracesSampleRatio' | 'serviceName' | 'clusterName'
>;

/** What is known of a request when it comes. */
export interface TracedRequest {
  header(name: string): string | undefined;
  /** On the clock of `performance.now()`, in milliseconds; so are all times here. */
  readonly startedAt: number;
  readonly name: string;
  readonly attributes: Attributes;
}

/** One run of a batch. */
export interface TracedRun {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Attributes;
  /** The traced requests of the batch, this one among them. */
  readonly requests: readonly RequestTrace[];
}

/** How a request ended. */
export interface TracedAnswer {
  readonly attributes: Attributes;
  /** Set when the server is to blame: its kind, not its message. */
  readonly error?: string;
}

/** The span of one request and those below it. Nothing is written before they end. */
export interface RequestTrace {
  readonly context: SpanContext;
  /** Whether spans are kept; what is not kept costs next to nothing. */
  readonly isRecording: boolean;
  /** Headers that tell the caller, or whoever comes next, which trace this is. */
  readonly headers: Readonly<Record<string, string>>;
  /** What becomes known on the way. @param name Of a closed set. @default - the name it has */
  annotate(attributes: Attributes, name?: string): void;
  queued(startedAt: number, endedAt: number): void;
  ran(run: TracedRun): void;
  end(answer: TracedAnswer): void;
}

export interface Tracing {
  begin(request: TracedRequest): RequestTrace;
  /** Sends what waits to be sent, for two seconds at most. */
  close(): Promise<void>;
}

const FLUSH_MS = 2_000;
const EXPORT_MS = 10_000;
const EXPORT_EVERY_MS = 1_000;
/** More are dropped: the server never waits for a collector. */
const MAX_QUEUED_SPANS = 8_192;
const MAX_LINKS = 128;
const MAX_TEXT = 256;
const ERROR_LOG_MS = 60_000;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MAX_TRACESTATE = 512;

/**
 * Sends traces by OTLP over HTTP. Without an endpoint nothing of OpenTelemetry is loaded.
 * @returns undefined when no endpoint is configured.
 * @throws SpecError ENVIRONMENT_INVALID
 */
export async function startTracing(settings: TracingSettings, log: Logger): Promise<Tracing | undefined> {
  const { tracesEndpoint: url, tracesPlaintext, tracesSampleRatio, serviceName, clusterName } = settings;
  if (url === undefined) return undefined;
  assertEndpoint(url, tracesPlaintext);
  const [api, core, sdk, { resourceFromAttributes }, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  core.setGlobalErrorHandler(
    atMostOften(ERROR_LOG_MS, (error) => log.warn({ reason: textOf(error) }, 'traces cannot be sent')),
  );
  const provider = new sdk.BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.name': serviceName,
      'service.namespace': clusterName,
      'service.version': serverVersion,
    }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(tracesSampleRatio) }),
    spanLimits: { attributeValueLengthLimit: MAX_TEXT, linkCountLimit: MAX_LINKS },
    spanProcessors: [
      new sdk.BatchSpanProcessor(new OTLPTraceExporter({ url, timeoutMillis: EXPORT_MS }), {
        scheduledDelayMillis: EXPORT_EVERY_MS,
        exportTimeoutMillis: EXPORT_MS,
        maxQueueSize: MAX_QUEUED_SPANS,
      }),
    ],
  });
  const tracer = provider.getTracer('slipway', serverVersion);
  log.info({ endpoint: new URL(url).origin, sampleRatio: tracesSampleRatio }, 'sending traces');

  const parentOf = (request: TracedRequest): Context => {
    const context = parseTraceparent(request.header('traceparent'));
    if (context === undefined) return api.ROOT_CONTEXT;
    const state = request.header('tracestate');
    const traceState = state === undefined || state.length > MAX_TRACESTATE ? undefined : api.createTraceState(state);
    return api.trace.setSpanContext(api.ROOT_CONTEXT, { ...context, isRemote: true, traceState });
  };
  return {
    begin: (request) => {
      const { name, attributes, startedAt } = request;
      const options = { kind: api.SpanKind.SERVER, attributes, startTime: timeOf(startedAt) };
      const span = tracer.startSpan(name, options, parentOf(request));
      const below = api.trace.setSpan(api.ROOT_CONTEXT, span);
      const child = (what: string, from: number, to: number, more: { attributes?: Attributes; links?: Link[] }): void =>
        tracer.startSpan(what, { ...more, startTime: timeOf(from) }, below).end(timeOf(to));
      return new OneRequestTrace(span, child, api.SpanStatusCode.ERROR);
    },
    close: async () => {
      const late = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_MS).unref());
      await Promise.race([provider.shutdown().catch(() => {}), late]);
    },
  };
}

type AddChild = (name: string, from: number, to: number, more: { attributes?: Attributes; links?: Link[] }) => void;

class OneRequestTrace implements RequestTrace {
  readonly context: SpanContext;
  readonly isRecording: boolean;

  constructor(
    private readonly span: Span,
    private readonly addChild: AddChild,
    private readonly errorStatus: number,
  ) {
    this.context = span.spanContext();
    this.isRecording = span.isRecording();
  }

  get headers(): Readonly<Record<string, string>> {
    const { traceId, spanId, traceFlags, traceState } = this.context;
    const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
    return traceState === undefined ? { traceparent } : { traceparent, tracestate: traceState.serialize() };
  }

  annotate(attributes: Attributes, name?: string): void {
    this.span.setAttributes(attributes);
    if (name !== undefined) this.span.updateName(name);
  }

  queued(startedAt: number, endedAt: number): void {
    if (this.isRecording) this.addChild('queue', startedAt, endedAt, {});
  }

  ran({ startedAt, endedAt, attributes, requests }: TracedRun): void {
    if (!this.isRecording) return;
    const others = requests.filter((request) => request !== this).slice(0, MAX_LINKS);
    const links = others.map(({ context }) => ({ context }));
    this.addChild('run', startedAt, endedAt, { attributes, links });
  }

  end({ attributes, error }: TracedAnswer): void {
    this.span.setAttributes(attributes);
    if (error !== undefined) this.span.setStatus({ code: this.errorStatus, message: error });
    this.span.end(timeOf(performance.now()));
  }
}

/** Plain HTTP carries names of models and of callers, so it stays on this machine unless it is allowed by name. */
function assertEndpoint(endpoint: string, plaintext: boolean): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isLoopback = url !== undefined && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && (isLoopback || plaintext))) return;
  const { variable } = ENVIRONMENT.tracesEndpoint;
  const open = ENVIRONMENT.tracesPlaintext.variable;
  throw new SpecError(
    'ENVIRONMENT_INVALID',
    variable,
    `must be an https:// URL, or http:// of this machine, or any http:// URL with ${open}=true`,
  );
}

/** https://www.w3.org/TR/trace-context/#traceparent-header; anything else begins a trace of its own. */
function parseTraceparent(header: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags, rest] = TRACEPARENT.exec(header ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const version = header!.slice(0, 2);
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  return { traceId, spanId, traceFlags: parseInt(flags!, 16) & 1 };
}

function timeOf(ms: number): HrTime {
  const sinceEpoch = performance.timeOrigin + ms;
  const seconds = Math.floor(sinceEpoch / 1_000);
  return [seconds, Math.round((sinceEpoch - seconds * 1_000) * 1e6)];
}

function atMostOften(everyMs: number, call: (error: unknown) => void): (error: unknown) => void {
  let calledAt = -Infinity;
  return (error) => {
    if (performance.now() - calledAt < everyMs) return;
    calledAt = performance.now();
    call(error);
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
