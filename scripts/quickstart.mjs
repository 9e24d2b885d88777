// `npm run quickstart`: installs and builds what is missing, then shows the whole way once. Needs Node and npm alone.
// package.json starts it with `exec`: a shell in between would die of Ctrl-C, and npm would report that instead of the
// clean end. Where the shell has no exec, `node scripts/quickstart.mjs` is the same.
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assertNodeVersion, installIfNeeded } from './install.mjs';

const HELP = `usage: npm run quickstart [-- [--once] [--directory <path>]]

  --once              end after the demonstration instead of serving on
  --directory <path>  where models and deployments are written, inside this clone (.slipway)`;

// What the file system refuses comes from many places, with its code in the message.
const REMEDIES = [
  { code: /\b(EACCES|EPERM|EROFS)\b/, remedy: 'run it as a user that may write in this clone' },
  { code: /\b(ENOSPC|EDQUOT)\b/, remedy: 'free some space on this disk' },
];

// Before anything else of the process was loaded: npm itself is not counted.
const startedAt = Date.now() - process.uptime() * 1_000;
assertNodeVersion();
const root = fileURLToPath(new URL('..', import.meta.url));
const { once, directory } = readArguments(process.argv.slice(2));
const preparation = {};

await time('installing', () => installIfNeeded());
await time('building', async () => {
  const { build } = await import('./build.mjs');
  await build({ ifNeeded: true });
});
try {
  const { runQuickstart } = await import('../dist/runtime/cli/quickstart/quickstart.js');
  await runQuickstart({ root, directory, once, startedAt, preparation });
} catch (error) {
  fail(error);
}

async function time(what, work) {
  const began = Date.now();
  try {
    await work();
  } catch (error) {
    fail(error);
  }
  const seconds = (Date.now() - began) / 1_000;
  // Nothing to do takes a moment too.
  if (seconds > 0.5) preparation[what] = seconds;
}

function readArguments(given) {
  let once = false;
  let directory = join(root, '.slipway');
  for (let i = 0; i < given.length; i++) {
    if (given[i] === '--help') {
      console.log(HELP);
      process.exit(0);
    } else if (given[i] === '--once') {
      once = true;
    } else if (given[i] === '--directory' && given[i + 1] !== undefined) {
      directory = resolve(given[++i]);
    } else {
      console.error(`error: unexpected argument '${given[i]}'\n${HELP}`);
      process.exit(2);
    }
  }
  return { once, directory };
}

function fail(error) {
  console.error(`error: ${error.message}`);
  const remedy = error.remedy ?? REMEDIES.find(({ code }) => code.test(error.message))?.remedy;
  if (remedy !== undefined) console.error(`what to do: ${remedy}`);
  process.exit(1);
}
