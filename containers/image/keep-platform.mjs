/**
 * Deletes from an installed `node_modules` what the image cannot use: onnxruntime-node ships the libraries of every
 * platform (290 MB, of which linux/amd64 needs 45), and brings a dozen packages that only its install script loads.
 *
 *     node keep-platform.mjs <node_modules> <os> <architecture as Docker names it>
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What `require('onnxruntime-node')` loads; everything else in the lock file serves its install script. */
const LOADED_AT_RUN_TIME = ['onnxruntime-node', 'onnxruntime-common'];

/** What each of them needs: neither its TypeScript sources nor its install script. */
const KEPT_ENTRIES = ['package.json', 'dist', 'bin'];

/** Docker's name of an architecture → Node's. */
const NODE_ARCHITECTURE = { amd64: 'x64', arm64: 'arm64' };

/**
 * @param {string} nodeModules directory that `npm ci` filled
 * @param {string} os Node's name, `linux`
 * @param {string} architecture Docker's name: `amd64` or `arm64`
 * @throws Error when onnxruntime-node has no library for that platform, naming those it has
 */
export function keepPlatform(nodeModules, os, architecture) {
  const node = NODE_ARCHITECTURE[architecture];
  if (node === undefined) {
    throw new Error(
      `architecture '${architecture}' is none that the server image is built for: ${Object.keys(NODE_ARCHITECTURE).join(', ')}`,
    );
  }
  const napi = onlyEntry(join(nodeModules, 'onnxruntime-node', 'bin'));
  const binding = join(napi, os, node, 'onnxruntime_binding.node');
  if (!existsSync(binding)) {
    throw new Error(`onnxruntime-node has nothing for ${os}/${architecture}: ${binding} is missing`);
  }
  keepOnly(nodeModules, LOADED_AT_RUN_TIME);
  for (const name of LOADED_AT_RUN_TIME) keepOnly(join(nodeModules, name), KEPT_ENTRIES);
  keepOnly(napi, [os]);
  keepOnly(join(napi, os), [node]);
}

function onlyEntry(directory) {
  const entries = readdirSync(directory);
  if (entries.length !== 1) throw new Error(`${directory} should hold one folder, it holds ${entries.join(', ')}`);
  return join(directory, entries[0]);
}

function keepOnly(directory, names) {
  for (const entry of readdirSync(directory)) {
    if (!names.includes(entry)) rmSync(join(directory, entry), { recursive: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [nodeModules, os, architecture] = process.argv.slice(2);
  keepPlatform(nodeModules, os, architecture);
  const { version } = JSON.parse(readFileSync(join(nodeModules, 'onnxruntime-node', 'package.json'), 'utf8'));
  console.log(`slipway: kept onnxruntime-node ${version} for ${os}/${architecture} alone`);
}
