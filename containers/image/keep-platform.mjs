/**
 * Deletes from an installed `node_modules` what the image cannot use. onnxruntime-node ships the libraries of every
 * platform (290 MB, of which linux/amd64 needs 45) and brings a dozen packages that only its install script loads; koffi
 * ships its sources, and its binary for musl too.
 *
 *     node keep-platform.mjs <node_modules> <os> <architecture as Docker names it>
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Docker's name of an architecture → Node's. */
const NODE_ARCHITECTURE = { amd64: 'x64', arm64: 'arm64' };

/**
 * What the server loads of each package, and the licences that only the package itself carries. Everything else in the
 * lock file serves install scripts.
 */
const KEPT = {
  'onnxruntime-node': (os, cpu) => ['package.json', 'dist', `bin/napi-v6/${os}/${cpu}`],
  'onnxruntime-common': () => ['package.json', 'dist'],
  koffi: () => [
    'package.json',
    'index.js',
    'index.cjs',
    ...['index.js', 'index.cjs', 'src/static.js', 'src/static.cjs'].map((name) => `src/koffi/${name}`),
  ],
  '@koromix/koffi-{platform}': (os, cpu) => ['package.json', 'index.js', `${os}_${cpu}/koffi.node`],
  sharp: () => ['package.json', 'dist'],
  'detect-libc': () => ['package.json', 'lib'],
  semver: () => ['package.json', 'index.js', 'classes', 'functions', 'internal', 'ranges'],
  '@img/colour': () => ['package.json', 'index.cjs', 'color.cjs'],
  '@img/sharp-{platform}': () => ['package.json', 'index.cjs', 'lib', 'LICENSE'],
  // The read-me lists the libraries that are inside libvips, with the licence of each.
  '@img/sharp-libvips-{platform}': () => ['package.json', 'lib', 'versions.json', 'README.md'],
};

/**
 * @param {string} os Node's name, `linux`
 * @param {string} architecture Docker's name: `amd64` or `arm64`
 * @returns {Record<string, string[]>} each package that the image of that platform holds → what is kept of it
 * @throws Error for an architecture that the image is not built for
 */
export function keptPackages(os, architecture) {
  const cpu = NODE_ARCHITECTURE[architecture];
  if (cpu === undefined) {
    throw new Error(
      `architecture '${architecture}' is none that the server image is built for: ${Object.keys(NODE_ARCHITECTURE).join(', ')}`,
    );
  }
  return Object.fromEntries(
    Object.entries(KEPT).map(([name, entries]) => [name.replace('{platform}', `${os}-${cpu}`), entries(os, cpu)]),
  );
}

/**
 * @param {string} nodeModules directory that `npm ci` filled for that platform
 * @param {string} os Node's name, `linux`
 * @param {string} architecture Docker's name: `amd64` or `arm64`
 * @throws Error when a package has nothing for that platform, naming what is missing; nothing is deleted then
 */
export function keepPlatform(nodeModules, os, architecture) {
  const kept = Object.entries(keptPackages(os, architecture));
  const paths = kept.flatMap(([name, entries]) => entries.map((entry) => ({ name, path: `${name}/${entry}` })));
  for (const { name, path } of paths) {
    if (!existsSync(join(nodeModules, path))) {
      throw new Error(`${name} has nothing for ${os}/${architecture}: ${join(nodeModules, path)} is missing`);
    }
  }
  keepOnly(
    nodeModules,
    paths.map(({ path }) => path.split('/')),
  );
}

/** Deletes what is neither on the way to one of the paths nor below its end. */
function keepOnly(directory, paths) {
  for (const entry of readdirSync(directory)) {
    const below = paths.filter(([first]) => first === entry).map(([, ...rest]) => rest);
    if (below.length === 0) rmSync(join(directory, entry), { recursive: true });
    else if (below.every((rest) => rest.length > 0)) keepOnly(join(directory, entry), below);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [nodeModules, os, architecture] = process.argv.slice(2);
  keepPlatform(nodeModules, os, architecture);
  const versions = ['onnxruntime-node', 'koffi', 'sharp'].map(
    (name) => `${name} ${JSON.parse(readFileSync(join(nodeModules, name, 'package.json'), 'utf8')).version}`,
  );
  console.log(`slipway: kept ${versions.join(', ')} for ${os}/${architecture} alone`);
}
