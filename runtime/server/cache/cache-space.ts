import { randomUUID } from 'node:crypto';
import { readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { StartupError } from '../errors';
import { ModelError } from '../model-error';
import { readRecord, RECORD_FILE } from './cache-record';

const MIB = 2 ** 20;
const REMOVING = 'removing-';
/** Parts of a download that nobody went on with for so long are litter. */
const ABANDONED_MS = 24 * 3_600_000;

export interface RoomRequest {
  /** The folder of all entries. */
  readonly folder: string;
  /** The entry that is to be filled, and what it holds when it is. */
  readonly entry: string;
  readonly bytes: number;
  /** What all entries together may hold; undefined for what the disk holds. */
  readonly maxBytes: number | undefined;
  /** Entries of living processes: never removed. */
  readonly inUse: ReadonlySet<string>;
}

interface CacheEntry {
  readonly name: string;
  /** What it takes on the disk. */
  readonly bytes: number;
  /** What it will hold when it is complete. */
  readonly fullBytes: number;
  readonly usedAt: number;
}

/**
 * Removes what was used longest ago until an entry has room within the bound and on the disk.
 * To be called while nobody else changes the cache.
 * @throws ModelError when the bound is too low for it, StartupError NO_DISK_SPACE.
 */
export async function makeRoom({ folder, entry, bytes, maxBytes, inUse }: RoomRequest): Promise<void> {
  const all = await Promise.all((await entriesIn(folder)).map((name) => measure(folder, name)));
  const present = all.find(({ name }) => name === entry)?.bytes ?? 0;
  const others = all.filter(({ name }) => name !== entry);
  const idle = others.filter(({ name }) => !inUse.has(name)).sort((a, b) => a.usedAt - b.usedAt);
  const used = others.filter(({ name }) => inUse.has(name));
  const removeOldest = async (): Promise<boolean> => {
    const oldest = idle.shift();
    if (oldest !== undefined) await removeEntry(folder, oldest.name);
    return oldest !== undefined;
  };

  if (maxBytes !== undefined) {
    const heldByOthers = sum(used.map((other) => Math.max(other.bytes, other.fullBytes)));
    if (bytes + heldByOthers > maxBytes) throw tooLarge(bytes, heldByOthers, maxBytes);
    while (bytes + heldByOthers + sum(idle.map((other) => other.bytes)) > maxBytes) await removeOldest();
  }

  // What others are just fetching will need room too.
  const needed = Math.max(0, bytes - present) + sum(used.map((other) => Math.max(0, other.fullBytes - other.bytes)));
  while (needed > (await freeBytes(folder))) {
    if (!(await removeOldest())) throw diskFull(folder, needed, await freeBytes(folder));
  }
}

/** Removes what nobody goes on with: entries half removed, and downloads that were given up long ago. */
export async function removeLitter(folder: string, inUse: ReadonlySet<string>): Promise<void> {
  const names = await readdir(folder);
  for (const name of names.filter((name) => name.startsWith(REMOVING))) await remove(path.join(folder, name));
  for (const name of await entriesIn(folder)) {
    if (inUse.has(name) || (await readRecord(path.join(folder, name)))?.isComplete === true) continue;
    const { usedAt } = await measure(folder, name);
    if (Date.now() - usedAt > ABANDONED_MS) await removeEntry(folder, name);
  }
}

function tooLarge(bytes: number, heldByOthers: number, maxBytes: number): ModelError {
  const held = heldByOthers === 0 ? '' : `, of which models that are being served hold ${toMiB(heldByOthers)} MiB`;
  return new ModelError(
    `its files need ${toMiB(bytes)} MiB, the cache may hold ${toMiB(maxBytes)} MiB${held}; set SLIPWAY_CACHE_MIB higher`,
  );
}

function diskFull(folder: string, needed: number, free: number): StartupError {
  return new StartupError(
    'NO_DISK_SPACE',
    `the models need ${toMiB(needed)} MiB in ${path.dirname(folder)}, ${toMiB(free)} MiB are free; give the replica more storage or set SLIPWAY_CACHE_DIRECTORY`,
  );
}

async function entriesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith(REMOVING) && !name.startsWith('lock-'));
}

async function measure(folder: string, name: string): Promise<CacheEntry> {
  const entry = path.join(folder, name);
  const record = await readRecord(entry);
  const { mtimeMs } = await stat(path.join(entry, RECORD_FILE)).catch(() => stat(entry));
  const bytes = await sizeOf(entry);
  return { name, bytes, fullBytes: record?.bytes ?? bytes, usedAt: mtimeMs };
}

/** What a tree takes on the disk; a file that is being written has holes. Another process may be moving files in it. */
async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const place = path.join(folder, entry.name);
      if (entry.isDirectory()) return sizeOf(place);
      const stats = await stat(place).catch(() => undefined);
      return stats === undefined ? 0 : Math.min(stats.size, stats.blocks * 512);
    }),
  );
  return sum(sizes);
}

/** By another name first: what is half removed is no entry any more. */
async function removeEntry(folder: string, name: string): Promise<void> {
  const removing = path.join(folder, `${REMOVING}${randomUUID()}`);
  await rename(path.join(folder, name), removing);
  await remove(removing);
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function toMiB(bytes: number): number {
  return Math.ceil(bytes / MIB);
}
