/** Weight of the newest run in the moving average. */
const NEWEST = 0.1;

/**
 * What a run costs by its number of rows: a part for each run and a part for each row, both measured during warm-up,
 * and a factor that follows the runs of live traffic (a busier machine, longer inputs).
 */
export class RunCost {
  private secondsPerRun = 0;
  private secondsPerRow = 0;
  private factor = 1;

  /** Warm-up's measurement: seconds of a run of one row and of a run of `rows`. */
  calibrate(oneRowSeconds: number, rows: number, allRowsSeconds: number): void {
    // Noise can make more rows look cheaper than one; a run never gets cheaper by rows.
    this.secondsPerRow = rows > 1 ? Math.max(0, (allRowsSeconds - oneRowSeconds) / (rows - 1)) : oneRowSeconds;
    this.secondsPerRun = Math.max(0, oneRowSeconds - this.secondsPerRow);
    this.factor = 1;
  }

  observe(rows: number, seconds: number): void {
    const expected = this.secondsPerRun + this.secondsPerRow * rows;
    if (expected === 0) this.secondsPerRow = seconds / Math.max(1, rows);
    else this.factor += NEWEST * (seconds / expected - this.factor);
  }

  /** Seconds of so many rows in so many runs. 0 before anything was measured. */
  of(runs: number, rows: number): number {
    return this.factor * (this.secondsPerRun * runs + this.secondsPerRow * rows);
  }

  /** Seconds of one row in a batch of `rows`. */
  perRow(rows: number): number {
    return this.of(1, rows) / rows;
  }
}
