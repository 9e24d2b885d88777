import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Version of this package; sources and what is compiled from them lie at different depths below its package.json. */
export function slipwayVersion(): string {
  for (let folder = __dirname; ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
    // A bundle lies in no package.
    if (path.dirname(folder) === folder) return 'unknown';
  }
}
