import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The folder of this package: where `dist/image` lies. Sources and what is compiled from them lie at different depths
 * below it, so it is found by its `package.json`.
 */
export function packageRoot(): string {
  for (let directory = __dirname; ; directory = dirname(directory)) {
    if (isOurs(join(directory, 'package.json'))) return directory;
    if (dirname(directory) === directory)
      throw new Error(`no package.json of slipway in any folder above ${__dirname}`);
  }
}

function isOurs(path: string): boolean {
  return existsSync(path) && (JSON.parse(readFileSync(path, 'utf8')) as { name?: string }).name === 'slipway';
}
