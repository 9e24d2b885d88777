import type { ServerError } from './errors';

type Listener = (reason: ServerError) => void;

/**
 * Whether one request is still wanted, and if not, why: its client is gone, its deadline passed, the server drains. What an
 * AbortSignal would say; every request needs one, and an AbortController takes several microseconds to make.
 */
export class Cancellation {
  private cancelledFor: ServerError | undefined;
  private listeners: Listener[] | undefined;

  /** Why the request is no longer wanted; undefined while it is. */
  get reason(): ServerError | undefined {
    return this.cancelledFor;
  }

  /** The first reason stays; each listener hears of it once. */
  cancel(reason: ServerError): void {
    if (this.cancelledFor !== undefined) return;
    this.cancelledFor = reason;
    const { listeners } = this;
    this.listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
  }

  /** Calls the listener at once when the request is cancelled already. */
  onCancel(listener: Listener): void {
    if (this.cancelledFor !== undefined) listener(this.cancelledFor);
    else if (this.listeners === undefined) this.listeners = [listener];
    else this.listeners.push(listener);
  }

  offCancel(listener: Listener): void {
    const i = this.listeners?.indexOf(listener) ?? -1;
    if (i >= 0) this.listeners!.splice(i, 1);
  }

  throwIfCancelled(): void {
    if (this.cancelledFor !== undefined) throw this.cancelledFor;
  }
}
