/** One counter as it is read now: of one replica, in the group in which it is added up. */
export interface CounterSample {
  /** Tells the counter from every other one, for as long as its replica lives. */
  readonly series: string;
  /** What it counts: an outcome, a bucket. */
  readonly group: string;
  readonly value: number;
}

/**
 * What counters gained since somebody began to look, added up by group. A counter that is there at the first look starts
 * from its value then; one that comes later starts from nothing, for its replica is new; one that falls was set back to
 * nothing with its process; one that goes keeps what it gained. Prometheus' own `increase` loses what a counter had when it
 * was first seen, and the first errors of a canary are just that.
 */
export class CounterGains {
  readonly #last = new Map<string, number>();
  readonly #gained = new Map<string, number>();
  #hasLooked = false;

  look(samples: readonly CounterSample[]): void {
    for (const { series, group, value } of samples) {
      const key = `${group}\0${series}`;
      const before = this.#last.get(key) ?? (this.#hasLooked ? 0 : value);
      this.#gained.set(group, this.gained(group) + (value >= before ? value - before : value));
      this.#last.set(key, value);
    }
    this.#hasLooked = true;
  }

  gained(group: string): number {
    return this.#gained.get(group) ?? 0;
  }

  groups(): readonly string[] {
    return [...this.#gained.keys()];
  }
}
