import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../runtime/spec';
import { decideFor } from './refusal';

/** URI of the same repository in every region that its images are copied to. */
export interface MirrorUris {
  readonly [region: string]: pulumi.Output<string>;
}

/**
 * @param own What else was said of the repository: a key encrypts in its own region alone, where a cloud has such keys.
 * @throws SpecError for copies of what is not made here, a key, a name that no region has, and one that is named twice.
 */
export function checkMirrors(
  regions: readonly string[],
  own: { readonly existing?: unknown; readonly encryptionKey?: unknown },
): void {
  if (regions.length === 0) return;
  if (own.existing !== undefined) {
    throw new SpecError(
      'REGISTRY_CHOICE',
      'replicateTo',
      'goes with a repository that is made here, not with existing',
    );
  }
  if (own.encryptionKey !== undefined) {
    throw new SpecError(
      'ENCRYPTION_KEY_INVALID',
      'encryptionKey',
      'encrypts in its own region alone, not in those of replicateTo; leave it out, or make a repository with a key in each region',
    );
  }
  for (const [i, region] of regions.entries()) assertRegion(region, `replicateTo[${i}]`, regions.indexOf(region) < i);
}

function assertRegion(region: string, path: string, isTwice: boolean): void {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(region)) {
    throw new SpecError('NAME_INVALID', path, `must be a region in the cloud's own words, got '${region}'`);
  }
  if (isTwice) throw new SpecError('NAME_TAKEN', path, `'${region}' is named before; name each region once`);
}

/**
 * Namespace and repository of a URI that another component gives, `<domain>/<namespace>/<repository>`. Another one is refused
 * when it is known.
 */
export function pathOf(
  uri: pulumi.Input<string>,
  path: string,
  component: pulumi.ComponentResource,
): { readonly namespace: pulumi.Output<string>; readonly repository: pulumi.Output<string> } {
  const parts = pulumi.output(uri).apply((known) =>
    decideFor(component, () => {
      const [, namespace, repository] = /^[^/]+\/([^/@:]+)\/([^/@:]+)$/.exec(known) ?? [];
      if (namespace !== undefined && repository !== undefined) return { namespace, repository };
      throw new SpecError('NAME_INVALID', path, `must be '<domain>/<namespace>/<repository>', got '${known}'`);
    }),
  );
  return { namespace: parts.namespace, repository: parts.repository };
}
