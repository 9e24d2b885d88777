import { ImageError } from './image-error';
import { runCommand, type Command } from './run-command';

/** The programs that can build an image, in the order in which they are tried. */
export const CONTAINER_TOOLS = ['docker', 'podman', 'buildah'] as const;
export type ContainerToolName = (typeof CONTAINER_TOOLS)[number];

/** A container tool that was seen to work on this machine. */
export interface ContainerTool {
  readonly name: ContainerToolName;
  /** Whether docker has its buildx plugin, which images for several platforms need. Always false for the others. */
  readonly buildx: boolean;
}

/**
 * What answers only when the tool can really build: the docker client without an engine prints its own version and
 * fails on the server's; podman and buildah open their storage.
 */
const PROBES: Readonly<Record<ContainerToolName, Command>> = {
  docker: { program: 'docker', args: ['version', '--format', '{{.Client.Version}} {{.Server.Version}}'] },
  podman: { program: 'podman', args: ['info', '--format', '{{.Store.GraphDriverName}}'] },
  buildah: { program: 'buildah', args: ['info'] },
};
const BUILDX_PROBE: Command = { program: 'docker', args: ['buildx', 'version'] };
const PROBE_TIMEOUT_SECONDS = 30;

/** From here on the docker client builds with its buildx plugin alone; before, BuildKit was part of it. */
const FIRST_DOCKER_THAT_NEEDS_BUILDX = 23;

/**
 * Finds the first container tool that works here: docker, podman, buildah.
 * @param only look for this one alone
 * @throws ImageError NO_CONTAINER_TOOL with what each of them said.
 */
export async function findContainerTool(only?: ContainerToolName): Promise<ContainerTool> {
  const reasons: string[] = [];
  for (const name of only === undefined ? CONTAINER_TOOLS : [only]) {
    try {
      const said = await runCommand(PROBES[name], { timeoutSeconds: PROBE_TIMEOUT_SECONDS });
      return name === 'docker' ? await lookForBuildx(said) : { name, buildx: false };
    } catch (error) {
      if (!ImageError.is(error)) throw error;
      reasons.push(`${name}: ${error.reason.split('\n').at(-1)}`);
    }
  }
  throw new ImageError(
    'NO_CONTAINER_TOOL',
    only ?? CONTAINER_TOOLS.join(', '),
    `none works here (${reasons.join('; ')}); install one of them, or start its engine`,
  );
}

async function lookForBuildx(versions: string): Promise<ContainerTool> {
  const buildx = await runCommand(BUILDX_PROBE, { timeoutSeconds: PROBE_TIMEOUT_SECONDS }).then(
    () => true,
    () => false,
  );
  if (!buildx && Number.parseInt(versions, 10) >= FIRST_DOCKER_THAT_NEEDS_BUILDX) {
    throw new ImageError(
      'COMMAND_FAILED',
      'docker buildx',
      'its buildx plugin is missing, and this docker builds with nothing else',
    );
  }
  return { name: 'docker', buildx };
}
