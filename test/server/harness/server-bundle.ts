import { build } from 'esbuild';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// Beside node_modules, so that the bundle finds onnxruntime-node as it does where it is published.
const FOLDER = path.resolve('node_modules/.cache/slipway');

const MAX_AGE_MS = 3_600_000;

let bundle: Promise<URL> | undefined;

/** The server as it is shipped, made once from the sources as they are now. @returns where it lies */
export function bundleServer(): Promise<URL> {
  bundle ??= makeBundle();
  return bundle;
}

async function makeBundle(): Promise<URL> {
  mkdirSync(FOLDER, { recursive: true });
  removeOld();
  // A name of its own: test files, and whole test runs, go on side by side.
  const outfile = path.join(FOLDER, `server-${process.pid}-${Date.now()}.mjs`);
  await build({
    entryPoints: ['runtime/server/main.mts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: ['onnxruntime-node'],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return pathToFileURL(outfile);
}

/** Bundles of runs that are over. */
function removeOld(): void {
  for (const name of readdirSync(FOLDER)) {
    const file = path.join(FOLDER, name);
    const { mtimeMs = Infinity } = statSync(file, { throwIfNoEntry: false }) ?? {};
    if (Date.now() - mtimeMs > MAX_AGE_MS) rmSync(file, { force: true });
  }
}
