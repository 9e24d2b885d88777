import type * as pulumi from '@pulumi/pulumi';
import type { Tags } from '../tags';

/** Tags as the argument `labels` of a resource, as Google calls them, which must not be there where there are no tags. */
export function labelled(tags: Tags | undefined): { labels?: Record<string, pulumi.Input<string>> } {
  return tags === undefined ? {} : { labels: { ...tags } };
}

/** The same where GKE has Kubernetes' labels beside Google's. */
export function resourceLabelled(tags: Tags | undefined): { resourceLabels?: Record<string, pulumi.Input<string>> } {
  return tags === undefined ? {} : { resourceLabels: { ...tags } };
}
