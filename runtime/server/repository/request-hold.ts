import type { Cancellation } from '../cancellation';
import { ServerError } from '../errors';

export interface RequestHoldOptions {
  /** For messages. */
  readonly model: string;
  readonly maxRequests: number;
  readonly maxSeconds: number;
}

interface Held {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Keeps the requests of one model waiting while its old version makes room for the new one. Bodies are not read meanwhile,
 * so a held request costs its headers. None waits longer than its own deadline or the time that was set for the hold.
 */
export class RequestHold {
  private readonly held = new Set<Held>();
  private readonly timer: NodeJS.Timeout;
  private isOpen = true;

  constructor(private readonly options: RequestHoldOptions) {
    this.timer = setTimeout(() => this.expire(), options.maxSeconds * 1_000);
  }

  /** False once it has taken too long: then requests are told so at once. */
  get isHolding(): boolean {
    return this.isOpen;
  }

  /** Resolves when the requests may go on. @throws ServerError QUEUE_FULL, MODEL_NOT_READY, or why it was cancelled. */
  wait(cancellation: Cancellation): Promise<void> {
    const { model, maxRequests } = this.options;
    if (this.held.size >= maxRequests) {
      const message = `model '${model}' is being replaced, and ${maxRequests} requests wait for it already`;
      return Promise.reject(new ServerError('QUEUE_FULL', message));
    }
    return new Promise((resolve, reject) => {
      const held = { resolve, reject };
      this.held.add(held);
      cancellation.onCancel((reason) => {
        if (this.held.delete(held)) reject(reason);
      });
    });
  }

  /** Lets everybody go on. */
  release(): void {
    this.end();
    for (const { resolve } of this.take()) resolve();
  }

  private expire(): void {
    this.end();
    const { model, maxSeconds } = this.options;
    const message = `model '${model}' is being replaced, and that takes longer than ${maxSeconds} s`;
    for (const { reject } of this.take()) reject(new ServerError('MODEL_NOT_READY', message));
  }

  private end(): void {
    this.isOpen = false;
    clearTimeout(this.timer);
  }

  private take(): readonly Held[] {
    const all = [...this.held];
    this.held.clear();
    return all;
  }
}
