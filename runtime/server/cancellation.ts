import type { ServerError } from './errors';

type Listener = (reason: ServerError) => void;

/**
 * Says that the answer to a request is no longer wanted, or can no longer be had: the client is gone, the deadline has
 * passed, the server ends. What AbortSignal does, for a hundredth of the cost: one of these comes with every request.
 */
export class Cancellation {
  private cancelledFor: ServerError | undefined;
  private listeners: Listener[] | undefined;

  /** Why it was cancelled; undefined while it is not. */
  get reason(): ServerError | undefined {
    return this.cancelledFor;
  }

  /** The first reason wins. Listeners run at once, each of them once. */
  cancel(reason: ServerError): void {
    if (this.cancelledFor !== undefined) return;
    this.cancelledFor = reason;
    const { listeners } = this;
    this.listeners = undefined;
    for (const listener of listeners ?? []) listener(reason);
  }

  /** Runs at once when it is cancelled already. */
  onCancel(listener: Listener): void {
    if (this.cancelledFor !== undefined) listener(this.cancelledFor);
    else if (this.listeners === undefined) this.listeners = [listener];
    else this.listeners.push(listener);
  }

  /** @throws ServerError the reason, when it is cancelled. */
  throwIfCancelled(): void {
    if (this.cancelledFor !== undefined) throw this.cancelledFor;
  }
}
