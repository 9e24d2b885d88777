import type { Tensor } from '../onnx/tensor-encoding';
import type { Protocol } from '../spec/metric-names';
import type { Exchange } from './exchange';
import type { InferTarget } from './infer-request';

/** Which model version a request asks for: by number, by label, or neither. */
export interface ModelSelector {
  readonly name: string;
  readonly version?: string;
  readonly label?: string;
}

/** A request that has been checked against its model, and how its answer is written. */
export interface DecodedRequest<A = EncodedAnswer> {
  /** In the model's order. */
  readonly inputs: readonly Tensor[];
  readonly rows: number;
  /** 1 is the highest, 0 the model's default. @default 0 */
  readonly priority?: number;
  /** Longest time in the queue. @default - the deadline alone */
  readonly timeoutMicroseconds?: number;
  /** For hooks. @default - none */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** @param outputs All of the model's, in its order. */
  encode(model: ModelIdentity, outputs: readonly Tensor[]): A;
}

export interface ModelIdentity {
  readonly name: string;
  readonly version: number;
}

/** A whole answer. The parts follow each other; small ones leave in one packet. */
export interface EncodedAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: readonly (Uint8Array | string)[];
}

/** One protocol's way from a body to a request. */
export interface Codec {
  readonly protocol: Protocol;
  /** Bytes in front of the first binary tensor, which is placed so that it can be viewed where it lies. @default 0 */
  readonly headerLength?: number;
  /** False for bodies whose size says nothing about their tensors', as pictures. @default true */
  readonly isBoundByModel?: boolean;
  decode(body: Uint8Array, target: InferTarget, exchange: Exchange): DecodedRequest | Promise<DecodedRequest>;
}
