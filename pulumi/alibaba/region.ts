import { getRegionsOutput } from '@pulumi/alicloud/getRegions';
import type * as pulumi from '@pulumi/pulumi';

/** Region of the provider that the component uses. */
export function currentRegion(parent: pulumi.ComponentResource): pulumi.Output<string> {
  return getRegionsOutput({ current: true }, { parent }).apply(({ regions }) => regions[0]!.id);
}
