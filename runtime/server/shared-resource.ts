import { performance } from 'node:perf_hooks';

/** One run on a resource, from its beginning. */
export interface ResourceShare {
  /** Ends it. @returns how much of an executor it had on average, above 0 and up to 1 */
  end(): number;
}

/**
 * What the models of a replica run on: the CPU quota or one GPU. It serves so many runs at full speed; when more go on,
 * each has its part of it and takes longer. By its share a run's duration becomes what it costs: without that, two models
 * at half of their capacity would look like more than one full replica, because each slows the other down.
 */
export class SharedResource {
  private running = 0;
  private changedAt: number;
  /** Seconds of an executor that a run would have had which began with the first one. */
  private shared = 0;

  constructor(
    private readonly executors: number,
    private readonly now: () => number = () => performance.now() / 1_000,
  ) {
    this.changedAt = now();
  }

  begin(): ResourceShare {
    const startedAt = this.advance();
    const before = this.shared;
    this.running += 1;
    return {
      end: () => {
        const seconds = this.advance() - startedAt;
        this.running -= 1;
        return seconds > 0 ? (this.shared - before) / seconds : 1;
      },
    };
  }

  private advance(): number {
    const now = this.now();
    this.shared += (now - this.changedAt) * Math.min(1, this.executors / Math.max(1, this.running));
    this.changedAt = now;
    return now;
  }
}
