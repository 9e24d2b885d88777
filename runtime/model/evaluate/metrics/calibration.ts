/** Rows whose confidence lies in one part of 0 to 1. */
export interface ReliabilityBin {
  /** Above this, and up to `to`. */
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  /** Means over the rows; 0 where there are none. */
  readonly confidence: number;
  readonly accuracy: number;
}

export interface Calibration {
  /** Expected calibration error: the mean of |accuracy − confidence| over the bins, each as heavy as its rows. */
  readonly expectedError: number;
  /** Of the bin that is furthest off. */
  readonly maxError: number;
  readonly bins: readonly ReliabilityBin[];
}

/** As many bins of equal width as Guo et al. use (https://arxiv.org/abs/1706.04599). */
const BINS = 15;

/** Counts how often a model is right against how sure it says it is. */
export class CalibrationTally {
  readonly #rows = new Float64Array(BINS);
  readonly #confidence = new Float64Array(BINS);
  readonly #right = new Float64Array(BINS);

  /** @param confidence From 0 to 1; one that is no number counts as 0. */
  add(confidence: number, isRight: boolean): void {
    const sure = confidence > 0 ? Math.min(confidence, 1) : 0;
    const bin = Math.max(0, Math.ceil(sure * BINS) - 1);
    this.#rows[bin]! += 1;
    this.#confidence[bin]! += sure;
    this.#right[bin]! += isRight ? 1 : 0;
  }

  result(): Calibration {
    const bins = Array.from(this.#rows, (rows, i): ReliabilityBin => {
      const share = (sum: number): number => (rows === 0 ? 0 : sum / rows);
      const [confidence, accuracy] = [share(this.#confidence[i]!), share(this.#right[i]!)];
      return { from: i / BINS, to: (i + 1) / BINS, rows, confidence, accuracy };
    });
    const all = bins.reduce((sum, { rows }) => sum + rows, 0);
    const errors = bins.map(({ accuracy, confidence }) => Math.abs(accuracy - confidence));
    return {
      expectedError: bins.reduce((sum, { rows }, i) => sum + (rows / all) * errors[i]!, 0),
      maxError: Math.max(...errors),
      bins,
    };
  }
}
