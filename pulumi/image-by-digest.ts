import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { decideFor } from './refusal';

/** Days until an untagged image goes, where the cloud counts them. @throws SpecError NUMBER_INVALID */
export function untaggedDaysOf(given: number | undefined): number {
  return integer('untaggedDays', given, 14, 1, 3650);
}

/**
 * URI of one image of a repository.
 * @throws pulumi.ResourceError for anything but a digest: a tag may be pushed again, a digest is one image for ever.
 */
export function imageByDigest(
  repository: pulumi.ComponentResource,
  uri: pulumi.Output<string>,
  digest: string,
): pulumi.Output<string> {
  decideFor(repository, () => {
    if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
      throw new SpecError(
        'IMAGE_NOT_PINNED',
        'digest',
        `must be 'sha256:' and 64 lower-case hexadecimal digits, got '${digest}'; slipway image push prints it behind the @`,
      );
    }
  });
  return pulumi.interpolate`${uri}@${digest}`;
}
