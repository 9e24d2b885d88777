import type { Tensor } from '../onnx/tensor-encoding';
import type { Lane } from './batch-queue';
import type { Share } from './fair-shares';

/** What waits of one shape: inputs that agree in it can be joined along dimension 0. */
export interface Bucket {
  readonly hash: number;
  readonly shape: readonly Pick<Tensor, 'name' | 'shape'>[];
  /** Levels that have something waiting, the highest priority first. */
  readonly levels: LevelLanes[];
  rows: number;
  /** Another bucket with the same hash. */
  next: Bucket | undefined;
}

interface LevelLanes {
  readonly level: number;
  /** Each of them with something in it. */
  readonly lanes: Lane[];
}

/** The lanes of a queue, by shape. Shapes are compared as numbers: a text for each would cost more than queueing itself. */
export class ShapeBuckets {
  private readonly byHash = new Map<number, Bucket>();
  private count = 0;

  /** @param hasOneShape Whether all inputs have the same shape, dimension 0 aside: then nothing is compared. */
  constructor(private readonly hasOneShape: boolean) {}

  /** Buckets with something in them. */
  get size(): number {
    return this.count;
  }

  /** The lane for these inputs; a new one is empty until something is put into it. */
  lane(inputs: readonly Tensor[], level: number, share: Share): Lane {
    const bucket = this.find(inputs);
    const lanes = lanesAt(bucket, level);
    for (const lane of lanes) if (lane.share === share) return lane;
    const lane: Lane = { bucket, level, share, index: lanes.length, first: undefined, last: undefined };
    if (bucket.rows === 0) this.count += 1;
    lanes.push(lane);
    return lane;
  }

  /** So many rows were taken out of a lane. */
  left(lane: Lane, rows: number): void {
    const { bucket, index } = lane;
    bucket.rows -= rows;
    if (lane.first !== undefined) return;
    const at = bucket.levels.findIndex(({ level }) => level === lane.level);
    const { lanes } = bucket.levels[at]!;
    const last = lanes.pop()!;
    if (last !== lane) {
      lanes[index] = last;
      last.index = index;
    }
    if (lanes.length === 0) bucket.levels.splice(at, 1);
    if (bucket.rows > 0) return;
    this.count -= 1;
    if (!this.hasOneShape) this.forget(bucket);
  }

  *waiting(): Iterable<Bucket> {
    for (let bucket of this.byHash.values()) {
      if (bucket.rows > 0) yield bucket;
      while (bucket.next !== undefined) yield (bucket = bucket.next);
    }
  }

  *lanes(): Iterable<Lane> {
    for (const { levels } of this.waiting()) for (const { lanes } of levels) yield* lanes;
  }

  private find(inputs: readonly Tensor[]): Bucket {
    const hash = this.hasOneShape ? 0 : hashOf(inputs);
    const first = this.byHash.get(hash);
    for (let bucket = first; bucket !== undefined; bucket = bucket.next) {
      if (this.hasOneShape || haveSameShape(bucket.shape, inputs)) return bucket;
    }
    // Not the inputs themselves: their data would be kept for as long as the bucket.
    const shape = inputs.map(({ name, shape }) => ({ name, shape }));
    const bucket: Bucket = { hash, shape, levels: [], rows: 0, next: first };
    this.byHash.set(hash, bucket);
    return bucket;
  }

  private forget(bucket: Bucket): void {
    const first = this.byHash.get(bucket.hash)!;
    if (first === bucket) {
      if (bucket.next === undefined) this.byHash.delete(bucket.hash);
      else this.byHash.set(bucket.hash, bucket.next);
      return;
    }
    for (let before = first; before.next !== undefined; before = before.next) {
      if (before.next !== bucket) continue;
      before.next = bucket.next;
      return;
    }
  }
}

function lanesAt({ levels }: Bucket, level: number): Lane[] {
  let at = 0;
  while (at < levels.length && levels[at]!.level < level) at++;
  const found = levels[at];
  if (found?.level === level) return found.lanes;
  const lanes: Lane[] = [];
  levels.splice(at, 0, { level, lanes });
  return lanes;
}

/** Of the number of inputs and of every dimension behind the first. */
function hashOf(inputs: readonly Tensor[]): number {
  let hash = inputs.length;
  for (const { shape } of inputs) {
    hash = Math.imul(hash, 31) + shape.length;
    for (let d = 1; d < shape.length; d++) hash = (Math.imul(hash, 31) + shape[d]!) | 0;
  }
  return hash;
}

function haveSameShape(a: Bucket['shape'], b: Bucket['shape']): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const [one, other] = [a[i]!, b[i]!];
    if (one.name !== other.name || one.shape.length !== other.shape.length) return false;
    for (let d = 1; d < one.shape.length; d++) if (one.shape[d] !== other.shape[d]) return false;
  }
  return true;
}
