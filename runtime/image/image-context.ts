import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ImageError } from './image-error';

export const IMAGE_VARIANTS = ['cpu', 'cuda'] as const;
/** `cpu` runs everywhere; `cuda` adds ONNX Runtime's CUDA provider and is for linux/amd64 alone. */
export type ImageVariant = (typeof IMAGE_VARIANTS)[number];

/** The base images that a Dockerfile names by default. */
export interface BaseImages {
  /** Node's image: what the CPU image runs on, and where the CUDA image takes node from. */
  readonly baseImage: string;
  /** What the CUDA image runs on; undefined for the CPU image. */
  readonly cudaImage?: string;
}

/**
 * The directory an image is built from, as it ships in the package: Dockerfile, server bundle, health check and the
 * lock file of the image's own dependencies.
 * @throws ImageError CONTEXT_MISSING in a checkout that has not been built.
 */
export function containerContext(variant: ImageVariant): string {
  const root = packageRoot();
  const context = join(root, 'dist', 'image', variant);
  if (!existsSync(join(context, 'Dockerfile'))) {
    throw new ImageError('CONTEXT_MISSING', context, `there is no Dockerfile; run 'npm run build' in ${root}`);
  }
  return context;
}

/** Version of this package: the default tag of the images it builds. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version;
}

/** Reads the default bases out of the Dockerfile, the one place that names them. */
export function defaultBaseImages(context: string): BaseImages {
  const dockerfile = readFileSync(join(context, 'Dockerfile'), 'utf8');
  const defaultOf = (argument: string): string | undefined =>
    new RegExp(`^ARG ${argument}=(\\S+)$`, 'm').exec(dockerfile)?.[1];
  const baseImage = defaultOf('BASE_IMAGE');
  if (baseImage === undefined) {
    throw new ImageError(
      'CONTEXT_MISSING',
      context,
      'its Dockerfile gives BASE_IMAGE no default, so this is no context of ours',
    );
  }
  const cudaImage = defaultOf('CUDA_IMAGE');
  return cudaImage === undefined ? { baseImage } : { baseImage, cudaImage };
}

/** The folder of this package. Sources and what is compiled from them lie at different depths below its package.json. */
export function packageRoot(): string {
  let directory = __dirname;
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory)
      throw new ImageError('CONTEXT_MISSING', __dirname, 'no package.json in any folder above it');
    directory = parent;
  }
  return directory;
}
