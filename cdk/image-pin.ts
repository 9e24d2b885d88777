import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SpecError } from '../runtime/spec';

/** What `slipway image pin` recorded about the bases that images are built on. */
export interface ImagePin {
  readonly baseImage?: string;
  readonly cudaImage?: string;
  readonly cudaSha256?: string;
}

/** @throws SpecError IMAGE_NOT_PINNED when the file holds anything but digests. */
export function readImagePin(directory: string): ImagePin {
  const path = join(directory, 'slipway.image.json');
  if (!existsSync(path)) return {};
  const pin = JSON.parse(readFileSync(path, 'utf8')) as ImagePin;
  for (const field of ['baseImage', 'cudaImage'] as const) {
    const image = pin[field];
    if (image !== undefined && !/@sha256:[0-9a-f]{64}$/.test(image)) {
      throw new SpecError('IMAGE_NOT_PINNED', path, `${field} must be an image with its digest, got '${image}'`);
    }
  }
  return pin;
}
