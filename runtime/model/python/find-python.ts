import { ModelToolError } from '../tool-error';
import { compareVersions, examinePython, type PythonFacts } from './examine-python';
import type { PythonSet } from './python-sets';

export interface FoundPython {
  readonly python: string;
  readonly facts: PythonFacts;
}

/**
 * An interpreter from the PATH that the packages of a set have wheels for: `python3`, else one by its version.
 * @throws ModelToolError PYTHON_MISSING naming what was found, and what to install
 */
export async function findPython(
  set: PythonSet,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<FoundPython> {
  const [from, to] = set.versions;
  const unfit: string[] = [];
  for (const python of ['python3', ...versionsBetween(from, to).map((version) => `python${version}`), 'python']) {
    const facts = await examinePython(python, [], environment, signal);
    if (facts === undefined) continue;
    const minor = facts.version.split('.').slice(0, 2).join('.');
    if (compareVersions(minor, from) >= 0 && compareVersions(minor, to) <= 0) return { python, facts };
    unfit.push(`${python} is ${facts.version}`);
  }
  const found = unfit.length === 0 ? 'none is on the PATH' : `on the PATH ${unfit.join(', ')}`;
  throw new ModelToolError(
    'PYTHON_MISSING',
    set.name,
    `needs Python ${from} to ${to}, and ${found}; install one with its venv module (Debian: apt-get install python3-venv), or give an interpreter that has the packages with --python`,
  );
}

function versionsBetween(from: string, to: string): readonly string[] {
  const [first, last] = [from, to].map((version) => Number(version.split('.')[1]));
  return Array.from({ length: last! - first! + 1 }, (_, i) => `3.${last! - i}`);
}
