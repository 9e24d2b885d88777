import { ServerError } from '../errors';
import type { Cancellation } from '../cancellation';
import type { GrpcMethod } from './grpc-method';
import type { Frame } from './infer-codec';
import { INFERENCE_SERVICE } from './inference-methods';
import { ProtobufReader } from './protobuf-reader';
import { ProtobufWriter } from './protobuf-writer';

export const HEALTH_SERVICE = 'grpc.health.v1.Health';

/** `HealthCheckResponse.ServingStatus` */
const STATUS = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;
type Status = (typeof STATUS)[keyof typeof STATUS];

/** How soon watchers hear of a change. */
const POLL_MS = 500;

interface Watcher {
  readonly service: string;
  readonly send: (frame: Frame) => void;
  last: Status | undefined;
}

/** gRPC's health checking protocol, for the server as a whole and for the inference service, which are one. */
export class HealthMethods {
  readonly methods: Readonly<Record<string, GrpcMethod>> = {
    Check: { kind: 'unary', group: 'public', answer: (bytes) => this.check(readService(bytes)) },
    Watch: {
      kind: 'watch',
      group: 'public',
      answer: (bytes, { cancellation }, send) => this.watch(readService(bytes), cancellation, send),
    },
  };
  /** What load balancers ask: they look at the status of a call, and at no message. */
  readonly ready: GrpcMethod = { kind: 'unary', group: 'public', answer: () => this.assertReady() };
  private readonly watchers = new Set<Watcher>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly isReady: () => boolean) {}

  private check(service: string): Frame {
    const status = this.statusOf(service);
    if (status === STATUS.serviceUnknown) {
      throw new ServerError(
        'MODEL_UNKNOWN',
        `no service '${service.slice(0, 200)}' here, only '' and '${INFERENCE_SERVICE}'`,
      );
    }
    return statusFrame(status);
  }

  private assertReady(): Frame {
    if (this.isReady()) return [new ProtobufWriter().finish()];
    throw new ServerError('MODEL_NOT_READY', 'models are being loaded, or the server is going away');
  }

  private watch(service: string, cancellation: Cancellation, send: (frame: Frame) => void): void {
    const watcher: Watcher = { service, send, last: undefined };
    this.tell(watcher);
    this.watchers.add(watcher);
    this.timer ??= setInterval(() => this.watchers.forEach((each) => this.tell(each)), POLL_MS).unref();
    cancellation.onCancel(() => {
      this.watchers.delete(watcher);
      if (this.watchers.size > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    });
  }

  private tell(watcher: Watcher): void {
    const status = this.statusOf(watcher.service);
    if (status === watcher.last) return;
    watcher.last = status;
    watcher.send(statusFrame(status));
  }

  private statusOf(service: string): Status {
    if (service !== '' && service !== INFERENCE_SERVICE) return STATUS.serviceUnknown;
    return this.isReady() ? STATUS.serving : STATUS.notServing;
  }
}

function readService(bytes: Buffer): string {
  const reader = new ProtobufReader(bytes);
  let service = '';
  while (!reader.isAtEnd) {
    const tag = reader.tag();
    if (tag === 0x0a) service = reader.string();
    else reader.skip(tag);
  }
  return service;
}

function statusFrame(status: Status): Frame {
  const writer = new ProtobufWriter();
  writer.uint(1, status);
  return [writer.finish()];
}
