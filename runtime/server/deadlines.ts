import { performance } from 'node:perf_hooks';
import type { Cancellation } from './cancellation';
import type { ServerError } from './errors';
import { Roster, type Listed } from './roster';

/** One request that is to be answered by a time. */
export interface Deadline extends Listed {
  /** On the clock of `performance.now()`, in milliseconds. */
  readonly at: number;
  readonly cancellation: Cancellation;
  /** What the request is cancelled with. */
  expired(): ServerError;
}

/** How late a deadline may be noticed. */
const TICK_MS = 10;

/** The deadlines of all requests in flight, watched by one timer: one of its own for each would cost more than the rest of it. */
export class Deadlines {
  private readonly waiting = new Roster<Deadline>();
  private timer: NodeJS.Timeout | undefined;

  add(deadline: Deadline): void {
    this.waiting.add(deadline);
    this.timer ??= setInterval(() => this.tick(), TICK_MS);
  }

  remove(deadline: Deadline): void {
    this.waiting.remove(deadline);
  }

  private tick(): void {
    const now = performance.now();
    for (const deadline of this.waiting.snapshot()) {
      if (deadline.at > now) continue;
      this.waiting.remove(deadline);
      deadline.cancellation.cancel(deadline.expired());
    }
    if (this.waiting.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
