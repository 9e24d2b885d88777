import { largestBody } from './body-limit';
import type { BodyLease, BodyMemory } from './body-memory';
import { ServerError, toServerError } from './errors';
import type { Exchange } from './exchange';
import { parseInferRequest, type InferRequest } from './infer-request';
import { encodeInferResponse } from './infer-response';
import type { Metrics, Protocol } from './metrics';
import { readBody } from './request-body';
import type { ServedModel } from './served-model';
import type { ServedModels } from './served-models';

export interface InferenceOptions {
  readonly models: () => ServedModels;
  readonly metrics: Metrics;
  readonly requestDeadlineSeconds: number;
  readonly maxBodyBytes: number;
  readonly bodyMemory: BodyMemory;
}

const HEADER_LENGTH = 'inference-header-content-length';

/** Answers inference requests of the Open Inference Protocol. */
export class Inference {
  constructor(private readonly options: InferenceOptions) {}

  async answer(exchange: Exchange, name: string, version: string | undefined): Promise<void> {
    const { metrics, requestDeadlineSeconds } = this.options;
    const protocol: Protocol = exchange.header(HEADER_LENGTH) === undefined ? 'oip-json' : 'oip-binary';
    const deadline = setTimeout(
      () => exchange.abort(new ServerError('DEADLINE', `no answer within ${requestDeadlineSeconds} s`)),
      requestDeadlineSeconds * 1_000,
    );
    const lease = this.options.bodyMemory.lease();
    let model: ServedModel | undefined;
    try {
      model = this.options.models().find(name, version);
      const response = await this.infer(exchange, model, lease);
      metrics.answered(model, protocol, 'ok', exchange.secondsSoFar);
      await exchange.send(200, response.headers, response.parts);
    } catch (error) {
      metrics.answered(model, protocol, toServerError(error).outcome, exchange.secondsSoFar);
      throw error;
    } finally {
      clearTimeout(deadline);
      lease.release();
    }
  }

  private async infer(
    exchange: Exchange,
    model: ServedModel,
    lease: BodyLease,
  ): Promise<ReturnType<typeof encodeInferResponse>> {
    // What can be refused without the body is refused before it is read.
    const { target } = model.assertReady();
    const headerLength = parseHeaderLength(exchange.header(HEADER_LENGTH));
    const maxBytes = Math.min(this.options.maxBodyBytes, largestBody(target));
    const body = await this.read(exchange, headerLength, maxBytes, lease);
    const request: InferRequest = parseInferRequest(body, headerLength, target);
    const outputs = await model.infer(request.inputs, request.rows, exchange.signal);
    return encodeInferResponse(model, request, outputs);
  }

  private async read(
    exchange: Exchange,
    headerLength: number | undefined,
    maxBytes: number,
    lease: BodyLease,
  ): Promise<Uint8Array> {
    const encoding = exchange.header('content-encoding') ?? 'identity';
    if (encoding !== 'identity') {
      throw new ServerError('CONTENT_ENCODING', `Content-Encoding must be identity, got '${encoding}'`);
    }
    try {
      return await readBody(exchange.request, {
        maxBytes,
        headerLength: headerLength ?? 0,
        signal: exchange.signal,
        take: (bytes) => lease.take(bytes),
        onAccept: () => exchange.allowBody(),
      });
    } catch (error) {
      if (!(error instanceof ServerError) || error.code !== 'DEADLINE') throw error;
      throw new ServerError('BODY_TOO_SLOW', `the body did not arrive within ${this.options.requestDeadlineSeconds} s`);
    }
  }
}

function parseHeaderLength(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text)) {
    throw new ServerError(
      'MALFORMED_REQUEST',
      `Inference-Header-Content-Length must be a number of bytes, got '${text.slice(0, 40)}'`,
    );
  }
  return Number(text);
}
