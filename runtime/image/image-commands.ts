import type { ContainerTool } from './container-tool';
import { ImageError } from './image-error';
import type { Command } from './run-command';

export const PLATFORMS = ['linux/amd64', 'linux/arm64'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Everything a build is made of, decided. */
export interface BuildRequest {
  /** Directory with the Dockerfile and all it copies. */
  readonly context: string;
  /** Name and tag of the image, `<image repository>:<tag>`. */
  readonly tag: string;
  readonly platforms: readonly [Platform, ...Platform[]];
  /** Values of the Dockerfile's arguments. */
  readonly buildArguments: Readonly<Record<string, string>>;
  /** The platform of this machine, where the stage that installs modules runs. */
  readonly buildPlatform: string;
  /** Handed to the tool's build as they are: `--network host`, `--isolation chroot`, `--secret id=npmrc,src=…`. */
  readonly toolArguments: readonly string[];
}

/** One command on the way to an image. An optional one may fail: it clears away what may not be there. */
export interface Step {
  readonly command: Command;
  readonly optional?: true;
}

/** The steps that push, and where the last of them leaves the digest that the image repository now has. */
export interface PushSteps {
  readonly steps: readonly Step[];
  readonly digestIn: 'digest file' | 'output';
}

// Without BuildKit a stage cannot have a platform of its own. An attestation would turn an image of one platform into
// an index, which SageMaker and Lambda refuse.
const DOCKER_ENVIRONMENT = { DOCKER_BUILDKIT: '1', BUILDX_NO_DEFAULT_ATTESTATIONS: '1' };

/** The commands that leave `request.tag` in the tool's own storage. */
export function buildSteps(tool: ContainerTool, request: BuildRequest): readonly Step[] {
  switch (tool.name) {
    case 'docker':
      return [docker('build', ...buildOptions(request), '--tag', request.tag, request.context)];
    case 'podman':
    case 'buildah': {
      const build = [
        ...[tool.name === 'podman' ? 'build' : 'bud'],
        // The OCI format has no place for HEALTHCHECK.
        ...['--format', 'docker'],
        // Docker's BuildKit knows it by itself; buildah 1.28 leaves it empty.
        ...['--build-arg', `BUILDPLATFORM=${request.buildPlatform}`],
        ...buildOptions(request),
      ];
      if (!severalPlatforms(request)) return [step(tool.name, ...build, '--tag', request.tag, request.context)];
      return [
        // `--manifest` adds to a list of that name, so the images of an earlier build would stay in it.
        { ...step(tool.name, 'manifest', 'rm', request.tag), optional: true },
        // The layer cache of buildah 1.28 takes a layer of one platform for the same step of another.
        step(tool.name, ...build, '--no-cache', '--manifest', request.tag, request.context),
      ];
    }
    default:
      return tool.name satisfies never;
  }
}

/**
 * The commands that build `request.tag` and push it to the image repository it names.
 * @param digestFile where the tool is asked to write the digest, when it can
 * @throws ImageError ARGUMENT_INVALID for several platforms with a docker that lacks buildx.
 */
export function pushSteps(tool: ContainerTool, request: BuildRequest, digestFile: string): PushSteps {
  const several = severalPlatforms(request);
  if (tool.name === 'docker') {
    if (!several) return { steps: [...buildSteps(tool, request), docker('push', request.tag)], digestIn: 'output' };
    if (!tool.buildx) {
      const platforms = request.platforms.join(',');
      throw new ImageError(
        'ARGUMENT_INVALID',
        'platform',
        `got ${platforms}; docker builds several only with its buildx plugin`,
      );
    }
    // Docker's own storage may not hold an index, so buildx builds and pushes in one go.
    const options = [...buildOptions(request), '--tag', request.tag, '--push', '--metadata-file', digestFile];
    return { steps: [docker('buildx', 'build', ...options, request.context)], digestIn: 'digest file' };
  }
  const push = several
    ? step(tool.name, 'manifest', 'push', '--all', '--digestfile', digestFile, request.tag, `docker://${request.tag}`)
    : step(tool.name, 'push', '--digestfile', digestFile, request.tag, `docker://${request.tag}`);
  return { steps: [...buildSteps(tool, request), push], digestIn: 'digest file' };
}

/**
 * Reads the digest out of what a push left: the line of podman's and buildah's digest file, the metadata of buildx, or
 * the last line of `docker push`. Undefined when none is in there.
 */
export function parsePushedDigest(text: string): string | undefined {
  const digest = /sha256:[0-9a-f]{64}\b/;
  if (text.trimStart().startsWith('{')) {
    const metadata = JSON.parse(text) as Record<string, unknown>;
    return digest.exec(String(metadata['containerimage.digest']))?.[0];
  }
  return /^sha256:[0-9a-f]{64}$/.exec(text.trim())?.[0] ?? /\bdigest: (sha256:[0-9a-f]{64})\b/.exec(text)?.[1];
}

function severalPlatforms(request: BuildRequest): boolean {
  return request.platforms.length > 1;
}

function buildOptions(request: BuildRequest): string[] {
  return [
    ...['--platform', request.platforms.join(',')],
    ...Object.entries(request.buildArguments).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ...request.toolArguments,
  ];
}

function step(program: string, ...args: string[]): Step {
  return { command: { program, args } };
}

function docker(...args: string[]): Step {
  return { command: { program: 'docker', args, environment: DOCKER_ENVIRONMENT } };
}
