import { performance } from 'node:perf_hooks';

/** One run on a resource, from its beginning. */
export interface ResourceShare {
  /** Ends it. @returns how much of an executor it had on average, above 0 and up to 1 */
  end(): number;
}

/**
 * What the models of a replica run on: the CPU quota or one GPU. The executors of one model fill it together, so a run of a
 * model with four takes a quarter. While all runs together take no more than there is, each goes on at full speed; when
 * more go on, each has its part and takes longer. By its share a run's duration becomes what it costs: without that, two
 * models at half of their capacity would look like more than one full replica, because each slows the other down.
 */
export class SharedResource {
  /** @param executors Of the model that this is given to. */
  constructor(
    private readonly executors: number,
    now: () => number = () => performance.now() / 1_000,
    private readonly load = new CommonLoad(now),
  ) {}

  /** The same resource, as another model uses it. */
  forModel(executors: number): SharedResource {
    return new SharedResource(executors, undefined, this.load);
  }

  begin(): ResourceShare {
    const { load } = this;
    const part = 1 / this.executors;
    const startedAt = load.change(part);
    const before = load.shared;
    return {
      end: () => {
        const seconds = load.change(-part) - startedAt;
        return seconds > 0 ? (load.shared - before) / seconds : 1;
      },
    };
  }
}

/** The runs of all models. */
class CommonLoad {
  /** Seconds of an executor that a run would have had which began with the first one. */
  shared = 0;
  private running = 0;
  private taken = 0;
  private changedAt: number;

  constructor(private readonly now: () => number) {
    this.changedAt = now();
  }

  /** @param part Of the resource that a run takes from now on; negative when one ends. @returns the time */
  change(part: number): number {
    const now = this.now();
    this.shared += (now - this.changedAt) * Math.min(1, 1 / this.taken);
    this.changedAt = now;
    this.running += Math.sign(part);
    // Thirds do not add up to nothing.
    this.taken = this.running === 0 ? 0 : this.taken + part;
    return now;
  }
}
