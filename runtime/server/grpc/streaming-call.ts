import { Cancellation } from '../cancellation';
import { performance } from 'node:perf_hooks';
import type { CallContext, GrpcCall } from './grpc-call';
import type { Frame } from './infer-codec';
import { MessageReader, type Message } from './message-reader';
import { ServerError } from '../errors';
import type { Answer } from './grpc-method';
import type { MessageOptions } from './single-message-call';

/** Messages of one stream that are answered at once; the client waits with more. */
const IN_FLIGHT = 32;

interface Slot {
  readonly message: Message;
  readonly startedAt: number;
  readonly cancellation: Cancellation;
  frame: Frame | undefined;
}

/** Answers each message of a stream by itself, in the order in which they came. */
export class StreamingCall {
  private readonly reader: MessageReader;
  /** Those that are being answered, in order. */
  private readonly answering: Slot[] = [];
  /** Those behind them: no more than one piece of the network can hold, because reading pauses. */
  private readonly waiting: Slot[] = [];
  private unsent = 0;
  private hasRequestEnded = false;
  private isDraining = false;

  constructor(
    private readonly call: GrpcCall,
    private readonly answer: Answer,
    private readonly options: MessageOptions,
  ) {
    const { stream } = call;
    this.reader = new MessageReader({ ...options, onMessage: (message) => this.receive(message) });
    stream.on('data', (chunk: Buffer) => {
      this.attempt(() => this.reader.push(chunk));
    });
    stream.once('end', () => {
      this.hasRequestEnded = true;
      this.attempt(() => this.reader.end());
      this.finishIfDone();
    });
    stream.once('close', () => this.close());
    call.cancellation.onCancel((reason) => {
      for (const { cancellation } of this.answering) cancellation.cancel(reason);
    });
  }

  /** Whether an answer is still owed. */
  get isBusy(): boolean {
    return this.answering.length > 0 || this.waiting.length > 0 || this.unsent > 0;
  }

  /** Takes no more messages; when those that came are answered, the client is told to go elsewhere. */
  drain(): void {
    this.isDraining = true;
    this.call.stream.pause();
    this.finishIfDone();
  }

  private attempt(step: () => void): void {
    if (this.call.isOver) return;
    try {
      step();
    } catch (error) {
      this.call.fail(error);
    }
  }

  private receive(message: Message): void {
    this.waiting.push({ message, startedAt: performance.now(), cancellation: new Cancellation(), frame: undefined });
    this.startWaiting();
    if (this.waiting.length > 0 || this.inFlight >= IN_FLIGHT) this.call.stream.pause();
  }

  private get inFlight(): number {
    return this.answering.length + this.unsent;
  }

  private startWaiting(): void {
    while (this.waiting.length > 0 && this.inFlight < IN_FLIGHT) {
      const slot = this.waiting.shift()!;
      this.answering.push(slot);
      void this.run(slot);
    }
  }

  private async run(slot: Slot): Promise<void> {
    try {
      const { message, startedAt, cancellation } = slot;
      const bytes = message.isCompressed ? await this.options.decompress(message) : message.bytes;
      const context: CallContext = {
        startedAt,
        cancellation,
        timeoutMs: undefined,
        tenant: this.call.tenant,
        caller: this.call.caller,
        trace: this.call.trace,
        header: (name) => this.call.header(name),
      };
      slot.frame = await this.answer(bytes, context);
      this.sendReady();
    } catch (error) {
      this.call.fail(error);
    }
  }

  private sendReady(): void {
    for (let slot = this.answering[0]; slot?.frame !== undefined; slot = this.answering[0]) {
      const { lease } = slot.message;
      this.answering.shift();
      this.unsent += 1;
      this.call.send(slot.frame, () => {
        lease.release();
        this.unsent -= 1;
        this.proceed();
      });
    }
  }

  private proceed(): void {
    if (this.call.isOver) return;
    this.startWaiting();
    if (this.waiting.length === 0 && this.inFlight < IN_FLIGHT && !this.isDraining) this.call.stream.resume();
    this.finishIfDone();
  }

  private finishIfDone(): void {
    if (this.isBusy) return;
    if (this.hasRequestEnded) this.call.succeed();
    else if (this.isDraining) this.call.fail(new ServerError('DRAINING', 'the server is shutting down'));
  }

  private close(): void {
    this.reader.close();
    for (const { message } of [...this.answering.splice(0), ...this.waiting.splice(0)]) message.lease.release();
  }
}
