import { open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';

const JOURNAL = '.journal';
/** The hash of more at once would keep the thread that answers requests too long. */
const READ_BYTES = 2 ** 20;

/** How a file is cut, and by what it is known again. */
export interface PartialPlan {
  /** Of the content, whoever fetches it: parts that were kept under another one are of no use. */
  readonly identity: string;
  readonly bytes: number;
  readonly partBytes: number;
}

/**
 * A file that arrives in parts, in any order. A journal beside it names the parts that are there, so that another process
 * can go on where this one was ended.
 */
export class PartialFile {
  private constructor(
    private readonly path: string,
    private readonly plan: PartialPlan,
    private readonly file: FileHandle,
    private readonly journal: FileHandle,
    private readonly done: Set<number>,
    /** Whether parts were there that this process did not fetch. */
    readonly isResumed: boolean,
  ) {}

  static async open(path: string, plan: PartialPlan): Promise<PartialFile> {
    const done = await readJournal(path, plan);
    const isResumed = done !== undefined && done.size > 0;
    if (!isResumed) await removePartial(path);
    const file = await open(path, isResumed ? 'r+' : 'w+');
    const journal = await open(path + JOURNAL, 'a');
    if (!isResumed) await journal.write(`${header(plan)}\n`);
    return new PartialFile(path, plan, file, journal, done ?? new Set(), isResumed);
  }

  get count(): number {
    return Math.ceil(this.plan.bytes / this.plan.partBytes);
  }

  get missing(): readonly number[] {
    return Array.from({ length: this.count }, (_, part) => part).filter((part) => !this.done.has(part));
  }

  has(part: number): boolean {
    return this.done.has(part);
  }

  rangeOf(part: number): { readonly start: number; readonly end: number } {
    const start = part * this.plan.partBytes;
    return { start, end: Math.min(this.plan.bytes, start + this.plan.partBytes) };
  }

  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    await writeAll(this.file, chunks, position);
  }

  async finish(part: number): Promise<void> {
    await this.journal.write(`${part}\n`);
    this.done.add(part);
  }

  /** The bytes of a part that is there, a piece at a time. */
  async read(part: number, take: (chunk: Uint8Array) => void): Promise<void> {
    const { start, end } = this.rangeOf(part);
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - start));
    for (let position = start; position < end;) {
      const { bytesRead } = await this.file.read(buffer, 0, Math.min(buffer.length, end - position), position);
      if (bytesRead === 0) return;
      take(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.file.close(), this.journal.close()]);
  }

  /** Gives the whole file its name. */
  async moveTo(target: string): Promise<void> {
    await rename(this.path, target);
    await removePartial(this.path);
  }
}

export async function removePartial(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(path + JOURNAL, { force: true });
}

/** Writes all of it: one call may write less than it was given. */
export async function writeAll(file: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const { bytesWritten } = await file.writev([...chunks], position);
  if (bytesWritten < bytes) {
    const rest = Buffer.concat(chunks).subarray(bytesWritten);
    await writeAll(file, [rest], position + bytesWritten);
  }
}

/** The parts that are there; undefined when there are none of this very content. */
async function readJournal(path: string, plan: PartialPlan): Promise<Set<number> | undefined> {
  try {
    // What follows the last line break was being written when the process ended.
    const [first, ...parts] = (await readFile(path + JOURNAL, 'utf8')).split('\n').slice(0, -1);
    if (first !== header(plan)) return undefined;
    const done = new Set(parts.map(Number));
    const { size } = await stat(path);
    const isThere = (part: number): boolean =>
      Number.isSafeInteger(part) && part >= 0 && size >= Math.min(plan.bytes, (part + 1) * plan.partBytes);
    return [...done].every(isThere) ? done : undefined;
  } catch {
    return undefined;
  }
}

function header({ identity, bytes, partBytes }: PartialPlan): string {
  return JSON.stringify([identity, bytes, partBytes]);
}
