import { execFile } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

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
  await promisify(execFile)(process.execPath, ['scripts/build.mjs', '--server', fresh]);
  // Test files run side by side: nobody must load half a bundle.
  renameSync(fresh, outfile);
  return pathToFileURL(outfile);
}
