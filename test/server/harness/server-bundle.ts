import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

// Beside node_modules, so that the bundle finds onnxruntime-node as it does where it is published.
const FOLDER = path.resolve('node_modules/.cache/slipway');
const CHUNKS = 'server-chunks';
const LAYOUT = pathToFileURL(path.resolve('containers/layout.mjs')).href;

let bundle: Promise<URL> | undefined;

/** The server as it is shipped, made once from the sources as they are now, with the other programs beside it. @returns where it lies */
export function bundleServer(): Promise<URL> {
  bundle ??= makeBundle();
  return bundle;
}

async function makeBundle(): Promise<URL> {
  // Test files run side by side: nobody must load half a bundle, and chunks of one source have one name and one content.
  const fresh = path.join(FOLDER, `fresh-${process.pid}-${Date.now()}`);
  await promisify(execFile)(process.execPath, ['scripts/build.mjs', '--server', fresh]);
  mkdirSync(path.join(FOLDER, CHUNKS), { recursive: true });
  for (const chunk of readdirSync(path.join(fresh, CHUNKS))) {
    renameSync(path.join(fresh, CHUNKS, chunk), path.join(FOLDER, CHUNKS, chunk));
  }
  // Those of the image, and no other: what a program lacks there, it must lack here.
  const { PROGRAMS } = (await import(LAYOUT)) as { readonly PROGRAMS: readonly string[] };
  for (const program of PROGRAMS) {
    renameSync(path.join(fresh, program), path.join(FOLDER, program));
  }
  rmSync(fresh, { recursive: true });
  return pathToFileURL(path.join(FOLDER, 'server.mjs'));
}
