// Installs the dependencies when they are missing or older than the lock file. Needs Node and npm alone.
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const MINIMUM = [20, 19];

export function assertNodeVersion() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1])) return;
  console.error(`error: Node ${MINIMUM.join('.')} or newer is needed, this is ${process.versions.node}`);
  process.exit(1);
}

/** Runs `npm ci` unless node_modules already holds what the lock file says. */
export function installIfNeeded() {
  const lock = statSync(join(root, 'package-lock.json'));
  // npm writes this file at the end of every install.
  const installed = statSync(join(root, 'node_modules/.package-lock.json'), { throwIfNoEntry: false });
  if (installed !== undefined && installed.mtimeMs >= lock.mtimeMs) return;
  console.log('installing dependencies with npm ci …');
  const { status, error } = spawnSync('npm', ['ci', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error(
      `error: npm ci failed${error === undefined ? '' : ` (${error.message})`}; see its output above, a registry that cannot be reached is the usual reason`,
    );
    process.exit(1);
  }
}
