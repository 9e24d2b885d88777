import { SpecError } from './errors';

const PINNED = /^[^@\s]+@sha256:[0-9a-f]{64}$/;

/**
 * What there is to say of a server image that is named by a tag, which is allowed for what is tried out.
 * @returns nothing for an image by digest
 */
export function adviseOnImage(image: string): string | undefined {
  if (PINNED.test(image)) return undefined;
  return `image '${image}' is not named by its digest, and may be another one for the next replica: take the line <image repository>@sha256:… that slipway image push prints`;
}

/** @throws SpecError IMAGE_NOT_PINNED unless an image is named by its digest: a tag may be another image tomorrow. */
export function assertPinnedImage(image: string, path: string): void {
  if (PINNED.test(image)) return;
  throw new SpecError(
    'IMAGE_NOT_PINNED',
    path,
    `must name an image by its digest, as in 'registry.example.com/name@sha256:' and 64 hexadecimal digits, got '${image}'`,
  );
}
