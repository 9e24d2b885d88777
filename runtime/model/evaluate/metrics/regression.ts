export interface RegressionResult {
  readonly rows: number;
  /** Mean of |predicted − label|. */
  readonly meanAbsoluteError: number;
  /** Root of the mean of (predicted − label)². */
  readonly rootMeanSquareError: number;
  readonly maxError: number;
  /**
   * 1 − Σ(predicted − label)² ÷ Σ(label − mean of labels)²; of several outputs their mean. Not a number where all labels of an
   * output are the same.
   */
  readonly r2: number;
}

interface Sums {
  mean: number;
  /** Σ(label − mean)², kept as Welford does it: sums of squares would lose what large labels differ by. */
  variation: number;
  squares: number;
}

/** Adds up how far predicted numbers are from their labels. */
export class RegressionTally {
  #rows = 0;
  #absolute = 0;
  #largest = 0;
  readonly #outputs: Sums[];

  constructor(private readonly width: number) {
    this.#outputs = Array.from({ length: width }, () => ({ mean: 0, variation: 0, squares: 0 }));
  }

  add(label: readonly number[], predicted: ArrayLike<number>): void {
    this.#rows += 1;
    this.#outputs.forEach((sums, i) => {
      const value = label[i]!;
      const difference = predicted[i]! - value;
      const error = Number.isNaN(difference) ? Infinity : Math.abs(difference);
      this.#absolute += error;
      this.#largest = Math.max(this.#largest, error);
      sums.squares += error * error;
      const before = value - sums.mean;
      sums.mean += before / this.#rows;
      sums.variation += before * (value - sums.mean);
    });
  }

  result(): RegressionResult {
    const count = this.#rows * this.width;
    const squares = this.#outputs.reduce((sum, each) => sum + each.squares, 0);
    const shares = this.#outputs.map((each) => (each.variation === 0 ? NaN : 1 - each.squares / each.variation));
    return {
      rows: this.#rows,
      meanAbsoluteError: this.#absolute / count,
      rootMeanSquareError: Math.sqrt(squares / count),
      maxError: this.#largest,
      r2: shares.reduce((sum, share) => sum + share, 0) / this.width,
    };
  }
}
