import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../runtime/spec';
import { decideFor } from './refusal';

/** What is read of a model: where its bucket is. */
interface RegionalModel {
  readonly bucket: { readonly region: pulumi.Input<string> };
}

/**
 * Region of the buckets that a service reads from, where a replica asks one endpoint, which has the buckets of its region alone.
 * Two regions are refused with BUCKET_REGION, when they are known.
 */
export function oneRegion(reads: readonly RegionalModel[], component: pulumi.ComponentResource): pulumi.Output<string> {
  return pulumi.all(reads.map(({ bucket }) => bucket.region)).apply((regions) =>
    decideFor(component, () => {
      const [first, ...others] = new Set(regions);
      if (others.length === 0) return first!;
      throw new SpecError(
        'BUCKET_REGION',
        'reads',
        `models of one service lie in buckets of one region, got ${[first, ...others].join(', ')}; copy them into one`,
      );
    }),
  );
}
