/**
 * Lays out the build contexts of the server images: `<dist>/image/cpu` and `<dist>/image/cuda`. Each holds everything
 * that its Dockerfile copies and nothing else, so `docker build <context>` works from an installed package alone.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CONTAINERS = dirname(fileURLToPath(import.meta.url));
const PACKAGE_ROOT = dirname(CONTAINERS);

/**
 * What the image runs, and what its command loads besides chunks because the package loads it, too; each Dockerfile copies them
 * by name.
 */
export const PROGRAMS = ['server.mjs', 'worker.mjs', 'cli.mjs', 'model-pull.mjs', 'model-stores.mjs'];
const CHUNKS = 'server-chunks';
const LICENCE_TEXTS = ['GPL-3.0.txt', 'LGPL-3.0.txt'];
const SHARED = ['package.json', 'package-lock.json', 'healthcheck.mjs', 'keep-platform.mjs'].map((name) =>
  join('image', name),
);
const VARIANTS = {
  cpu: ['cpu/Dockerfile', ...SHARED],
  cuda: ['cuda/Dockerfile', 'cuda/fetch-cuda.mjs', ...SHARED],
};

/**
 * The same sources give the same bytes and modes, so that an asset's hash changes only when the image would.
 *
 * @param {string} distDirectory holds the bundled programs of the image with
 * `server-chunks/`, and `THIRD-PARTY-NOTICES.md` for what is in that bundle and beside it; the contexts go into its folder `image`
 * @returns {{ cpu: string, cuda: string }} the two context directories
 * @throws Error naming a source that is missing
 */
export function layOutImageContexts(distDirectory) {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  return Object.fromEntries(
    Object.entries(VARIANTS).map(([variant, sources]) => {
      const context = join(distDirectory, 'image', variant);
      rmSync(context, { recursive: true, force: true });
      mkdirSync(join(context, 'licenses'), { recursive: true });
      for (const source of sources) copy(join(CONTAINERS, source), join(context, basename(source)));
      for (const program of PROGRAMS) copy(join(distDirectory, program), join(context, program));
      mkdirSync(join(context, CHUNKS));
      for (const chunk of readdirSync(join(distDirectory, CHUNKS))) {
        copy(join(distDirectory, CHUNKS, chunk), join(context, CHUNKS, chunk));
      }
      // The image hands out the bundle and packages beside it, so it carries the licences of what is in them.
      for (const name of ['LICENSE', 'NOTICE']) copy(join(PACKAGE_ROOT, name), join(context, 'licenses', name));
      copy(join(distDirectory, 'THIRD-PARTY-NOTICES.md'), join(context, 'licenses', 'THIRD-PARTY-NOTICES.md'));
      // The terms of libvips, whose own package names them and does not bring them.
      for (const name of LICENCE_TEXTS) copy(join(CONTAINERS, 'licenses', name), join(context, 'licenses', name));
      stampVersion(join(context, 'Dockerfile'), version);
      return [variant, context];
    }),
  );
}

// Modes are part of what image builders and the CDK hash, and a checkout's depend on the umask.
function copy(from, to) {
  if (!existsSync(from)) throw new Error(`${from} is missing: the image cannot be laid out without it`);
  copyFileSync(from, to);
  chmodSync(to, 0o644);
}

/** Gives the label `org.opencontainers.image.version` its value: the argument's default in this copy of the Dockerfile. */
function stampVersion(path, version) {
  const text = readFileSync(path, 'utf8');
  const stamped = text.replace(/^ARG SLIPWAY_VERSION$/m, `ARG SLIPWAY_VERSION=${version}`);
  if (stamped === text) throw new Error(`${path} declares no ARG SLIPWAY_VERSION to give the version to`);
  writeFileSync(path, stamped);
}
