import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export interface OrtLibrary {
  readonly path: string;
  /** Of onnxruntime-node; the library must say the same. */
  readonly version: string;
}

/**
 * The library that onnxruntime-node loads.
 * @param importer The module that would import onnxruntime-node.
 * @throws Error when the package or its library for this machine is missing.
 */
export function findOrtLibrary(importer: URL): OrtLibrary {
  const folder = path.dirname(createRequire(importer).resolve('onnxruntime-node/package.json'));
  const { version } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as { version: string };
  // One folder per version of Node's binary interface.
  const [binaries] = readdirSync(path.join(folder, 'bin')).filter((name) => name.startsWith('napi-'));
  const platform = path.join(folder, 'bin', binaries ?? '', process.platform, process.arch);
  const library = readdirSync(platform).find((name) => LIBRARY.test(name));
  if (library === undefined) throw new Error(`${platform} has no libonnxruntime`);
  return { path: path.join(platform, library), version };
}

// Windows passes paths as UTF-16, which the calls here do not.
const LIBRARY = /^libonnxruntime(\.so|\.\d|\.dylib)/;
