import type { BatchPolicy } from './batch-policy';
import { FairShares, type Share } from './fair-shares';
import type { QueuedCall } from './queued-call';
import { ShapeBuckets, type Bucket } from './shape-buckets';

/** What one tenant has waiting in one bucket and at one level, first come first served. */
export interface Lane {
  readonly bucket: Bucket;
  readonly level: number;
  readonly share: Share;
  /** Its place among the lanes of its bucket and level. */
  index: number;
  first: QueuedCall | undefined;
  last: QueuedCall | undefined;
}

type QueuePolicy = Pick<BatchPolicy, 'maxBatchRows' | 'preferredBatchSizes' | 'maxQueueDelayMs'>;

/**
 * Requests that wait for an executor. Only requests of one shape can share a run, so each shape has a bucket, and no bucket
 * holds up another. Within a level of priority the tenant that has had the fewest rows comes first, and within a tenant
 * whoever came first.
 */
export class BatchQueue {
  private readonly buckets: ShapeBuckets;
  /** By level, each once it is used. */
  private readonly shares: FairShares[] = [];
  private readonly waitingRows: number[];
  private readonly waitingCalls: number[];
  private allRows = 0;
  private calls = 0;
  /** Nothing that waits is past its time before this. */
  private pastAt = Infinity;
  private delayEndsAt = Infinity;

  /** @param hasOneShape Whether all requests have the same shape, dimension 0 aside. */
  constructor(
    private readonly policy: QueuePolicy,
    private readonly levels: number,
    hasOneShape: boolean,
  ) {
    this.buckets = new ShapeBuckets(hasOneShape);
    this.waitingRows = new Array<number>(levels).fill(0);
    this.waitingCalls = new Array<number>(levels).fill(0);
  }

  get rows(): number {
    return this.allRows;
  }

  get isEmpty(): boolean {
    return this.calls === 0;
  }

  /** Runs that it takes for so many rows of those that wait. */
  runsOf(rows: number): number {
    const full = Math.ceil(rows / this.policy.maxBatchRows);
    return Math.max(full, Math.min(rows, this.buckets.size));
  }

  /** When `nextBucket` is to be asked again, after it found only batches that wait for more rows. */
  get nextAt(): number {
    return this.delayEndsAt;
  }

  /** Whether a whole batch waits: nothing is won by letting it wait for more. */
  get hasFullBatch(): boolean {
    return this.allRows >= this.policy.maxBatchRows * this.buckets.size && this.allRows > 0;
  }

  callsAt(level: number): number {
    return this.waitingCalls[level]!;
  }

  shareOf(tenant: string, level: number): Share {
    return this.sharesAt(level).of(tenant);
  }

  /** Rows that will be served before the last of so many more of this tenant, as things stand. */
  rowsAhead(level: number, share: Share, rows: number): number {
    let ahead = 0;
    for (let l = 0; l < level; l++) ahead += this.waitingRows[l]!;
    const here = this.waitingRows[level]!;
    if (here === share.waitingRows) return ahead + here;
    const fair = share.waitingRows + rows;
    for (const other of this.sharesAt(level).all()) ahead += Math.min(other.waitingRows, fair);
    return ahead;
  }

  add(call: QueuedCall): void {
    const lane = this.laneOf(call);
    call.previous = lane.last;
    if (lane.last === undefined) lane.first = call;
    else lane.last.next = call;
    lane.last = call;
    this.count(call, lane);
  }

  /** Puts a call back that was taken and has not run. */
  putBack(call: QueuedCall): void {
    const lane = this.laneOf(call);
    call.next = lane.first;
    if (lane.first === undefined) lane.last = call;
    else lane.first.previous = call;
    lane.first = call;
    this.count(call, lane);
    this.sharesAt(call.level).givesBack(lane.share, call.countedRows);
  }

  /** @returns false when the call does not wait. */
  remove(call: QueuedCall): boolean {
    const { lane, previous, next } = call;
    if (lane === undefined) return false;
    if (previous === undefined) lane.first = next;
    else previous.next = next;
    if (next === undefined) lane.last = previous;
    else next.previous = previous;
    call.lane = call.previous = call.next = undefined;
    const { level } = lane;
    const rows = call.countedRows;
    this.allRows -= rows;
    this.calls -= 1;
    this.waitingRows[level]! -= rows;
    this.waitingCalls[level]! -= 1;
    this.sharesAt(level).leaves(lane.share, rows);
    this.buckets.left(lane, rows);
    return true;
  }

  /**
   * Hands out what must not run any more, each call once. It looks only when something can be past its time.
   * @param expired May add the call again.
   */
  dropPast(now: number, expired: (call: QueuedCall) => void): void {
    if (now < this.pastAt) return;
    const past: QueuedCall[] = [];
    this.pastAt = Infinity;
    for (const lane of this.buckets.lanes()) {
      for (let call = lane.first; call !== undefined; call = call.next) {
        if (call.isPast(now)) past.push(call);
        else this.pastAt = Math.min(this.pastAt, call.expiresAt, call.call.deadlineAt);
      }
    }
    for (const call of past) {
      this.remove(call);
      expired(call);
    }
  }

  /** The bucket whose turn it is; undefined when every one waits for more rows, until `nextAt`. */
  nextBucket(now: number): Bucket | undefined {
    let best: QueuedCall | undefined;
    this.delayEndsAt = Infinity;
    for (const bucket of this.buckets.waiting()) {
      if (!this.isDue(bucket, now)) continue;
      const first = firstOf(bucket);
      if (best === undefined || comesBefore(first, best)) best = first;
    }
    return best?.lane!.bucket;
  }

  /** Who comes first in a bucket that has something in it. */
  firstOf(bucket: Bucket): QueuedCall {
    return firstOf(bucket);
  }

  /** The next batch of a bucket: in order, as many as fit. */
  take(bucket: Bucket): QueuedCall[] {
    const limit = this.batchRowsOf(bucket);
    const batch: QueuedCall[] = [];
    let rows = 0;
    while (bucket.levels.length > 0 && rows < limit) {
      const call = firstOf(bucket);
      const { share } = call.lane!;
      rows += call.countedRows;
      if (batch.length > 0 && rows > limit) break;
      this.remove(call);
      this.sharesAt(call.level).serves(share, call.countedRows);
      batch.push(call);
    }
    return batch;
  }

  /**
   * The call that gives way to one of this level and share: the newest of the tenant that has most rows waiting, at the
   * lowest level. At the same level only a tenant gives way that has more waiting than the other would have.
   */
  findWeaker(level: number, share: Share, rows: number): QueuedCall | undefined {
    for (let l = this.levels - 1; l >= level; l--) {
      if (this.waitingRows[l] === 0) continue;
      let heaviest: Share | undefined;
      for (const other of this.sharesAt(l).all()) {
        if (other.waitingRows > (heaviest?.waitingRows ?? 0)) heaviest = other;
      }
      if (l === level && (heaviest === share || heaviest!.waitingRows <= share.waitingRows + rows)) continue;
      let newest: QueuedCall | undefined;
      for (const lane of this.buckets.lanes()) {
        if (lane.level !== l || lane.share !== heaviest) continue;
        if (newest === undefined || lane.last!.number > newest.number) newest = lane.last;
      }
      return newest;
    }
    return undefined;
  }

  private laneOf({ call, level }: QueuedCall): Lane {
    return this.buckets.lane(call.inputs, level, this.sharesAt(level).of(call.tenant));
  }

  private count(call: QueuedCall, lane: Lane): void {
    const rows = call.countedRows;
    call.lane = lane;
    lane.bucket.rows += rows;
    this.allRows += rows;
    this.calls += 1;
    this.waitingRows[lane.level]! += rows;
    this.waitingCalls[lane.level]! += 1;
    this.sharesAt(lane.level).waits(lane.share, rows);
    this.pastAt = Math.min(this.pastAt, call.expiresAt, call.call.deadlineAt);
  }

  private isDue(bucket: Bucket, now: number): boolean {
    const { maxQueueDelayMs, preferredBatchSizes, maxBatchRows } = this.policy;
    if (maxQueueDelayMs === 0 || bucket.rows >= (preferredBatchSizes[0] ?? maxBatchRows)) return true;
    let oldest = Infinity;
    for (const { lanes } of bucket.levels) for (const { first } of lanes) oldest = Math.min(oldest, first!.enqueuedAt);
    const endsAt = oldest + maxQueueDelayMs;
    if (endsAt <= now) return true;
    this.delayEndsAt = Math.min(this.delayEndsAt, endsAt);
    return false;
  }

  private batchRowsOf(bucket: Bucket): number {
    const { maxBatchRows, preferredBatchSizes } = this.policy;
    return preferredBatchSizes.findLast((size) => size <= bucket.rows) ?? maxBatchRows;
  }

  private sharesAt(level: number): FairShares {
    return (this.shares[level] ??= new FairShares());
  }
}

/** Of a bucket that has something in it. */
function firstOf({ levels }: Bucket): QueuedCall {
  const { lanes } = levels[0]!;
  let best = lanes[0]!.first!;
  for (let i = 1; i < lanes.length; i++) {
    const first = lanes[i]!.first!;
    if (comesBefore(first, best)) best = first;
  }
  return best;
}

function comesBefore(a: QueuedCall, b: QueuedCall): boolean {
  if (a.level !== b.level) return a.level < b.level;
  const [served, best] = [a.lane!.share.served, b.lane!.share.served];
  return served === best ? a.number < b.number : served < best;
}
