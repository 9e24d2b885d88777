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

  /** Each bound with the number of observations up to it, as the exposition has them. */
  *cumulative(): Generator<readonly [bound: number, count: number]> {
    let count = 0;
    for (const [i, bound] of this.bounds.entries()) {
      count += this.cells[i]!;
      yield [bound, count];
    }
  }
}
