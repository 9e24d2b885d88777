/** One channel of one value, or of one axis of a weight. What must go or stay together is one set. */
export type Channel = number;

/** Channels, which of them belong together, and which must stay for a reason. */
export class ChannelSets {
  /** Union-find: the parent of each channel, itself at the top. */
  readonly #parents: Channel[] = [];
  readonly #reasons = new Map<Channel, string>();

  /** So many new channels, each a set of its own. */
  make(count: number): readonly Channel[] {
    const first = this.#parents.length;
    for (let i = 0; i < count; i++) this.#parents.push(first + i);
    return Array.from({ length: count }, (_, i) => first + i);
  }

  /** The channel that stands for a set. */
  setOf(channel: Channel): Channel {
    let top = channel;
    while (this.#parents[top] !== top) top = this.#parents[top]!;
    // The way is shorter for who comes next.
    for (let at = channel; at !== top;) {
      const next = this.#parents[at]!;
      this.#parents[at] = top;
      at = next;
    }
    return top;
  }

  /** Puts the first of one list into one set with the first of the other, and so on. */
  tie(some: readonly Channel[], others: readonly Channel[]): void {
    some.forEach((channel, i) => {
      const [a, b] = [this.setOf(channel), this.setOf(others[i]!)];
      if (a === b) return;
      this.#parents[b] = a;
      const reason = this.#reasons.get(a) ?? this.#reasons.get(b);
      if (reason !== undefined) this.#reasons.set(a, reason);
    });
  }

  /** Keeps these channels, and with them those of their sets. The first reason is the one that is told. */
  keep(channels: readonly Channel[], reason: string): void {
    for (const channel of channels) {
      const set = this.setOf(channel);
      if (!this.#reasons.has(set)) this.#reasons.set(set, reason);
    }
  }

  /** Why a channel must stay; undefined when it may go. */
  reasonToKeep(channel: Channel): string | undefined {
    return this.#reasons.get(this.setOf(channel));
  }

  /** Whether two lists are of the same sets, one by one. */
  areSame(some: readonly Channel[], others: readonly Channel[]): boolean {
    return some.length === others.length && some.every((each, i) => this.setOf(each) === this.setOf(others[i]!));
  }
}
