import { setTimeout as wait } from 'node:timers/promises';
import { inferAndStore, type InferenceTools } from './infer-and-store';
import type { MessageQueue, ReceivedMessage } from './message-queue';
import { MalformedMessageError, parseQueueMessage } from './queue-message';
import type { WorkerLog } from './worker-log';

export interface QueueWorkerOptions {
  readonly queue: MessageQueue;
  readonly tools: Omit<InferenceTools, 'signal'>;
  /** `s3://<bucket>/<prefix>/`: results go to `<model>/<id>` below it. */
  readonly results: string;
  /** Messages held at once. */
  readonly concurrency: number;
  /** For so long nobody else gets a message that was received; it is asked for again while the work goes on. */
  readonly visibilitySeconds: number;
  /** What `stop` waits for messages that are being answered. */
  readonly graceSeconds: number;
  readonly log: WorkerLog;
}

/** After so many failures in a row the queue is out of reach, and somebody should see the replica end. */
const MAX_RECEIVE_FAILURES = 20;
const RECEIVE_WAIT_MS = 500;
const MAX_RECEIVE_WAIT_MS = 30_000;
/** A message whose answer never comes is given up: SQS hides none for more than twelve hours. */
const MAX_HELD_VISIBILITIES = 10;
const RETRY_SECONDS = 5;

/**
 * Answers a queue's messages with the server beside it. A message is deleted once its result is stored, so a replica that
 * dies takes none with it: another one answers again, and the result has the same name.
 */
export class QueueWorker {
  private readonly stopping = new AbortController();
  private readonly inFlight = new Map<string, Promise<void>>();
  private wake: () => void = () => {};

  constructor(private readonly options: QueueWorkerOptions) {}

  /**
   * Runs until `stop`.
   * @throws Error when the queue is out of reach.
   */
  async run(): Promise<void> {
    const { queue, tools, concurrency, visibilitySeconds, log } = this.options;
    const { signal } = this.stopping;
    let failures = 0;
    while (!signal.aborted) {
      // A replica that cannot answer leaves messages to others.
      await tools.server.waitUntilReady(signal);
      // What would only wait for memory is better off in the queue, where other replicas find it.
      const free = tools.inputs.isContested ? 0 : concurrency - this.inFlight.size;
      if (free < 1) await this.somethingEnds();
      if (free < 1 || signal.aborted) continue;
      try {
        for (const message of await queue.receive(free, visibilitySeconds)) this.take(message);
        failures = 0;
      } catch (error) {
        failures += 1;
        log('warn', 'the queue cannot be read', { reason: String(error), failures });
        if (failures === MAX_RECEIVE_FAILURES) throw error;
        const waitMs = Math.min(MAX_RECEIVE_WAIT_MS, RECEIVE_WAIT_MS * 2 ** failures);
        await wait(waitMs, undefined, { signal }).catch(() => {});
      }
    }
    await this.finish();
  }

  /** Receives no more; `run` resolves when what is held is answered or given back. */
  stop(): void {
    this.stopping.abort();
    this.wake();
  }

  private take(message: ReceivedMessage): void {
    const { receipt } = message;
    const work = this.stopping.signal.aborted ? this.giveBack(message, 0) : this.answer(message);
    this.inFlight.set(
      receipt,
      work.finally(() => {
        this.inFlight.delete(receipt);
        this.wake();
      }),
    );
  }

  private async somethingEnds(): Promise<void> {
    await new Promise<void>((resolve) => (this.wake = resolve));
    this.wake = () => {};
  }

  private async finish(): Promise<void> {
    const { graceSeconds, log } = this.options;
    const all = Promise.all(this.inFlight.values());
    const patience = new AbortController();
    const isDone = await Promise.race([
      all.then(() => true),
      wait(graceSeconds * 1_000, false, { signal: patience.signal }).catch(() => false),
    ]);
    patience.abort();
    if (!isDone) log('warn', 'messages are left to others', { messages: this.inFlight.size });
    else log('info', 'nothing is held any more');
  }

  // Never rejects: whatever goes wrong with a message, the queue delivers it again, and after the last time puts it aside.
  private async answer(message: ReceivedMessage): Promise<void> {
    const { queue, tools, visibilitySeconds, log } = this.options;
    const { id, receipt, deliveries, body } = message;
    const stopHiding = this.keepHidden(receipt, visibilitySeconds);
    try {
      const task = parseQueueMessage(body, id);
      const outcome = await inferAndStore(
        { ...task, result: `${this.options.results}${task.model}/${task.id}` },
        { ...tools, signal: this.stopping.signal },
      );
      stopHiding();
      await queue.delete(receipt);
      if (outcome === 'refused') log('info', 'a message was refused, the reason is its result', { messageId: id });
    } catch (error) {
      stopHiding();
      const isMalformed = error instanceof MalformedMessageError;
      log('warn', isMalformed ? 'a message cannot be read' : 'a message was not answered', {
        messageId: id,
        deliveries,
        reason: error instanceof Error ? error.message : String(error),
      });
      // No waiting mends the text of a message: it may be put aside soon.
      const isEnding = isMalformed || this.stopping.signal.aborted;
      await this.giveBack(message, isEnding ? 0 : Math.min(visibilitySeconds, RETRY_SECONDS * 2 ** (deliveries - 1)));
    }
  }

  private keepHidden(receipt: string, visibilitySeconds: number): () => void {
    let times = 0;
    const timer = setInterval(
      () => {
        times += 1;
        if (times > 3 * MAX_HELD_VISIBILITIES) clearInterval(timer);
        else void this.options.queue.hide(receipt, visibilitySeconds).catch(() => {});
      },
      (visibilitySeconds * 1_000) / 3,
    );
    return () => clearInterval(timer);
  }

  private async giveBack({ id, receipt }: ReceivedMessage, seconds: number): Promise<void> {
    await this.options.queue.hide(receipt, seconds).catch((error: unknown) => {
      this.options.log('warn', 'a message could not be given back and comes later', {
        messageId: id,
        reason: String(error),
      });
    });
  }
}
