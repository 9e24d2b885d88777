import type { Tensor, TensorData } from '../onnx/tensor-encoding';

/** An answer that was computed before. */
export interface CachedAnswer {
  readonly outputs: readonly Tensor[];
  /** What it took to compute. */
  readonly seconds: number;
}

interface Entry extends CachedAnswer {
  readonly bytes: number;
  readonly owner: ModelAnswers;
  readonly digest: string;
}

/** What an entry takes besides its tensors' data, roughly: keys, objects and their places in the maps. */
const ENTRY_BYTES = 1_024;
const TEXT_BYTES = 24;

/** Answers of all models of a replica, within so many bytes; what was not asked for longest goes first. */
export class ResponseCache {
  /** By last use, the oldest first. */
  private readonly entries = new Set<Entry>();
  private held = 0;

  constructor(private readonly maxBytes: number) {}

  get bytes(): number {
    return this.held;
  }

  /** The answers of one loaded model version: a version that is loaded anew begins with none. */
  open(): ModelAnswers {
    return new ModelAnswers(this);
  }

  /** @returns undefined when the answer is larger than the cache. */
  add(owner: ModelAnswers, digest: string, { outputs, seconds }: CachedAnswer): Entry | undefined {
    const bytes = ENTRY_BYTES + outputs.reduce((sum, { data }) => sum + bytesOf(data), 0);
    if (bytes > this.maxBytes) return undefined;
    const entry: Entry = { outputs: outputs.map(copy), seconds, bytes, owner, digest };
    this.entries.add(entry);
    this.held += bytes;
    for (const oldest of this.entries) {
      if (this.held <= this.maxBytes) break;
      oldest.owner.forget(oldest.digest);
    }
    return entry;
  }

  use(entry: Entry): void {
    this.entries.delete(entry);
    this.entries.add(entry);
  }

  remove(entry: Entry): void {
    if (this.entries.delete(entry)) this.held -= entry.bytes;
  }
}

/** One model version's part of the cache. */
export class ModelAnswers {
  private readonly byDigest = new Map<string, Entry>();
  private isClosed = false;

  constructor(private readonly cache: ResponseCache) {}

  /** The tensors are everybody's who asks: they are read, never handed over. */
  get(digest: string): CachedAnswer | undefined {
    const entry = this.byDigest.get(digest);
    if (entry !== undefined) this.cache.use(entry);
    return entry;
  }

  /** Keeps a copy. */
  add(digest: string, answer: CachedAnswer): void {
    if (this.isClosed || this.byDigest.has(digest)) return;
    const entry = this.cache.add(this, digest, answer);
    if (entry !== undefined) this.byDigest.set(digest, entry);
  }

  forget(digest: string): void {
    const entry = this.byDigest.get(digest);
    if (entry === undefined) return;
    this.byDigest.delete(digest);
    this.cache.remove(entry);
  }

  /** Forgets every answer, and those of runs that still go on: the model is no longer served. */
  close(): void {
    this.isClosed = true;
    for (const digest of [...this.byDigest.keys()]) this.forget(digest);
  }
}

/** Of its own: the rows of a batch are views of memory that the whole batch shares. */
function copy(tensor: Tensor): Tensor {
  return { ...tensor, data: tensor.data.slice() };
}

function bytesOf(data: TensorData): number {
  if (ArrayBuffer.isView(data)) return data.byteLength;
  return data.reduce((sum, text) => sum + TEXT_BYTES + 2 * text.length, 0);
}
