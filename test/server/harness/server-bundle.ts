import { build } from 'esbuild';
import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// Beside node_modules, so that the bundle finds onnxruntime-node as it does where it is published.
const FOLDER = path.resolve('node_modules/.cache/slipway');

let bundle: Promise<URL> | undefined;

/** The server as it is shipped, made once from the sources as they are now. @returns where it lies */
export function bundleServer(): Promise<URL> {
  bundle ??= makeBundle();
  return bundle;
}

async function makeBundle(): Promise<URL> {
  const outfile = path.join(FOLDER, 'server.mjs');
  const fresh = path.join(FOLDER, `server-${process.pid}-${Date.now()}.mjs`);
  mkdirSync(FOLDER, { recursive: true });
  await build({
    entryPoints: ['runtime/server/main.mts'],
    outfile: fresh,
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
  // Test files run side by side: nobody must load half a bundle.
  renameSync(fresh, outfile);
  return pathToFileURL(outfile);
}
