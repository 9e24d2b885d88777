import type { RouteGroup } from '../router';
import type { CallContext } from './grpc-call';
import type { Frame } from './infer-codec';

/** Answers one message with one. */
export type Answer = (bytes: Buffer, context: CallContext) => Frame | Promise<Frame>;

/** Answers one message with as many as there is something to say, until `context.cancellation` is cancelled. */
export type Watch = (bytes: Buffer, context: CallContext, send: (frame: Frame) => void) => void;

/** One method of a service, and who may call it. A `stream` answers each of many messages by itself. */
export type GrpcMethod =
  | { readonly kind: 'unary' | 'stream'; readonly group: RouteGroup; readonly answer: Answer }
  | { readonly kind: 'watch'; readonly group: RouteGroup; readonly answer: Watch };

/** By path: `/package.Service/Method`. */
export type GrpcMethods = ReadonlyMap<string, GrpcMethod>;
