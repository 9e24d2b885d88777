import { readFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import path from 'node:path';
import type { FetchedModel } from './fetch-model';
import type { RegisteredModel } from './repository/registered-model';

const MIB = 2 ** 20;
/** A session holds the weights as they were read and again as its kernels want them. */
const COPIES_OF_A_SESSION = 2;
/** While a session is opened, the file is in memory once more. */
const COPIES_OF_OPENING = 1;
/** A thread with a JavaScript heap, the runtime's own tables, and buffers for one batch. */
const SESSION_BYTES = 24 * MIB;
/** Kept free: bodies, answers, and what estimates miss. */
const HEADROOM = 0.05;

export interface ModelMemoryOptions {
  /** What all models together may hold. @default - the memory limit of the container, less what the process uses for anything */
  readonly limitMiB?: number | undefined;
  /** Bytes that the container may use. @default - its control group, or the machine */
  readonly readLimit?: () => number;
  /** Bytes that the process uses. @default - its resident set */
  readonly readUse?: () => number;
}

/** What a model's memory is estimated by. */
export interface ModelWeights {
  readonly weightBytes: number;
  /** Sessions that hold weights of their own. */
  readonly sessions: number;
}

/** Whether another model fits in memory beside those that are loaded: asked before a session is opened, because afterwards it is too late. */
export class ModelMemory {
  private readonly held = new WeakMap<RegisteredModel, number>();
  private readonly readLimit: () => number;
  private readonly readUse: () => number;

  constructor(private readonly options: ModelMemoryOptions = {}) {
    this.readLimit = options.readLimit ?? readMemoryLimit;
    this.readUse = options.readUse ?? (() => process.memoryUsage.rss());
  }

  /**
   * Bytes that a model takes at most while it is opened and proven.
   * @param sessions That hold weights of their own.
   */
  estimate({ weightBytes, sessions }: ModelWeights): number {
    return sessions * (SESSION_BYTES + COPIES_OF_A_SESSION * weightBytes) + COPIES_OF_OPENING * weightBytes;
  }

  /** Bytes used now, to measure a load by: `record` later takes what was added. */
  mark(): number {
    return this.readUse();
  }

  /** Remembers what a loaded model holds: what the process grew by, within what can be true. */
  record(model: RegisteredModel, weights: ModelWeights, mark: number): void {
    const grown = this.readUse() - mark;
    const least = weights.sessions * weights.weightBytes;
    this.held.set(model, Math.min(this.estimate(weights), Math.max(least, grown)));
  }

  /** Remembers what a model will hold that is loaded beside others, so that it cannot be measured. */
  expect(model: RegisteredModel, { weightBytes, sessions }: ModelWeights): void {
    this.held.set(model, sessions * (SESSION_BYTES + COPIES_OF_A_SESSION * weightBytes));
  }

  heldBy(models: readonly RegisteredModel[]): number {
    return models.reduce((sum, model) => sum + (this.held.get(model) ?? 0), 0);
  }

  /** Bytes that are left for models beside these. */
  free(loaded: readonly RegisteredModel[]): number {
    const { limitMiB } = this.options;
    return limitMiB === undefined
      ? this.readLimit() * (1 - HEADROOM) - this.readUse()
      : limitMiB * MIB - this.heldBy(loaded);
  }
}

/** Bytes of a model's weights: as its manifest says, else those of its files. */
export async function weightBytesOf({ folder, manifest }: Pick<FetchedModel, 'folder' | 'manifest'>): Promise<number> {
  if (manifest !== undefined) return manifest.facts.weightBytes;
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(
    names.map(async (name) => {
      const stats = await stat(path.join(folder, name)).catch(() => undefined);
      return stats?.isFile() === true ? stats.size : 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Bytes that this process may use: the limit of its control group (v2, then v1), at most what the machine has. */
export function readMemoryLimit(root = '/sys/fs/cgroup'): number {
  const limit = readBytes(`${root}/memory.max`) ?? readBytes(`${root}/memory/memory.limit_in_bytes`) ?? Infinity;
  return Math.min(limit, totalmem());
}

/** `max` is no limit. */
function readBytes(file: string): number | undefined {
  try {
    const bytes = Number(readFileSync(file, 'utf8').trim());
    return Number.isFinite(bytes) ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** For messages. */
export function showMiB(bytes: number): string {
  return `${Math.ceil(Math.max(0, bytes) / MIB)} MiB`;
}
