import { SpecError } from './errors';

/** @throws SpecError IMAGE_NOT_PINNED unless an image is named by its digest: a tag may be another image tomorrow. */
export function assertPinnedImage(image: string, path: string): void {
  if (/^[^@\s]+@sha256:[0-9a-f]{64}$/.test(image)) return;
  throw new SpecError(
    'IMAGE_NOT_PINNED',
    path,
    `must name an image by its digest, as in 'registry.example.com/name@sha256:' and 64 hexadecimal digits, got '${image}'`,
  );
}
