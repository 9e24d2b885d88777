// Builds everything that is published: the libraries as CommonJS by tsc, the server as an ESM bundle by esbuild, and the
// image contexts.
//   --if-needed       does nothing when no source is newer than the last build
//   --server FOLDER   only bundles the server, into FOLDER
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeThirdPartyNotices } from './third-party-notices.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const stamp = join(dist, '.built');
const SOURCES = [
  'runtime',
  'cdk',
  'pulumi',
  'containers',
  'scripts',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
];

// What is bundled with the server's chunks, and its source: programs of the images, `/app/<name>.mjs`, and what the package's
// own command loads of the server.
const BUNDLES = {
  server: 'runtime/server/main.mts',
  worker: 'runtime/worker/main.mts',
  cli: 'runtime/cli/image-main.mts',
  'model-pull': 'runtime/server/pull-model.ts',
  'model-stores': 'runtime/model/stores/remote-store.ts',
};

export async function build({ ifNeeded = false } = {}) {
  if (ifNeeded && existsSync(stamp) && newest(SOURCES.map((name) => join(root, name))) <= statSync(stamp).mtimeMs)
    return;
  console.log('building …');
  // The stamp is the time at which the build began: a file saved while it runs is newer.
  const began = new Date();
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  compileLibraries();
  // npm makes a command executable when it installs a package, and in a checkout it installs nothing of ours.
  chmodSync(join(dist, 'runtime/cli/bin.js'), 0o755);
  copyPythonTools(join(dist, 'python'));
  const metafile = await bundleServer(dist);
  const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
  console.log(`dist/server.mjs and its chunks: ${(bytes / 1024).toFixed(0)} KiB`);
  await writeThirdPartyNotices({
    root,
    metafile,
    installed: await packagesOfImages(),
    outfile: join(dist, 'THIRD-PARTY-NOTICES.md'),
  });
  await bundleSmokeTest(join(dist, 'smoke-test'));
  const { layOutImageContexts } = await import('../containers/layout.mjs');
  await layOutImageContexts(dist);
  writeFileSync(stamp, began.toISOString());
  utimesSync(stamp, began, began);
}

export function compileLibraries() {
  const tsc = join(root, 'node_modules/@typescript/native/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('tsc found errors, see above');
}

/** The Python files that the model tools run, and the lists of packages that they need. */
function copyPythonTools(folder) {
  const filter = (source) => !/\.ts$|__pycache__/.test(source);
  cpSync(join(root, 'runtime/model/python'), folder, { recursive: true, filter });
}

/** What the images of both processors install beside the bundle: package → what their lock file says of it. */
async function packagesOfImages() {
  const { keptPackages } = await import('../containers/image/keep-platform.mjs');
  const { packages } = JSON.parse(readFileSync(join(root, 'containers/image/package-lock.json'), 'utf8'));
  const names = ['amd64', 'arm64'].flatMap((architecture) => Object.keys(keptPackages('linux', architecture)));
  return new Map(names.map((name) => [name, packages[`node_modules/${name}`]]));
}

/**
 * `server.mjs` and the chunks it loads when they are needed: the SDK of each cloud, traces, pictures. A replica and each of
 * its threads read only what they use.
 * @returns the bundler's record of what went in
 */
async function bundleServer(folder) {
  const { build: bundle } = await import('esbuild');
  const { metafile } = await bundle({
    entryPoints: Object.fromEntries(Object.entries(BUNDLES).map(([name, source]) => [name, join(root, source)])),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'server-chunks/[name]-[hash]',
    splitting: true,
    plugins: [lazyPackages],
    mainFields: ['module', 'main'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    minifyWhitespace: true,
    legalComments: 'none',
    metafile: true,
    // Native modules are installed beside the bundle.
    external: ['onnxruntime-node', 'koffi', 'sharp'],
    // The command looks for its package from where it lies, and an ES module has another word for that.
    define: { __dirname: 'import.meta.dirname' },
    // Bundled CommonJS packages ask for node: modules through require, which an ES module does not have.
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
    logLevel: 'warning',
    // A lazy package without a default export, see there.
    logOverride: { 'import-is-undefined': 'silent' },
  });
  return metafile;
}

/** The code of a Lambda function, whose runtime brings the AWS SDK. It is an asset as it lies there. */
export async function bundleSmokeTest(folder) {
  const { build: bundle } = await import('esbuild');
  await bundle({
    entryPoints: { index: join(root, 'runtime/smoke-test/main.mts') },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    minifyWhitespace: true,
    legalComments: 'none',
    external: ['@aws-sdk/*'],
    logLevel: 'warning',
  });
}

/**
 * A package that is loaded when it is needed becomes a chunk, and a chunk made of CommonJS has no named exports but
 * `default`. This gives it the names that the package has when Node loads it.
 */
const lazyPackages = {
  name: 'lazy-packages',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind, namespace }) => {
      const isOurs = kind === 'dynamic-import' && namespace !== 'lazy' && !path.startsWith('node:');
      return isOurs && !build.initialOptions.external.includes(path) ? { path, namespace: 'lazy' } : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path }) => {
      const loaded = await import(path);
      const names = new Set([...Object.keys(loaded), ...Object.keys(loaded.default ?? {})]);
      const exported = [...names].filter(
        (name) => name !== 'default' && name !== 'module.exports' && /^[A-Za-z_$][\w$]*$/.test(name),
      );
      return {
        contents: [
          `import * as namespace from ${JSON.stringify(path)};`,
          `const whole = { ...namespace['default'], ...namespace };`,
          `export default namespace['default'] ?? namespace;`,
          ...exported.map(
            (name, i) => `const export${i} = whole[${JSON.stringify(name)}]; export { export${i} as ${name} };`,
          ),
        ].join('\n'),
        resolveDir: root,
      };
    });
  },
};

function newest(paths) {
  let time = 0;
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    time = Math.max(time, stat.mtimeMs);
    if (stat.isDirectory()) {
      time = Math.max(
        time,
        newest(
          readdirSync(path)
            .filter((name) => name !== 'node_modules')
            .map((name) => join(path, name)),
        ),
      );
    }
  }
  return time;
}

// The checkout may be reached by a link, and Node resolves links in import.meta.url alone.
if (realpathSync(process.argv[1] ?? '.') === fileURLToPath(import.meta.url)) {
  const only = process.argv.indexOf('--server');
  const building =
    only > 0 ? bundleServer(process.argv[only + 1]) : build({ ifNeeded: process.argv.includes('--if-needed') });
  building.catch((error) => {
    console.error(`error: ${error.message}`);
    process.exit(1);
  });
}
