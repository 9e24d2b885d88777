import { parseArgs } from 'node:util';
import { buildImage } from './build-image';
import { CONTAINER_TOOLS, findContainerTool } from './container-tool';
import { PLATFORMS } from './image-commands';
import { IMAGE_VARIANTS } from './image-context';
import { ImageError } from './image-error';
import { pinBaseImage } from './pin-base-image';
import { pushImage } from './push-image';

/** Where the command writes. What a script would use goes to `out`, everything else to `err`. */
export interface ImageCommandIo {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** Where `slipway.image.json` lies. */
  readonly directory: string;
}

export const IMAGE_USAGE = `slipway image build [options] [-- <arguments for the tool's build>]
slipway image pin [options]
slipway image push <image repository> [options] [-- <arguments for the tool's build>]

  build   builds the server image and prints its tag
  pin     resolves the base image's tag to a digest and records it in slipway.image.json
  push    builds, pushes and prints <image repository>@sha256:…

  --variant <cpu|cuda>      which image (cpu)
  --platform <list>         linux/amd64, linux/arm64 or both with a comma (this machine's)
  --tag <tag>               build: name and tag; push: tag alone (the version and the variant)
  --base-image <image>      Node's image (slipway.image.json, else the official Node 24 slim tag)
  --build-image <image>     image that installs the modules; needs npm and a shell (the base image)
  --cuda-image <image>      base of the CUDA image (slipway.image.json, else NVIDIA's CUDA 12 with cuDNN)
  --cuda-sha256 <digest>    SHA-256 of ONNX Runtime's CUDA archive (slipway.image.json)
  --context <directory>     build context (the one in this package)
  --tool <name>             docker, podman or buildah (the first that works)`;

const OPTIONS = {
  variant: { type: 'string' },
  platform: { type: 'string' },
  tag: { type: 'string' },
  'base-image': { type: 'string' },
  'build-image': { type: 'string' },
  'cuda-image': { type: 'string' },
  'cuda-sha256': { type: 'string' },
  context: { type: 'string' },
  tool: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * `slipway image …`.
 * @param argv what follows `image`
 * @throws ImageError for everything that goes wrong; nothing is printed for it here.
 */
export async function imageCommand(argv: readonly string[], io: ImageCommandIo): Promise<void> {
  const { positionals, values, toolArguments } = parse(argv);
  const [action, ...operands] = positionals;
  if (values.help || action === undefined) return io.out(IMAGE_USAGE);

  const tool =
    values.tool === undefined ? undefined : await findContainerTool(choice('--tool', values.tool, CONTAINER_TOOLS));
  const options = withoutUndefined({
    variant: values.variant === undefined ? undefined : choice('--variant', values.variant, IMAGE_VARIANTS),
    platforms: values.platform?.split(',').map((platform) => choice('--platform', platform, PLATFORMS)),
    tag: values.tag,
    baseImage: values['base-image'],
    buildImage: values['build-image'],
    cudaImage: values['cuda-image'],
    cudaSha256: values['cuda-sha256'],
    context: values.context,
    directory: io.directory,
    toolArguments,
    tool,
    log: io.err,
  });
  switch (action) {
    case 'build':
      assertOperands(action, operands, 0);
      return io.out((await buildImage(options)).tag);
    case 'push':
      assertOperands(action, operands, 1);
      return io.out(await pushImage(operands[0] ?? '', options));
    case 'pin': {
      assertOperands(action, operands, 0);
      const { path, pin } = await pinBaseImage(options);
      for (const image of [pin.baseImage, pin.cudaImage]) if (image !== undefined) io.out(image);
      return io.err(`recorded in ${path}`);
    }
    default:
      throw new ImageError('ARGUMENT_INVALID', 'slipway image', `got '${action}', it knows build, pin and push`);
  }
}

function parse(argv: readonly string[]) {
  const end = argv.indexOf('--');
  const ours = end === -1 ? argv : argv.slice(0, end);
  const toolArguments = end === -1 ? [] : argv.slice(end + 1);
  try {
    return { ...parseArgs({ args: [...ours], options: OPTIONS, allowPositionals: true }), toolArguments };
  } catch (error) {
    // Node's own sentence names the option; the rest of it explains positional arguments.
    const [sentence = ''] = (error as Error).message.split('. ');
    throw new ImageError(
      'ARGUMENT_INVALID',
      'slipway image',
      `${sentence}; it knows ${Object.keys(OPTIONS)
        .map((name) => `--${name}`)
        .join(', ')}`,
    );
  }
}

function choice<T extends string>(option: string, given: string, choices: readonly T[]): T {
  const found = choices.find((known) => known === given);
  if (found === undefined)
    throw new ImageError('ARGUMENT_INVALID', option, `must be ${choices.join(' or ')}, got '${given}'`);
  return found;
}

function assertOperands(action: string, operands: readonly string[], expected: 0 | 1): void {
  if (operands.length === expected) return;
  const wanted = expected === 0 ? 'takes no argument' : 'takes one argument, the image repository';
  throw new ImageError('ARGUMENT_INVALID', `slipway image ${action}`, `${wanted}, got '${operands.join(' ')}'`);
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
}
