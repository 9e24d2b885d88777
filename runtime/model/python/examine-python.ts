import { join } from 'node:path';
import { pythonFolder, type PythonSet } from './python-sets';
import { pythonProcessEnvironment } from './process-environment';
import { runChild } from './run-child';

/** What an interpreter is and has. */
export interface PythonFacts {
  /** Such as `3.11.7`. */
  readonly version: string;
  readonly implementation: string;
  /** Operating system and processor. */
  readonly machine: string;
  /** Versions of those packages that were asked for and are there. */
  readonly packages: Readonly<Record<string, string>>;
}

const EXAMINE_SECONDS = 60;

/** Starts an interpreter to ask; undefined where it cannot be started, or is too old to answer. */
export async function examinePython(
  python: string,
  packages: readonly string[],
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<PythonFacts | undefined> {
  let answer = '';
  try {
    const { exitCode } = await runChild(python, ['-I', join(pythonFolder(), 'check_packages.py'), ...packages], {
      environment: pythonProcessEnvironment(environment),
      onLine: (line) => (answer = line),
      signal,
      timeoutSeconds: EXAMINE_SECONDS,
    });
    if (exitCode !== 0) return undefined;
    const facts = JSON.parse(answer) as PythonFacts & { packages: Record<string, string | null> };
    const there = Object.entries(facts.packages).filter(([, version]) => version !== null);
    return { ...facts, packages: Object.fromEntries(there) };
  } catch (error) {
    if (signal?.aborted === true) throw error;
    return undefined;
  }
}

/** Why an interpreter cannot be used for a set, each reason by a package's name; empty where it can. */
export function unfitness({ minimums, versions }: PythonSet, facts: PythonFacts): readonly string[] {
  const [from] = versions;
  const reasons = compareVersions(facts.version, from) < 0 ? [`Python ${facts.version} is older than ${from}`] : [];
  for (const [names, minimum] of Object.entries(minimums)) {
    const name = names.split('|').find((candidate) => facts.packages[candidate] !== undefined);
    const version = name === undefined ? undefined : facts.packages[name];
    if (version === undefined) reasons.push(`it has no ${names.replace('|', ' and no ')}`);
    else if (compareVersions(version, minimum) < 0) reasons.push(`${name} ${version} is older than ${minimum}`);
  }
  return reasons;
}

/** Every name that the lowest versions of a set are about. */
export function packagesOf({ minimums }: PythonSet): readonly string[] {
  return Object.keys(minimums).flatMap((names) => names.split('|'));
}

/** By the numbers of release: what follows them (`rc1`, `+cpu`) does not count. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => (/^[0-9.]*/.exec(version)?.[0] ?? '').split('.').map(Number));
  for (let i = 0; i < Math.max(left!.length, right!.length); i++) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
