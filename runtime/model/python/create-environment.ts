import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clearAwayAtEnd } from '../clear-away';
import { ModelToolError } from '../tool-error';
import type { PythonEnvironment, PythonOptions } from './environment';
import { examinePython, packagesOf } from './examine-python';
import { pipEnvironment } from './process-environment';
import { runChild } from './run-child';
import type { PythonSet } from './python-sets';

/** Written last: an environment without it is not whole. */
export const MARKER = 'slipway-environment.json';

export interface EnvironmentPlace {
  /** The interpreter that the environment is made of. */
  readonly base: string;
  readonly directory: string;
}

type CreateOptions = PythonOptions & { readonly environment: NodeJS.ProcessEnv };

/** PyTorch with CUDA is 5 GB. */
const INSTALL_SECONDS = 3_600;
const WAIT_SECONDS = INSTALL_SECONDS;
const HEARTBEAT_SECONDS = 5;
/** Whoever holds the lock touches it: one that was not touched for this long belongs to a process that is gone. */
const STALE_SECONDS = 60;

/**
 * Makes the environment of a set under another name, and renames it when it is whole. Of two processes that want the same
 * one, the second waits for the first.
 * @param present reads the environment if somebody else has made it meanwhile
 */
export async function createEnvironment(
  set: PythonSet,
  place: EnvironmentPlace,
  options: CreateOptions,
  present: () => Promise<PythonEnvironment | undefined>,
): Promise<PythonEnvironment> {
  await mkdirOrFail(dirname(place.directory));
  return withLock(`${place.directory}.lock`, options, async () => {
    const made = await present();
    if (made !== undefined) return made;
    const building = `${place.directory}.${randomBytes(4).toString('hex')}`;
    const done = clearAwayAtEnd(() => rmSync(building, { recursive: true, force: true, maxRetries: 10 }));
    try {
      await removeLeftOvers(place.directory);
      options.progress?.(
        `making a Python environment for ${set.name} in ${place.directory}; this is done once and takes some minutes`,
      );
      const facts = await build(set, place.base, building, options);
      await rm(place.directory, { recursive: true, force: true });
      await rename(building, place.directory);
      return { ...facts, python: join(place.directory, 'bin', 'python') };
    } catch (error) {
      await rm(building, { recursive: true, force: true });
      throw error;
    } finally {
      done();
    }
  });
}

async function build(set: PythonSet, base: string, directory: string, options: CreateOptions) {
  await step(set, base, ['-I', '-m', 'venv', directory], options);
  const python = join(directory, 'bin', 'python');
  const pip = ['-I', '-m', 'pip', 'install', '--progress-bar', 'off'];
  for (const file of set.requirements) await step(set, python, [...pip, '-r', file], options);
  for (const file of set.withoutDependencies ?? []) await step(set, python, [...pip, '--no-deps', '-r', file], options);
  const facts = await examinePython(python, packagesOf(set), options.environment, options.signal);
  if (facts === undefined) throw new ModelToolError('PYTHON_SETUP_FAILED', set.name, 'the environment does not start');
  const marker = { version: facts.version, packages: facts.packages };
  await writeFile(join(directory, MARKER), JSON.stringify(marker, undefined, 2));
  return marker;
}

async function step(set: PythonSet, program: string, args: readonly string[], options: CreateOptions): Promise<void> {
  const { exitCode, timedOut, lastLines } = await runChild(program, args, {
    environment: pipEnvironment(options.environment),
    onLine: (line) => {
      const collected = /^Collecting (\S+==\S+)/.exec(line)?.[1];
      if (collected !== undefined) options.progress?.(`pip collects ${collected}`);
      else if (line.startsWith('Installing collected packages')) options.progress?.('pip installs what it collected');
    },
    signal: options.signal,
    timeoutSeconds: INSTALL_SECONDS,
  });
  if (exitCode === 0) return;
  const said = lastLines.filter((line) => /^\s*(ERROR|error|E:|The virtual environment|OSError|No module)/.test(line));
  const reason = timedOut
    ? `took more than ${INSTALL_SECONDS} seconds`
    : `failed: ${(said.length > 0 ? said : lastLines.slice(-3)).join(' ').replace(/\s+/g, ' ').trim()}`;
  throw new ModelToolError(
    'PYTHON_SETUP_FAILED',
    set.name,
    `${args.includes('venv') ? 'python -m venv' : 'pip install'} ${reason}; pip obeys your own configuration (index, proxy, certificates), and --python takes an interpreter that has the packages`,
  );
}

async function withLock<T>(path: string, options: CreateOptions, work: () => Promise<T>): Promise<T> {
  await acquire(path, options);
  const released = clearAwayAtEnd(() => rmSync(path, { force: true }));
  const heartbeat = setInterval(() => {
    const now = new Date();
    // Gone when somebody took this process for dead; both then make the same thing, and one of them wins the name.
    utimes(path, now, now).catch(() => {});
  }, HEARTBEAT_SECONDS * 1_000);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    await rm(path, { force: true });
    released();
  }
}

async function acquire(path: string, { progress, signal }: CreateOptions): Promise<void> {
  const deadline = Date.now() + WAIT_SECONDS * 1_000;
  let told = false;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const file = await open(path, 'wx');
      await file.close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(path, error);
    }
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > STALE_SECONDS * 1_000) await rm(path, { force: true });
    else if (Date.now() > deadline) {
      throw new ModelToolError(
        'PYTHON_SETUP_FAILED',
        path,
        `somebody else has been making this environment for ${WAIT_SECONDS} seconds; delete the file if nobody is`,
      );
    } else {
      if (!told) progress?.('waiting for another process, which makes the same Python environment');
      told = true;
      await sleep(500, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** What processes that were killed have begun. Only the holder of the lock is here, so nobody works on them. */
async function removeLeftOvers(directory: string): Promise<void> {
  const names = await readdir(dirname(directory));
  const old = names.filter((name) => name.startsWith(`${basename(directory)}.`) && !name.endsWith('.lock'));
  for (const name of old) await rm(join(dirname(directory), name), { recursive: true, force: true });
}

async function mkdirOrFail(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw unwritable(directory, error);
  }
}

function unwritable(path: string, error: unknown): ModelToolError {
  return new ModelToolError(
    'PYTHON_SETUP_FAILED',
    path,
    `cannot be written (${(error as NodeJS.ErrnoException).code}); XDG_CACHE_HOME says where the cache is`,
  );
}
