import { ALIGNMENT } from './aligned-memory';
import { tuneGarbageCollector } from './collector';

/** Shorter memory costs less to make anew than to hand from thread to thread once more. */
const LEAST_BYTES = 64 * 1_024;
/** What is kept for later at most. */
const KEPT_BYTES = 32 * 1_024 * 1_024;

/**
 * Memory of bodies and batches, used again. Made anew for each of them it costs far more than filling it: its pages are zeroed
 * by the system, and the garbage collector, which counts memory outside its heap, collects the whole heap every few
 * hundred requests. Sizes are rounded up by at most an eighth, so that bodies of nearly one length share their memory.
 *
 * Only whoever is alone with a buffer gives it here: one that came back from another thread, or one that was detached.
 */
export class ReusableMemory {
  private readonly kept = new Map<number, ArrayBuffer[]>();
  private keptBytes = 0;
  /** What may be detached: other buffers of these sizes belong to somebody, such as the pool of Node 24. */
  private readonly taken = new WeakSet<ArrayBuffer>();

  constructor(private readonly limit = KEPT_BYTES) {}

  /** Memory of so many bytes or more that begins as an allocation does. From 64 KiB up it is not zeroed. */
  take(bytes: number): ArrayBuffer {
    if (bytes < LEAST_BYTES) return new ArrayBuffer(bytes);
    const size = sizeFor(bytes);
    const used = this.kept.get(size)?.pop();
    if (used === undefined) tuneGarbageCollector();
    else this.keptBytes -= size;
    const buffer = used ?? new ArrayBuffer(size);
    this.taken.add(buffer);
    return buffer;
  }

  /** Keeps a buffer that nobody else uses. What it holds stays in it. */
  give(buffer: ArrayBuffer): void {
    const size = buffer.byteLength;
    if (!isReusable(buffer) || size > this.limit) return;
    while (this.keptBytes + size > this.limit) this.drop(size);
    const others = this.kept.get(size);
    if (others === undefined) this.kept.set(size, [buffer]);
    else others.push(buffer);
    this.keptBytes += size;
  }

  /** As `give`, for a buffer that was taken here and that views may still be left of: they become empty. */
  reclaim(buffer: ArrayBuffer): void {
    if (this.taken.delete(buffer) && buffer.byteLength > 0) this.give(detach(buffer));
  }

  /** Makes room: of another size before one of its own. */
  private drop(size: number): void {
    for (const [other, buffers] of this.kept) {
      if (buffers.length === 0 || (other === size && this.keptBytes > buffers.length * size)) continue;
      buffers.pop();
      this.keptBytes -= other;
      if (buffers.length === 0) this.kept.delete(other);
      return;
    }
  }
}

/** The one of this process: executors give back what bodies and batches took. */
export const MEMORY = new ReusableMemory();

/** Whether a buffer is of a size that is kept: most likely it was taken here. */
export function isReusable({ byteLength }: ArrayBuffer): boolean {
  return byteLength >= LEAST_BYTES && byteLength === sizeFor(byteLength);
}

/** The next size up of eight between each power of two and its double. */
function sizeFor(bytes: number): number {
  const step = 2 ** Math.max(Math.floor(Math.log2(bytes)) - 3, Math.log2(ALIGNMENT));
  return Math.ceil(bytes / step) * step;
}

/** The same memory as a buffer that nothing views. */
function detach(buffer: ArrayBuffer): ArrayBuffer {
  // Node 20 has no `transfer`.
  const { transfer } = buffer as ArrayBuffer & { transfer?: () => ArrayBuffer };
  return transfer === undefined ? structuredClone(buffer, { transfer: [buffer] }) : transfer.call(buffer);
}
