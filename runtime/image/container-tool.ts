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
  docker: { program: 'docker', args: ['version', '--format', '{{.Server.Version}}'] },
  podman: { program: 'podman', args: ['info', '--format', '{{.Store.GraphDriverName}}'] },
  buildah: { program: 'buildah', args: ['info'] },
};
const BUILDX_PROBE: Command = { program: 'docker', args: ['buildx', 'version'] };
const PROBE_TIMEOUT_SECONDS = 30;

/**
 * Finds the first container tool that works here: docker, podman, buildah.
 * @param only look for this one alone
 * @throws ImageError NO_CONTAINER_TOOL with what each of them said.
 */
export async function findContainerTool(only?: ContainerToolName): Promise<ContainerTool> {
  const reasons: string[] = [];
  for (const name of only === undefined ? CONTAINER_TOOLS : [only]) {
    const failure = await failureOf(PROBES[name]);
    if (failure === undefined) {
      return { name, buildx: name === 'docker' && (await failureOf(BUILDX_PROBE)) === undefined };
    }
    reasons.push(`${name}: ${failure}`);
  }
  throw new ImageError(
    'NO_CONTAINER_TOOL',
    only ?? CONTAINER_TOOLS.join(', '),
    `none works here (${reasons.join('; ')}); install one of them, or start its engine`,
  );
}

/** Undefined when the command succeeds, else the last thing it said. */
async function failureOf(command: Command): Promise<string | undefined> {
  try {
    await runCommand(command, { timeoutSeconds: PROBE_TIMEOUT_SECONDS });
    return undefined;
  } catch (error) {
    if (!ImageError.is(error)) throw error;
    const said = error.message.slice(error.message.indexOf(`${error.where}: `) + error.where.length + 2);
    return said.split('\n').at(-1);
  }
}
