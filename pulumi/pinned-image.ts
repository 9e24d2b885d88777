import * as pulumi from '@pulumi/pulumi';
import { assertPinnedImage, SpecError } from '../runtime/spec';
import { lateString, type LateString } from './late-bound';

/**
 * An image that is named by its digest; what is late is held to it when it is known.
 * @throws SpecError IMAGE_NOT_PINNED for a plain one that is not.
 */
export function pinnedImage(image: pulumi.Input<string>, path: string): LateString {
  const late = lateString(image);
  if (typeof late !== 'string') return late.apply((known) => refusePlainly(known, path));
  assertPinnedImage(late, path);
  return late;
}

function refusePlainly(image: string, path: string): string {
  try {
    assertPinnedImage(image, path);
  } catch (error) {
    throw SpecError.is(error) ? new pulumi.RunError(error.message) : error;
  }
  return image;
}
