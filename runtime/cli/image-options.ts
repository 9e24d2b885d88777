import type { BuildImageOptions, ContainerTool, ImageVariant, Platform } from '../image';
import type { CommandOption, ParsedArguments, Terminal } from './command';
import { UsageError } from './cli-error';

/** Flags of every `slipway image` command. */
export const BASE_OPTIONS = {
  variant: { type: 'string', value: 'cpu|cuda', description: 'which server image (cpu)' },
  'base-image': { type: 'string', value: 'image', description: "image that has node (the Dockerfile's own)" },
  'cuda-image': { type: 'string', value: 'image', description: "base of the CUDA image (the Dockerfile's own)" },
  'cuda-sha256': {
    type: 'string',
    value: 'digest',
    description: "SHA-256 of the archive with ONNX Runtime's CUDA provider; without one the build stops and prints it",
  },
  directory: { type: 'string', value: 'path', description: 'where slipway.image.json lies (the current directory)' },
  tool: { type: 'string', value: 'docker|podman|buildah', description: 'container tool (the first that works here)' },
} as const satisfies Record<string, CommandOption>;

/** Flags of the commands that build. */
export const BUILD_OPTIONS = {
  ...BASE_OPTIONS,
  platform: {
    type: 'string',
    value: 'linux/amd64|linux/arm64',
    multiple: true,
    description: "platform of the image (this machine's)",
  },
  'build-image': {
    type: 'string',
    value: 'image',
    description: 'image that installs the modules, with npm and a shell (the base image)',
  },
  'tool-argument': {
    type: 'string',
    value: 'text',
    multiple: true,
    description: "handed to the tool's build as it is: --tool-argument=--network --tool-argument=host",
  },
} as const satisfies Record<string, CommandOption>;

export function readVariant(given: ParsedArguments): ImageVariant {
  const variant = given.text('variant') ?? 'cpu';
  if (variant === 'cpu' || variant === 'cuda') return variant;
  throw new UsageError(`--variant must be cpu or cuda, got '${variant}'`);
}

/** What `--tool` names, found; undefined leaves the choice to the command. */
export async function readTool(given: ParsedArguments): Promise<{ tool?: ContainerTool }> {
  const name = given.text('tool');
  if (name === undefined) return {};
  const { CONTAINER_TOOLS, findContainerTool } = await import('../image/index.js');
  const known = CONTAINER_TOOLS.find((tool) => tool === name);
  if (known === undefined) throw new UsageError(`--tool must be ${CONTAINER_TOOLS.join(', ')}, got '${name}'`);
  return { tool: await findContainerTool(known) };
}

/** What the build flags say. What the tool prints goes to standard error: standard output is the result alone. */
export async function readBuildOptions(given: ParsedArguments, terminal: Terminal): Promise<BuildImageOptions> {
  const platforms = given.texts('platform') as readonly Platform[];
  return {
    variant: readVariant(given),
    ...(platforms.length === 0 ? {} : { platforms }),
    ...textOption(given, 'base-image', 'baseImage'),
    ...textOption(given, 'build-image', 'buildImage'),
    ...textOption(given, 'cuda-image', 'cudaImage'),
    ...textOption(given, 'cuda-sha256', 'cudaSha256'),
    ...textOption(given, 'directory', 'directory'),
    ...textOption(given, 'tag', 'tag'),
    ...(await readTool(given)),
    toolArguments: given.texts('tool-argument'),
    log: (line) => terminal.err(line),
  };
}

/** The flag under its name in the options of `runtime/image`; nothing when it was not given. */
export function textOption<K extends string>(given: ParsedArguments, flag: string, key: K): { [P in K]?: string } {
  const value = given.text(flag);
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: string };
}
