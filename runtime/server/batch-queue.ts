import type { Tensor } from '../onnx/tensor-encoding';

/** One request that waits for an executor. */
export interface QueuedRequest {
  readonly inputs: readonly Tensor[];
  /** What it counts towards a batch and the depth of the queue. */
  readonly rows: number;
  readonly enqueuedAt: number;
}

/**
 * Requests that wait, first come first served, in buckets of equal shape: only requests of one bucket can share a run,
 * and a bucket whose shape is rare does not hold up the others.
 */
export class BatchQueue<R extends QueuedRequest> {
  private readonly buckets = new Map<string, Set<R>>();
  private waitingRows = 0;

  /** @param maxBatchRows 1 when requests of this model must not be joined. */
  constructor(
    private readonly maxBatchRows: number,
    private readonly depthRows: number,
  ) {}

  get rows(): number {
    return this.waitingRows;
  }

  get isEmpty(): boolean {
    return this.buckets.size === 0;
  }

  /** A request larger than the whole depth may still wait alone. */
  hasRoomFor(rows: number): boolean {
    return this.waitingRows === 0 || this.waitingRows + rows <= this.depthRows;
  }

  add(request: R): void {
    const key = shapeKey(request.inputs);
    const bucket = this.buckets.get(key);
    if (bucket === undefined) this.buckets.set(key, new Set([request]));
    else bucket.add(request);
    this.waitingRows += request.rows;
  }

  /** @returns false when the request no longer waits. */
  remove(request: R): boolean {
    const key = shapeKey(request.inputs);
    const bucket = this.buckets.get(key);
    if (bucket === undefined || !bucket.delete(request)) return false;
    if (bucket.size === 0) this.buckets.delete(key);
    this.waitingRows -= request.rows;
    return true;
  }

  /** The next batch: from the bucket whose first request has waited longest, in order, as many as fit. */
  take(): readonly R[] {
    let oldest: Set<R> | undefined;
    let since = Infinity;
    for (const bucket of this.buckets.values()) {
      const [first] = bucket;
      if (first!.enqueuedAt < since) [oldest, since] = [bucket, first!.enqueuedAt];
    }
    const batch: R[] = [];
    let rows = 0;
    for (const request of oldest ?? []) {
      if (batch.length > 0 && rows + request.rows > this.maxBatchRows) break;
      batch.push(request);
      rows += request.rows;
    }
    for (const request of batch) this.remove(request);
    return batch;
  }
}

/** The dimensions behind the first: tensors that agree in them can be joined along it. */
function shapeKey(inputs: readonly Tensor[]): string {
  return inputs.map(({ shape }) => shape.slice(1).join('x')).join(';');
}
