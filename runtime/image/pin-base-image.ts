import type { ContainerTool } from './container-tool';
import { containerContext, defaultBaseImages, type ImageVariant } from './image-context';
import { isPinned, writeImagePin, type ImagePin } from './image-pin';
import { resolveDigest } from './resolve-digest';

export interface PinBaseImageOptions {
  /** `cuda` also pins the CUDA image. @default 'cpu' */
  readonly variant?: ImageVariant;
  /** @default - the tag in the Dockerfile */
  readonly baseImage?: string;
  /** @default - the tag in the Dockerfile */
  readonly cudaImage?: string;
  /** Recorded beside the digests: the SHA-256 that the CUDA build printed. @default - what was recorded stays */
  readonly cudaSha256?: string;
  /** Where `slipway.image.json` is written. @default - the current directory */
  readonly directory?: string;
  /** @default - the context that ships in this package */
  readonly context?: string;
  /** Whose logins and mirrors count. Pinning itself needs no container tool. @default - docker's, else those of podman and buildah */
  readonly tool?: ContainerTool;
}

/**
 * Resolves the tags of the base images to the digests they have now and records them in `slipway.image.json`, which
 * every later build uses.
 * @returns the file's path and what it records now
 * @throws ImageError DIGEST_UNKNOWN, and nothing is written.
 */
export async function pinBaseImage(options: PinBaseImageOptions = {}): Promise<{ path: string; pin: ImagePin }> {
  const variant = options.variant ?? 'cpu';
  const defaults = defaultBaseImages(options.context ?? containerContext(variant));
  const cudaImage = options.cudaImage ?? defaults.cudaImage;
  const pin: ImagePin = {
    baseImage: await pinned(options.baseImage ?? defaults.baseImage, options.tool),
    ...(variant === 'cuda' && cudaImage !== undefined ? { cudaImage: await pinned(cudaImage, options.tool) } : {}),
    ...(options.cudaSha256 === undefined ? {} : { cudaSha256: options.cudaSha256 }),
    resolvedAt: new Date().toISOString(),
  };
  return { path: writeImagePin(options.directory ?? process.cwd(), pin), pin };
}

// The tag stays in the name: it tells a reader what the digest once was.
async function pinned(image: string, tool: ContainerTool | undefined): Promise<string> {
  return isPinned(image) ? image : `${image}@${await resolveDigest(image, tool)}`;
}
