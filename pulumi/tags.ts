import type * as pulumi from '@pulumi/pulumi';

/** Tags of everything that a component makes and that can have some. */
export interface Tags {
  readonly [key: string]: pulumi.Input<string>;
}

/** The argument of a resource, which must not be there where there are no tags. */
export function tagged(tags: Tags | undefined): { tags?: Record<string, pulumi.Input<string>> } {
  return tags === undefined ? {} : { tags: { ...tags } };
}
