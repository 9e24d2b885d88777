// `npm test`: installs what is missing, builds, and runs every test but the long ones; `--long` runs those alone. Other
// arguments go to the test runner.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assertNodeVersion, installIfNeeded } from './install.mjs';

assertNodeVersion();
installIfNeeded();
const root = fileURLToPath(new URL('..', import.meta.url));
const { build } = await import('./build.mjs');
try {
  await build({ ifNeeded: true });
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const given = process.argv.slice(2);
const { status } = spawnSync(process.execPath, [vitest, 'run', ...given.filter((word) => word !== '--long')], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...(given.includes('--long') ? { TEST_LONG: '1' } : {}) },
});
process.exit(status ?? 1);
