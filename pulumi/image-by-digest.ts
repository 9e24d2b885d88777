import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import type { MirrorUris } from './image-mirrors';
import { decideFor } from './refusal';

/** Days until an untagged image goes, where the cloud counts them. @throws SpecError NUMBER_INVALID */
export function untaggedDaysOf(given: number | undefined): number {
  return integer('untaggedDays', given, 14, 1, 3650);
}

/** Where an image is pulled. */
export interface ImagePlace {
  /** One of the regions of `replicateTo`. @default - where it is pushed */
  readonly region?: string;
}

/** A repository of any cloud. */
interface ImageRepositoryComponent extends pulumi.ComponentResource {
  readonly uri: pulumi.Output<string>;
  readonly mirrorUris: MirrorUris;
}

/**
 * URI of one image of a repository, the same image in every region.
 * @throws pulumi.ResourceError for anything but a digest: a tag may be pushed again, a digest is one image for ever; and for a
 * region that nothing is copied to.
 */
export function imageByDigest(
  repository: ImageRepositoryComponent,
  digest: string,
  { region }: ImagePlace = {},
): pulumi.Output<string> {
  const uri = decideFor(repository, () => {
    if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
      throw new SpecError(
        'IMAGE_NOT_PINNED',
        'digest',
        `must be 'sha256:' and 64 lower-case hexadecimal digits, got '${digest}'; slipway image push prints it behind the @`,
      );
    }
    return region === undefined ? repository.uri : mirrorIn(region, repository.mirrorUris);
  });
  return pulumi.interpolate`${uri}@${digest}`;
}

function mirrorIn(region: string, mirrorUris: MirrorUris): pulumi.Output<string> {
  if (Object.hasOwn(mirrorUris, region)) return mirrorUris[region]!;
  const regions = Object.keys(mirrorUris).join(', ') || 'none';
  throw new SpecError('IMAGE_REGION', 'region', `must be one that replicateTo names (${regions}), got '${region}'`);
}
