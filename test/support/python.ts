import { execFileSync } from 'node:child_process';
import { toolOnPath } from './tools';

/** The first `python3` on the PATH, where it can import all of these modules. */
export function pythonWith(...modules: readonly string[]): string | undefined {
  const python = toolOnPath('python3');
  return python !== undefined && canImport(python, modules) ? python : undefined;
}

export function canImport(python: string, modules: readonly string[]): boolean {
  try {
    execFileSync(python, ['-c', modules.map((name) => `import ${name}`).join('; ')], {
      stdio: 'ignore',
      timeout: 60_000,
    });
    return true;
  } catch {
    return false;
  }
}
