import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { processSpace, processStart } from '../machine';

/** How often a process says that it lives, and after how long a silence it is taken for dead where nobody can look. */
const HEARTBEAT_MS = 4_000;
const SILENCE_MS = 20_000;

interface User {
  readonly pid: number;
  readonly start: string;
  readonly space: string;
  /** Names of the entries that it serves from. */
  readonly entries: readonly string[];
}

/**
 * The processes that share a cache, each with a file that says which entries it uses. One lives as long as it keeps its file
 * fresh, by the clock of the volume; one of this container or machine that is not there any more is dead at once.
 */
export class CacheUsers {
  /** This process. */
  readonly id = randomUUID();
  private readonly entries = new Map<string, number>();
  private heartbeat: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly folder: string) {}

  /** Says that this process uses an entry, until `leave` was called as often. */
  async enter(entry: string): Promise<void> {
    this.entries.set(entry, (this.entries.get(entry) ?? 0) + 1);
    await this.appear();
  }

  async leave(entry: string): Promise<void> {
    const count = (this.entries.get(entry) ?? 1) - 1;
    if (count > 0) this.entries.set(entry, count);
    else this.entries.delete(entry);
    await this.appear();
  }

  /** Shows this process to the others, from now on as long as it lives. */
  async appear(): Promise<void> {
    await this.write();
    this.heartbeat ??= setInterval(() => void this.beat(), HEARTBEAT_MS).unref();
  }

  private async beat(): Promise<void> {
    try {
      await this.write();
    } catch (error) {
      const now = new Date();
      // A full disk takes no file, but still a time. A cache whose folder is gone has no users.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        await utimes(this.fileOf(this.id), now, now).catch(() => {});
      else this.stop();
    }
  }

  private stop(): void {
    clearInterval(this.heartbeat);
    this.heartbeat = undefined;
  }

  /** The living processes, and which entries each uses. Files of dead ones are removed. */
  async living(): Promise<ReadonlyMap<string, readonly string[]>> {
    // Written now, so that its time is the volume's own idea of now.
    await this.appear();
    const now = (await stat(this.fileOf(this.id))).mtimeMs;
    const living = new Map<string, readonly string[]>([[this.id, [...this.entries.keys()]]]);
    for (const name of await readdir(this.folder)) {
      const id = /^(.+)\.json$/.exec(name)?.[1];
      if (id === undefined || id === this.id) continue;
      const user = await this.read(id);
      if (user !== undefined && (await this.isAlive(id, user, now))) living.set(id, user.entries);
      else await rm(this.fileOf(id), { force: true });
    }
    return living;
  }

  private async isAlive(id: string, user: User, now: number): Promise<boolean> {
    if (user.space === processSpace() && processStart(user.pid) !== user.start) return false;
    // A container that was started again may have the number and the start time of the one before.
    const seen = await stat(this.fileOf(id)).catch(() => undefined);
    return seen !== undefined && now - seen.mtimeMs < SILENCE_MS;
  }

  private async read(id: string): Promise<User | undefined> {
    try {
      const user = JSON.parse(await readFile(this.fileOf(id), 'utf8')) as User;
      return Array.isArray(user.entries) ? user : undefined;
    } catch {
      return undefined;
    }
  }

  /** One write after the other: each is whole, and the last one is the newest. */
  private write(): Promise<void> {
    this.writing = this.writing.catch(() => undefined).then(() => this.writeNow());
    return this.writing;
  }

  private async writeNow(): Promise<void> {
    const user: User = {
      pid: process.pid,
      start: processStart(process.pid) ?? '',
      space: processSpace(),
      entries: [...this.entries.keys()],
    };
    const fresh = path.join(this.folder, `${this.id}.new`);
    await writeFile(fresh, JSON.stringify(user));
    await rename(fresh, this.fileOf(this.id));
  }

  private fileOf(id: string): string {
    return path.join(this.folder, `${id}.json`);
  }
}
