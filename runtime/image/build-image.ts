import { arch } from 'node:process';
import { findContainerTool, type ContainerTool } from './container-tool';
import { buildSteps, PLATFORMS, type BuildRequest, type Platform, type Step } from './image-commands';
import { containerContext, defaultBaseImages, packageVersion, type ImageVariant } from './image-context';
import { ImageError } from './image-error';
import { IMAGE_PIN_FILE, isPinned, readImagePin } from './image-pin';
import { runCommand } from './run-command';

/** What to build. Everything has a default: `buildImage()` builds the CPU image for this machine's platform. */
export interface BuildImageOptions {
  /** @default 'cpu' */
  readonly variant?: ImageVariant;
  /** @default - the platform of this machine; linux/amd64 for the variant cuda */
  readonly platforms?: readonly Platform[];
  /** Name and tag. @default - `slipway:<version of this package>-<variant>` */
  readonly tag?: string;
  /** Node's image. @default - what `slipway.image.json` records, else the Dockerfile's own tag, unpinned */
  readonly baseImage?: string;
  /** Image that installs the modules; needs npm and a shell. @default - the base image */
  readonly buildImage?: string;
  /** Base of the CUDA image. @default - what `slipway.image.json` records, else the Dockerfile's own tag, unpinned */
  readonly cudaImage?: string;
  /** SHA-256 of the CUDA provider's archive. @default - what `slipway.image.json` records; without one the build stops and prints it */
  readonly cudaSha256?: string;
  /** Where `slipway.image.json` is looked for. @default - the current directory */
  readonly directory?: string;
  /** Build context. @default - the one that ships in this package */
  readonly context?: string;
  /** @default - the first of docker, podman and buildah that works here */
  readonly tool?: ContainerTool;
  /** Handed to the tool's build as they are, such as `--network host`. @default - none */
  readonly toolArguments?: readonly string[];
  /** Receives what the tool prints. @default - dropped */
  readonly log?: (line: string) => void;
}

/** An image in the tool's own storage. */
export interface BuiltImage {
  readonly tag: string;
  /** The bases it was built on that are not pinned to a digest: building again may give another image. */
  readonly unpinned: readonly string[];
}

// A build downloads base images, 115 MB of modules and, for CUDA, another 400 MB.
const STEP_TIMEOUT_SECONDS = 2 * 3_600;

/**
 * Builds a server image and leaves it in the container tool's storage.
 * @throws ImageError NO_CONTAINER_TOOL, CONTEXT_MISSING, PIN_INVALID, ARGUMENT_INVALID, or COMMAND_FAILED with the
 * last lines of the build.
 */
export async function buildImage(options: BuildImageOptions = {}): Promise<BuiltImage> {
  const { request, unpinned } = planBuild(options);
  const tool = options.tool ?? (await findContainerTool());
  announceUnpinned(unpinned, options.log);
  await runSteps(buildSteps(tool, request), options.log);
  return { tag: request.tag, unpinned };
}

/** Decides everything about a build and runs nothing. */
export function planBuild(options: BuildImageOptions): { request: BuildRequest; unpinned: readonly string[] } {
  const variant = options.variant ?? 'cpu';
  const platforms = checkPlatforms(variant, options.platforms ?? [machinePlatform(variant)]);
  const context = options.context ?? containerContext(variant);
  const defaults = defaultBaseImages(context);
  const pin = readImagePin(options.directory ?? process.cwd());
  const baseImage = options.baseImage ?? pin.baseImage ?? defaults.baseImage;
  const cudaImage = options.cudaImage ?? pin.cudaImage ?? defaults.cudaImage;
  const cudaSha256 = options.cudaSha256 ?? pin.cudaSha256;
  const bases = variant === 'cuda' && cudaImage !== undefined ? [baseImage, cudaImage] : [baseImage];
  return {
    request: {
      context,
      tag: options.tag ?? `slipway:${packageVersion()}-${variant}`,
      platforms,
      buildArguments: {
        BASE_IMAGE: baseImage,
        ...(options.buildImage === undefined ? {} : { BUILD_IMAGE: options.buildImage }),
        ...(variant === 'cuda' && cudaImage !== undefined ? { CUDA_IMAGE: cudaImage } : {}),
        ...(variant === 'cuda' && cudaSha256 !== undefined ? { ONNXRUNTIME_CUDA_SHA256: cudaSha256 } : {}),
      },
      buildPlatform: machinePlatform('cpu'),
      toolArguments: options.toolArguments ?? [],
    },
    unpinned: bases.filter((image) => !isPinned(image)),
  };
}

/** Says which bases can change under the same name. */
export function announceUnpinned(unpinned: readonly string[], log: ((line: string) => void) | undefined): void {
  for (const image of unpinned) {
    log?.(`base image ${image} is a tag, not a digest; 'slipway image pin' records its digest in ${IMAGE_PIN_FILE}`);
  }
}

/** Runs the steps in order and returns what the last one printed. */
export async function runSteps(steps: readonly Step[], log: ((line: string) => void) | undefined): Promise<string> {
  let output = '';
  for (const { command, optional } of steps) {
    if (optional) {
      await runCommand(command, { timeoutSeconds: STEP_TIMEOUT_SECONDS }).catch(() => undefined);
    } else {
      output = await runCommand(command, {
        timeoutSeconds: STEP_TIMEOUT_SECONDS,
        ...(log === undefined ? {} : { log }),
      });
    }
  }
  return output;
}

function machinePlatform(variant: ImageVariant): Platform {
  return variant === 'cpu' && arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';
}

function checkPlatforms(variant: ImageVariant, platforms: readonly Platform[]): readonly [Platform, ...Platform[]] {
  const [first, ...rest] = platforms;
  const known = variant === 'cuda' ? ['linux/amd64'] : PLATFORMS;
  if (first === undefined || platforms.some((platform) => !known.includes(platform))) {
    throw new ImageError(
      'ARGUMENT_INVALID',
      'platform',
      `the ${variant} image is built for ${known.join(' and ')}, got '${platforms.join(',')}'`,
    );
  }
  return [first, ...rest];
}
