import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ModelToolError } from '../tool-error';
import { createEnvironment, MARKER } from './create-environment';
import { examinePython, packagesOf, unfitness } from './examine-python';
import { findPython } from './find-python';
import { pythonSet, requirementsText, type PythonSet, type PythonSetName } from './python-sets';

/** An interpreter that has the packages of a set. */
export interface PythonEnvironment {
  /** Path of the interpreter. */
  readonly python: string;
  /** Of the interpreter, such as `3.11.7`. */
  readonly version: string;
  /** Versions of the packages that the set is about, for reports and provenance. */
  readonly packages: Readonly<Record<string, string>>;
}

export interface PythonOptions {
  /**
   * An interpreter that has the packages.
   * @default - SLIPWAY_MODEL_PYTHON_<SET>, then SLIPWAY_MODEL_PYTHON; without them Slipway makes an environment of its own
   */
  readonly python?: string | undefined;
  /** Told what takes long. @default - nobody is told */
  readonly progress?: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** @default - the environment of this process */
  readonly environment?: NodeJS.ProcessEnv;
}

/**
 * An interpreter with the packages of a set: the one that is given, checked, or that of an environment which Slipway makes once
 * and keeps in the user's cache.
 * @throws ModelToolError PYTHON_MISSING where there is no interpreter to begin with, PYTHON_UNFIT for a given one that lacks a
 * package, PYTHON_SETUP_FAILED where pip fails
 */
export async function pythonFor(
  set: PythonSetName | PythonSet,
  options: PythonOptions = {},
): Promise<PythonEnvironment> {
  const wanted = typeof set === 'string' ? pythonSet(set) : set;
  const environment = options.environment ?? process.env;
  const given = givenPython(wanted, options.python, environment);
  if (given !== undefined) return checkGiven(wanted, given.python, given.by, environment, options.signal);
  const place = await placeOfEnvironment(wanted, environment, options.signal);
  return (
    (await readEnvironment(place.directory)) ??
    (await createEnvironment(wanted, place, { ...options, environment }, () => readEnvironment(place.directory)))
  );
}

/** The environment of a set where it can be had without installing anything. */
export async function findEnvironment(
  set: PythonSetName | PythonSet,
  options: PythonOptions = {},
): Promise<PythonEnvironment | undefined> {
  const wanted = typeof set === 'string' ? pythonSet(set) : set;
  const environment = options.environment ?? process.env;
  const given = givenPython(wanted, options.python, environment);
  if (given !== undefined) return checkGiven(wanted, given.python, given.by, environment, options.signal);
  try {
    return await readEnvironment((await placeOfEnvironment(wanted, environment, options.signal)).directory);
  } catch (error) {
    if (ModelToolError.is(error) && error.code === 'PYTHON_MISSING') return undefined;
    throw error;
  }
}

function givenPython(set: PythonSet, option: string | undefined, environment: NodeJS.ProcessEnv) {
  if (option !== undefined) return { python: option, by: '--python' };
  const names = [`SLIPWAY_MODEL_PYTHON_${set.name.toUpperCase()}`, 'SLIPWAY_MODEL_PYTHON'];
  const by = names.find((name) => (environment[name] ?? '') !== '');
  return by === undefined ? undefined : { python: environment[by]!, by };
}

async function checkGiven(
  set: PythonSet,
  python: string,
  by: string,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<PythonEnvironment> {
  const facts = await examinePython(python, packagesOf(set), environment, signal);
  if (facts === undefined) {
    throw new ModelToolError(
      'PYTHON_MISSING',
      by,
      `must be an interpreter of Python ${set.versions[0]} or newer, and '${python}' cannot be started as one`,
    );
  }
  const reasons = unfitness(set, facts);
  if (reasons.length > 0) {
    throw new ModelToolError(
      'PYTHON_UNFIT',
      by,
      `'${python}' cannot be used for ${set.name}: ${reasons.join(', ')}; install that there, or leave ${by} out and Slipway makes an environment of its own`,
    );
  }
  return { python, version: facts.version, packages: facts.packages };
}

/** Where the environment of a set belongs, by all that decides what is in it. */
async function placeOfEnvironment(set: PythonSet, environment: NodeJS.ProcessEnv, signal?: AbortSignal) {
  const base = await findPython(set, environment, signal);
  const { version, implementation, machine } = base.facts;
  const minor = version.split('.').slice(0, 2).join('.');
  const digest = createHash('sha256')
    .update(JSON.stringify([requirementsText(set), implementation, minor, machine]))
    .digest('hex');
  const { XDG_CACHE_HOME: cacheHome = '', HOME: home = homedir() } = environment;
  const cache = cacheHome === '' ? join(home, '.cache') : cacheHome;
  return { base: base.python, directory: join(cache, 'slipway', 'python', `${set.name}-${digest.slice(0, 16)}`) };
}

/** Undefined where it is not whole, or its interpreter is gone. */
async function readEnvironment(directory: string): Promise<PythonEnvironment | undefined> {
  const python = join(directory, 'bin', 'python');
  try {
    await access(python);
    const marker = JSON.parse(readFileSync(join(directory, MARKER), 'utf8')) as Omit<PythonEnvironment, 'python'>;
    return { python, version: marker.version, packages: marker.packages };
  } catch {
    return undefined;
  }
}
