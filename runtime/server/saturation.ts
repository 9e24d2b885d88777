/** One model version's part in the load of a resource. */
export interface ModelLoad {
  /** Rows that clients bring each second, those turned away included. */
  readonly arrivingRowsPerSecond: number;
  /** Seconds of one row in the largest allowed batch: what the resource can do when it is full. */
  readonly secondsPerRow: number;
  readonly queuedRows: number;
  /** Of the model, which fill the resource together. */
  readonly executors: number;
}

/** What models share: the CPU quota or one GPU. */
export interface ResourceLoad {
  readonly models: readonly ModelLoad[];
}

/**
 * How much of its capacity a replica uses: 1 is full. The largest over its resources of the executor time that arriving
 * rows need each second, plus the time that waiting rows need in units of the queueing time that is aimed at.
 *
 * Not the time executors are busy: one that runs batches of one is always busy, at a fraction of its capacity. And a sum
 * over the models of a resource, not the largest of them: two models at 0.5 fill it.
 */
export function computeSaturation(resources: readonly ResourceLoad[], targetQueueSeconds: number): number {
  return Math.max(
    0,
    ...resources.map(({ models }) => {
      const seconds = (rows: (model: ModelLoad) => number): number =>
        models.reduce((sum, model) => sum + (rows(model) * model.secondsPerRow) / model.executors, 0);
      return (
        seconds(({ arrivingRowsPerSecond }) => arrivingRowsPerSecond) +
        seconds(({ queuedRows }) => queuedRows) / targetQueueSeconds
      );
    }),
  );
}

/** Time constant of the average that is published. */
const AVERAGE_SECONDS = 10;

/** The exponentially weighted moving average after a value that held for `seconds`. */
export function averageOver(previous: number, value: number, seconds: number): number {
  return previous + (value - previous) * (1 - Math.exp(-seconds / AVERAGE_SECONDS));
}
