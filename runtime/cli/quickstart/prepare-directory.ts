import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RemediedError } from '../remedied-error';

/** Written first: what lies beside it is an earlier run's. */
const REQUEST_FILE = 'digit.json';
const REPLACED_FOLDERS = ['models', 'deploy'];

/**
 * Makes the folder of the demonstration, puts the request that it will send there, and removes what an earlier run left.
 * Nothing else is ever removed.
 * @throws RemediedError for a folder outside the package, or with folders that no earlier run made.
 */
export function prepareDirectory({ root, directory }: { root: string; directory: string }, request: string): void {
  const inside = path.relative(root, directory);
  // The Pulumi program that is written there finds its packages in the folders above it.
  if (inside === '' || inside.split(path.sep)[0] === '..' || path.isAbsolute(inside)) {
    throw new RemediedError(
      `--directory must be a folder inside ${root}, got ${directory}`,
      'name .slipway or a new one',
    );
  }
  const foreign = REPLACED_FOLDERS.find((name) => existsSync(path.join(directory, name)));
  if (foreign !== undefined && !existsSync(path.join(directory, REQUEST_FILE))) {
    throw new RemediedError(
      `${directory} has a folder '${foreign}' that no quickstart made, and it would be replaced`,
      'give --directory a new folder, or none for .slipway',
    );
  }
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, REQUEST_FILE), request);
  for (const name of REPLACED_FOLDERS) rmSync(path.join(directory, name), { recursive: true, force: true });
}
