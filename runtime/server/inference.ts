import { performance } from 'node:perf_hooks';
import type { Protocol } from '../spec/metric-names';
import { largestBody } from './body-limit';
import type { BodyMemory } from './body-memory';
import type { Cancellation } from './cancellation';
import type { Codec, DecodedRequest, ModelSelector } from './codec';
import { compressAnswer, inflateBody, parseContentEncoding } from './content-encoding';
import { Deadlines, type Deadline } from './deadlines';
import { ServerError, toServerError } from './errors';
import type { Exchange } from './exchange';
import type { InferTarget } from './infer-request';
import type { Metrics } from './metrics';
import type { Lease } from './repository/registered-model';
import { readBody } from './request-body';
import type { Servable } from './servable';
import type { ServedModels } from './served-models';
import type { RequestTrace } from './tracing';

export interface InferenceOptions {
  readonly models: () => ServedModels;
  readonly metrics: Metrics;
  readonly requestDeadlineSeconds: number;
  readonly maxBodyBytes: number;
  readonly bodyMemory: BodyMemory;
}

/** A request of any protocol. */
export interface RunRequest<A> {
  readonly selector: ModelSelector;
  readonly protocol: Protocol;
  /** On the clock of `performance.now()`, in milliseconds. */
  readonly startedAt: number;
  /** How long the client waits, when it said so; never longer than the server's own deadline. */
  readonly timeoutMs?: number;
  readonly cancellation: Cancellation;
  readonly tenant: string;
  /** @default - none */
  readonly trace?: RequestTrace | undefined;
  /** Reads and checks the request. What can be refused without its body is refused before this is called. */
  readonly decode: (target: InferTarget) => DecodedRequest<A> | Promise<DecodedRequest<A>>;
}

/** Answers inference requests of every protocol: finds the model, holds the deadline, runs, counts. */
export class Inference {
  private readonly deadlines = new Deadlines();

  constructor(private readonly options: InferenceOptions) {}

  get maxBodyBytes(): number {
    return this.options.maxBodyBytes;
  }

  get bodyMemory(): BodyMemory {
    return this.options.bodyMemory;
  }

  /** Answers a request that came over HTTP. */
  async answer(exchange: Exchange, selector: ModelSelector, codec: Codec): Promise<void> {
    const { protocol } = codec;
    const { startedAt } = exchange;
    const answer = await this.run({
      selector,
      protocol,
      startedAt,
      timeoutMs: this.prepare(protocol, startedAt, () => parseTimeout(exchange.header('x-request-timeout'))),
      cancellation: exchange.cancellation,
      tenant: exchange.tenant,
      trace: exchange.trace,
      decode: async (target) => codec.decode(await this.readBody(exchange, codec, target), target, exchange),
    });
    const compressed = compressAnswer(answer, exchange.header('accept-encoding'));
    const { headers, parts } = compressed === undefined ? answer : await compressed;
    exchange.send(200, headers, parts);
  }

  /** @throws ServerError; the metrics have counted it. */
  async run<A>(request: RunRequest<A>): Promise<A> {
    const { metrics } = this.options;
    const { cancellation, startedAt, protocol } = request;
    const deadline = this.deadlineOf(request);
    this.deadlines.add(deadline);
    let lease: Lease | undefined;
    let model: Servable | undefined;
    try {
      const acquired = this.options.models().acquire(request.selector, cancellation);
      lease = acquired instanceof Promise ? await acquired : acquired;
      model = lease.model;
      model.statistics.lastInferenceMs = Date.now();
      const answer = await this.infer(model, request, deadline.at);
      const seconds = (performance.now() - startedAt) / 1_000;
      model.statistics.success.add(seconds);
      metrics.answered(model, protocol, 'ok', seconds);
      return answer;
    } catch (error) {
      // Whatever failed on the way of a request that was cancelled, failed for that reason.
      const reason = error instanceof ServerError ? error : (cancellation.reason ?? error);
      const seconds = (performance.now() - startedAt) / 1_000;
      const { outcome } = toServerError(reason);
      model?.statistics.failed(seconds, outcome);
      metrics.answered(model, protocol, outcome, seconds);
      throw reason;
    } finally {
      lease?.release();
      this.deadlines.remove(deadline);
    }
  }

  /** Does what comes before `run`: a request that is refused there is counted, too. */
  prepare<T>(protocol: Protocol, startedAt: number, step: () => T): T {
    try {
      return step();
    } catch (error) {
      this.countRefused(protocol, startedAt, error);
      throw error;
    }
  }

  /** Counts a request that was refused before it was known which model it is for. */
  countRefused(protocol: Protocol, startedAt: number, error: unknown): void {
    const seconds = (performance.now() - startedAt) / 1_000;
    this.options.metrics.answered(undefined, protocol, toServerError(error).outcome, seconds);
  }

  private async infer<A>(model: Servable, request: RunRequest<A>, deadlineAt: number): Promise<A> {
    const { cancellation, tenant, trace } = request;
    trace?.annotate({ 'slipway.model.name': model.name, 'slipway.model.version': model.version });
    const decoded = await request.decode(model.assertReady().target);
    cancellation.throwIfCancelled();
    const { inputs, rows, priority = 0, timeoutMicroseconds, parameters } = decoded;
    const outputs = await model.infer({
      inputs,
      rows,
      cancellation,
      deadlineAt,
      priority,
      tenant,
      queueTimeoutMs: timeoutMicroseconds === undefined ? undefined : timeoutMicroseconds / 1_000,
      parameters,
      trace: trace?.isRecording === true ? trace : undefined,
    });
    return decoded.encode(model, outputs);
  }

  private deadlineOf({ startedAt, timeoutMs, cancellation }: RunRequest<unknown>): Deadline {
    const seconds = Math.min(this.options.requestDeadlineSeconds, (timeoutMs ?? Infinity) / 1_000);
    return {
      slot: -1,
      at: startedAt + seconds * 1_000,
      cancellation,
      expired: () => new ServerError('DEADLINE', `no answer within ${seconds} s`),
    };
  }

  private async readBody(exchange: Exchange, codec: Codec, target: InferTarget): Promise<Uint8Array> {
    const { maxBodyBytes, bodyMemory } = this.options;
    const encoding = parseContentEncoding(exchange.header('content-encoding'));
    const lease = bodyMemory.lease();
    exchange.onClose(() => lease.release());
    const isBound = codec.isBoundByModel ?? true;
    const limits = {
      maxBytes: isBound ? Math.min(maxBodyBytes, largestBody(target)) : maxBodyBytes,
      headerLength: codec.headerLength,
      cancellation: exchange.cancellation,
      take: (bytes: number) => lease.take(bytes),
    };
    try {
      const body = await readBody(exchange.request, { ...limits, onAccept: () => exchange.allowBody() });
      return encoding === undefined ? body : await inflateBody(body, encoding, limits);
    } catch (error) {
      if (exchange.cancellation.reason?.code !== 'DEADLINE') throw error;
      throw new ServerError('BODY_TOO_SLOW', `the body did not arrive within ${this.options.requestDeadlineSeconds} s`);
    }
  }
}

/** `X-Request-Timeout`: seconds, fractions allowed. */
function parseTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,6}(\.\d{1,6})?$/.test(text) || Number(text) === 0) {
    throw new ServerError(
      'MALFORMED_REQUEST',
      `X-Request-Timeout must be seconds above 0, as in 2.5, got '${text.slice(0, 40)}'`,
    );
  }
  return Number(text) * 1_000;
}
