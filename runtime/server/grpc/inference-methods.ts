import { ServerError } from '../errors';
import type { ModelSelector } from '../codec';
import type { RouteContext } from '../protocols/route-context';
import type { CallContext } from './grpc-call';
import type { GrpcMethod } from './grpc-method';
import { decodeInferRequest, encodeStreamError, type Frame } from './infer-codec';
import { readInferRequestMessage, type InferRequestMessage } from './infer-request-message';
import { ProtobufReader } from './protobuf-reader';
import { ProtobufWriter } from './protobuf-writer';

export const INFERENCE_SERVICE = 'inference.GRPCInferenceService';

const PROTOCOL = 'oip-grpc';

export interface InferenceMethodsContext extends RouteContext {
  readonly isLive: () => boolean;
}

/** The calls of the Open Inference Protocol that come often: inference and probes, by name. */
export function inferenceMethods(context: InferenceMethodsContext): Readonly<Record<string, GrpcMethod>> {
  const { isLive, isReady } = context;
  return {
    ServerLive: { kind: 'unary', group: 'public', answer: () => flagFrame(isLive()) },
    ServerReady: { kind: 'unary', group: 'public', answer: () => flagFrame(isReady()) },
    ModelReady: { kind: 'unary', group: 'public', answer: (bytes) => flagFrame(isModelReady(bytes, context)) },
    ModelInfer: {
      kind: 'unary',
      group: 'infer',
      answer: (bytes, call) => infer(readMessage(bytes, call, context), call, context, false),
    },
    ModelStreamInfer: {
      kind: 'stream',
      group: 'infer',
      answer: (bytes, call) => inferInStream(bytes, call, context),
    },
  };
}

/** A name and a version as messages have them: an empty version leaves the choice to the server. */
export function selectorOf(name: string, version: string): ModelSelector {
  return version === '' ? { name } : { name, version };
}

function readMessage(bytes: Buffer, { startedAt }: CallContext, { inference }: RouteContext): InferRequestMessage {
  return inference.prepare(PROTOCOL, startedAt, () => readInferRequestMessage(bytes));
}

function infer(
  message: InferRequestMessage,
  call: CallContext,
  { inference }: RouteContext,
  isStream: boolean,
): Promise<Frame> {
  return inference.run<Frame>({
    selector: selectorOf(message.modelName, message.modelVersion),
    protocol: PROTOCOL,
    startedAt: call.startedAt,
    timeoutMs: call.timeoutMs,
    cancellation: call.cancellation,
    tenant: call.tenant,
    trace: call.trace,
    decode: (target) => decodeInferRequest(message, target, { isStream }),
  });
}

/** What is wrong with one request of a stream is said in its answer: the others still get theirs. */
async function inferInStream(bytes: Buffer, call: CallContext, context: RouteContext): Promise<Frame> {
  let id = '';
  try {
    const message = readMessage(bytes, call, context);
    id = message.id;
    return await infer(message, call, context, true);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    return encodeStreamError(id, error.message);
  }
}

/** A model that is not there is not ready, as Triton has it: its clients ask in order to wait. */
function isModelReady(bytes: Buffer, { models }: RouteContext): boolean {
  const reader = new ProtobufReader(bytes);
  let name = '';
  let version = '';
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === 0x0a) name = reader.string();
    else if (tag === 0x12) version = reader.string();
    else reader.skip(tag);
  }
  try {
    return models().find(selectorOf(name, version)).isReady;
  } catch (error) {
    if (error instanceof ServerError && error.code === 'MODEL_UNKNOWN') return false;
    throw error;
  }
}

/** A message whose first field is a bool. */
function flagFrame(flag: boolean): Frame {
  const writer = new ProtobufWriter();
  writer.bool(1, flag);
  return [writer.finish()];
}
