import type * as pulumi from '@pulumi/pulumi';

/** Labels, as Google calls them, of everything that a component makes and that can have some. */
export interface Tags {
  readonly [key: string]: pulumi.Input<string>;
}

/** The argument `labels` of a resource, which must not be there where there are no tags. */
export function labelled(tags: Tags | undefined): { labels?: Record<string, pulumi.Input<string>> } {
  return tags === undefined ? {} : { labels: { ...tags } };
}

/** The same where GKE has Kubernetes' labels beside Google's. */
export function resourceLabelled(tags: Tags | undefined): { resourceLabels?: Record<string, pulumi.Input<string>> } {
  return tags === undefined ? {} : { resourceLabels: { ...tags } };
}
