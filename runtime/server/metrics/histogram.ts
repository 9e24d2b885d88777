/**
 * Counts of observations by size, for one set of labels. An observation costs nanoseconds: it looks nothing up, allocates
 * nothing and writes two numbers into one typed array.
 */
export class Histogram {
  /** Observations by bucket, then those beyond the last bound, then their sum. */
  private readonly cells: Float64Array;

  /** @param bounds Upper bounds of the buckets, each included in its own, ascending. */
  constructor(private readonly bounds: readonly number[]) {
    this.cells = new Float64Array(bounds.length + 2);
  }

  observe(value: number): void {
    const { bounds, cells } = this;
    const last = bounds.length;
    let bucket = 0;
    while (bucket < last && value > bounds[bucket]!) bucket += 1;
    cells[bucket]! += 1;
    cells[last + 1]! += value;
  }

  get sum(): number {
    return this.cells[this.bounds.length + 1]!;
  }

  get count(): number {
    let count = 0;
    for (let i = 0; i <= this.bounds.length; i++) count += this.cells[i]!;
    return count;
  }

  /** One with the same bounds that has observed nothing. */
  emptied(): Histogram {
    return new Histogram(this.bounds);
  }

  /** Counts what another one of the same bounds has observed so many times; a negative number takes it away. */
  add(other: Histogram, times: number): void {
    for (let i = 0; i < this.cells.length; i++) this.cells[i]! += times * other.cells[i]!;
  }

  /**
   * So many values, ascending, that are spread like what was observed: within a bucket evenly, and those beyond the last
   * bound at it. One for each observation where there are fewer.
   */
  spread(values: number): readonly number[] {
    const { count } = this;
    const size = Math.min(values, count);
    const rankOf = (i: number): number => (size === 1 ? 0 : Math.round((i * (count - 1)) / (size - 1)));
    return Array.from({ length: size }, (_, i) => this.valueAt(rankOf(i)));
  }

  private valueAt(rank: number): number {
    let before = 0;
    let lower = 0;
    for (const [i, upper] of this.bounds.entries()) {
      const inBucket = this.cells[i]!;
      if (rank < before + inBucket) return lower + ((upper - lower) * (rank - before + 0.5)) / inBucket;
      before += inBucket;
      lower = upper;
    }
    return lower;
  }

  /** Each bound with the number of observations up to it, as the exposition has them. */
  *cumulative(): Generator<readonly [bound: number, count: number]> {
    let count = 0;
    for (const [i, bound] of this.bounds.entries()) {
      count += this.cells[i]!;
      yield [bound, count];
    }
  }
}
