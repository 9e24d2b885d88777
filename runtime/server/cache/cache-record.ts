import { readFile, rename, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';

export const RECORD_FILE = 'entry.json';

export interface RecordedFile {
  readonly path: string;
  readonly sha256: string;
}

/** What an entry of the cache holds. It is written before the first byte is fetched, and again when the last one is there. */
export interface CacheRecord {
  /** Of the files of the whole entry, as far as they are known. */
  readonly bytes: number;
  readonly isComplete: boolean;
  /** The files that are there; all of them when it is complete. */
  readonly files: readonly RecordedFile[];
}

/** @returns undefined when there is none that can be read */
export async function readRecord(entry: string): Promise<CacheRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(path.join(entry, RECORD_FILE), 'utf8')) as CacheRecord;
    return Array.isArray(record.files) ? record : undefined;
  } catch {
    return undefined;
  }
}

export async function writeRecord(entry: string, record: CacheRecord): Promise<void> {
  const file = path.join(entry, RECORD_FILE);
  await writeFile(`${file}.new`, JSON.stringify(record));
  await rename(`${file}.new`, file);
}

/** The time of the record is when the entry was last used. */
export async function markUsed(entry: string): Promise<void> {
  const now = new Date();
  await utimes(path.join(entry, RECORD_FILE), now, now);
}
