import { performance } from 'node:perf_hooks';

/** Time as the batcher sees it. */
export interface Scheduler {
  /** In milliseconds, on the clock of deadlines. */
  now(): number;
  /** Calls back when everything that has arrived by now has been looked at. */
  endOfTurn(callback: () => void): void;
  after(ms: number, callback: () => void): void;
}

/** The event loop's own. */
export const EVENT_LOOP: Scheduler = {
  now: () => performance.now(),
  endOfTurn: (callback) => void setImmediate(callback),
  // Whoever waits has a connection, and that keeps the process alive.
  after: (ms, callback) => void setTimeout(callback, ms).unref(),
};
