import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';

/**
 * Gives a project what `npm install` in it would give, from what is installed here.
 * @param root of this package
 */
export function linkModules(project: string, root: string): void {
  const modules = path.join(project, 'node_modules');
  mkdirSync(modules);
  symlinkSync(root, path.join(modules, 'slipway'));
  for (const name of ['@pulumi', '@types', 'typescript']) {
    symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  }
}
