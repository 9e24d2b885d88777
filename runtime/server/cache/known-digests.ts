import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bootId } from '../machine';

/** Smaller files are hashed faster than looked up. */
const WORTH_KNOWING_BYTES = 2 ** 20;

interface KnownDigest {
  readonly path: string;
  readonly sha256: string;
  readonly state: string;
}

/**
 * SHA-256 of files that were hashed before and have not changed since: same size, inode, times of content and of inode, on
 * a machine that has not started anew in between. What is written down counts only while nobody else can write it.
 */
export class KnownDigests {
  constructor(private readonly folder: string) {}

  async sha256Of(file: string): Promise<string> {
    const state = await stateOf(file);
    const known = await this.read(file);
    if (known !== undefined && known.state === state) return known.sha256;
    const sha256 = await hashFile(file);
    // Of a file that changed meanwhile nothing is known.
    if ((await stateOf(file)) === state) await this.remember(file, sha256);
    return sha256;
  }

  /** Takes a digest for granted that was made while the file was written. */
  async remember(file: string, sha256: string): Promise<void> {
    const { size } = await stat(file);
    if (size < WORTH_KNOWING_BYTES) return;
    const known: KnownDigest = { path: file, sha256, state: await stateOf(file) };
    const fresh = `${this.placeOf(file)}.${process.pid}.new`;
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await writeFile(fresh, JSON.stringify(known));
      await rename(fresh, this.placeOf(file));
    } catch {
      // Where nothing can be written down, files are hashed every time.
    }
  }

  private async read(file: string): Promise<KnownDigest | undefined> {
    try {
      if (!(await isOurs(this.folder))) return undefined;
      const known = JSON.parse(await readFile(this.placeOf(file), 'utf8')) as KnownDigest;
      return known.path === file ? known : undefined;
    } catch {
      return undefined;
    }
  }

  private placeOf(file: string): string {
    return path.join(this.folder, `${createHash('sha256').update(file).digest('hex').slice(0, 32)}.json`);
  }
}

/** Whether a folder belongs to us and to nobody else: no other user may have put anything there. */
async function isOurs(folder: string): Promise<boolean> {
  const stats = await lstat(folder);
  return stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0;
}

/** Setting the time of the content back changes the time of the inode, which nobody can set. */
async function stateOf(file: string): Promise<string> {
  const { size, mtimeNs, ctimeNs, ino } = await stat(file, { bigint: true });
  return [bootId(), size, mtimeNs, ctimeNs, ino].join(' ');
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
