import { randomUUID } from 'node:crypto';
import { constants as ACCESS, rmSync } from 'node:fs';
import { access, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { clearAwayAtEnd } from './clear-away';
import { ModelToolError } from './tool-error';

export interface OutputOptions {
  /** Replace what is there. @default false: refused */
  readonly overwrite?: boolean;
}

/**
 * Makes a file, whole or not at all: `write` leaves it, under its own name, in a temporary folder beside it, with whatever lies
 * beside it (external data, a history), and then everything is renamed into place, the file itself last. Where `write` fails,
 * the disk is full, or the process is asked to end, nothing is left; after SIGKILL at most a folder `.<name>.<id>`. What is
 * there already is refused before `write` begins.
 * @throws ModelToolError OUTPUT_EXISTS, OUTPUT_UNWRITABLE; and what `write` throws
 */
export async function writeOutput<T>(
  file: string,
  { overwrite = false }: OutputOptions,
  write: (temporaryFolder: string) => Promise<T>,
): Promise<T> {
  const target = path.resolve(file);
  await refuseExisting(target, file, overwrite, 'file');
  return inTemporaryFolder(target, file, async (folder) => {
    const result = await write(folder);
    const names = await readdir(folder);
    const beside = names.filter((name) => name !== path.basename(target));
    if (beside.length === names.length) throw new Error(`nothing was written for ${file}`);
    const place = (name: string) => path.join(path.dirname(target), name);
    for (const name of beside) await refuseExisting(place(name), place(name), overwrite, 'file');
    await Promise.all(names.map((name) => flush(path.join(folder, name))));
    // An old model beside new external data would be neither of the two: better none for a moment.
    if (beside.length > 0) await rm(target, { force: true });
    for (const name of [...beside, path.basename(target)]) await rename(path.join(folder, name), place(name));
    return result;
  });
}

/**
 * The same for a folder of files: `write` fills a temporary folder, which then gets its name.
 * @throws as `writeOutput`
 */
export async function writeOutputFolder<T>(
  folder: string,
  { overwrite = false }: OutputOptions,
  write: (temporaryFolder: string) => Promise<T>,
): Promise<T> {
  const target = path.resolve(folder);
  await refuseExisting(target, folder, overwrite, 'folder');
  return inTemporaryFolder(target, folder, async (unfinished) => {
    const result = await write(unfinished);
    const entries = await readdir(unfinished, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    for (const name of files) await flush(name);
    const before = unfinishedName(target);
    const wasThere = await exists(target);
    if (wasThere) await rename(target, before);
    try {
      await rename(unfinished, target);
    } catch (error) {
      if (wasThere) await rename(before, target);
      throw error;
    }
    await rm(before, { recursive: true, force: true });
    return result;
  });
}

async function inTemporaryFolder<T>(target: string, file: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = unfinishedName(target);
  try {
    await mkdir(path.dirname(target), { recursive: true });
    await access(path.dirname(target), ACCESS.W_OK);
    await mkdir(folder);
  } catch (error) {
    throw new ModelToolError('OUTPUT_UNWRITABLE', file, `cannot be made: ${(error as Error).message}`);
  }
  const done = clearAwayAtEnd(() => rmSync(folder, { recursive: true, force: true }));
  try {
    return await use(folder);
  } catch (error) {
    if (!isOfDisk(error, folder)) throw error;
    throw new ModelToolError('OUTPUT_UNWRITABLE', file, `cannot be written: ${error.message}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
    done();
  }
}

function unfinishedName(target: string): string {
  return path.join(path.dirname(target), `.${path.basename(target)}.${randomUUID()}`);
}

async function refuseExisting(
  target: string,
  shown: string,
  overwrite: boolean,
  kind: 'file' | 'folder',
): Promise<void> {
  const stats = await stat(target).catch(() => undefined);
  if (stats === undefined) return;
  const isOfKind = kind === 'folder' ? stats.isDirectory() : stats.isFile();
  if (!isOfKind) throw new ModelToolError('OUTPUT_EXISTS', shown, `is there and is no ${kind}: give another name`);
  if (overwrite) return;
  throw new ModelToolError('OUTPUT_EXISTS', shown, 'is there already: give another name, or --overwrite to replace it');
}

async function exists(target: string): Promise<boolean> {
  return (await stat(target).catch(() => undefined)) !== undefined;
}

/** A rename may reach the disk before the bytes that it names. */
async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const OF_ANY_DISK = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EFBIG', 'EIO']);

/** An error of the disk names the call that met it, and in most cases the file. */
function isOfDisk(error: unknown, folder: string): error is NodeJS.ErrnoException {
  if (!(error instanceof Error)) return false;
  const { code, path: where } = error as NodeJS.ErrnoException;
  return code !== undefined && (OF_ANY_DISK.has(code) || where?.startsWith(folder) === true);
}
