import { performance } from 'node:perf_hooks';
import type { Tensor } from '../onnx/tensor-encoding';
import type { InferCall } from './infer-call';
import { digestInputs } from './request-digest';
import type { ModelAnswers } from './response-cache';
import { SingleFlight } from './single-flight';

export interface RepeatedRequestsOptions {
  /** @default - nothing is kept */
  readonly answers?: ModelAnswers | undefined;
  /** Whether identical requests that are in flight together share one run. */
  readonly singleFlight: boolean;
  readonly run: (call: InferCall) => Promise<readonly Tensor[]>;
  /** What so many rows take to compute. */
  readonly secondsOf: (rows: number) => number;
  readonly observe: CacheObserver;
}

export interface CacheObserver {
  /** @param lookupSeconds Time to find the answer. @param savedSeconds What it took to compute. */
  hit(lookupSeconds: number, savedSeconds: number): void;
  /** @param lookupSeconds Time to find out that there is none. */
  miss(lookupSeconds: number): void;
}

/** Answers requests that were answered before, or are being answered, without running them again. */
export class RepeatedRequests {
  private readonly flights: SingleFlight | undefined;

  constructor(private readonly options: RepeatedRequestsOptions) {
    this.flights = options.singleFlight ? new SingleFlight((call) => options.run(call)) : undefined;
  }

  /** @throws ServerError as `run` does, or the reason of the cancellation. */
  async infer(call: InferCall): Promise<readonly Tensor[]> {
    const { answers, observe, run, secondsOf } = this.options;
    const start = performance.now();
    const digest = digestInputs(call.inputs);
    const known = answers?.get(digest);
    const lookupSeconds = (performance.now() - start) / 1_000;
    if (known !== undefined) {
      observe.hit(lookupSeconds, known.seconds);
      return known.outputs;
    }
    if (answers !== undefined) observe.miss(lookupSeconds);
    // Who comes with a higher priority does not wait for a run of a lower one.
    const flight = this.flights?.run(`${call.priority} ${digest}`, call);
    const outputs = await (flight ?? run(call));
    answers?.add(digest, { outputs, seconds: secondsOf(Math.max(1, call.rows)) });
    return outputs;
  }

  /** Forgets what is kept: the model is no longer served. */
  close(): void {
    this.options.answers?.close();
  }
}
