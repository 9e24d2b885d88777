import { Registry, Replication, type RegistryArgs } from '@pulumi/azure-native/containerregistry';
import * as pulumi from '@pulumi/pulumi';
import type { ChildOptions } from '../child-options';
import { SpecError } from '../../runtime/spec';
import { integer } from '../../runtime/spec/numbers';
import { hyphenated } from '../account-name';
import { groupGrants, type Grantable, type GrantGroup } from '../grant-names';
import { imageByDigest, type ImagePlace } from '../image-by-digest';
import { checkMirrors, type MirrorUris } from '../image-mirrors';
import { decideFor } from '../refusal';
import type { ClusterFacts } from './cluster-facts';
import { checkKeyId, useKey } from './encryption-key';
import { checkGlobalName, globalName } from './global-name';
import { reachFrom } from './registry-endpoint';
import { assignRole } from './role-assignment';

export const RegistrySku = {
  /** Deletes untagged images, takes a key of one's own, private endpoints, and copies in other locations. */
  Premium: 'Premium',
  Standard: 'Standard',
} as const;
export type RegistrySku = (typeof RegistrySku)[keyof typeof RegistrySku];

export interface ImageRepositoryArgs {
  readonly resourceGroupName: pulumi.Input<string>;
  /**
   * Clusters whose machines may pull: each needs `kubeletPrincipalId` in its facts.
   * @default - none by this component; without the role AcrPull, pods cannot start
   */
  readonly pulledBy?: ClusterFacts[];
  /** @default 'Premium' */
  readonly sku?: RegistrySku;
  /**
   * A subnet that gets a private endpoint, and its network the name that leads to it: machines of that network, and of those
   * joined to it, reach the registry. Premium alone. @default - none
   */
  readonly subnetId?: pulumi.Input<string>;
  /**
   * Id of the private DNS zone of registries, `privatelink.azurecr.io`, where the network of `subnetId` has one already: a network
   * takes but one. @default - one of the registry's own
   */
  readonly privateDnsZoneId?: pulumi.Input<string>;
  /**
   * Public addresses that may reach the registry, such as those of whoever pushes: `203.0.113.7` or `203.0.113.0/24`; Premium
   * alone. @default - none
   */
  readonly ipRanges?: pulumi.Input<string>[];
  /**
   * Whether every network reaches the registry, which then nothing but Entra guards. Azure closes Premium ones alone, so a
   * Standard one needs it. @default false: `subnetId`, `ipRanges` and private endpoints of yours
   */
  readonly publicNetworkAccess?: boolean;
  /**
   * Id of the Key Vault key that encrypts images, as `keyvault.Key` gives it; Premium alone.
   * @default - a key that Azure manages
   */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Days until an image that no tag names is deleted, 1 to 365; Premium alone. @default 14 */
  readonly untaggedDays?: number;
  /** Whether the registry and its images outlive this component. False deletes them with it. @default true */
  readonly keepOnDelete?: boolean;
  /**
   * Locations that get a copy of the registry, `westeurope`; Premium alone. All have one URI: Azure answers from the nearest.
   * @default - none
   */
  readonly replicateTo?: string[];
  /** URI of a repository that is already there: nothing is made, and nothing of it is changed. @default - makes one */
  readonly existing?: pulumi.Input<string>;
  /**
   * Name of the registry, which all of Azure shares: 5 to 50 letters and digits.
   * @default - the component's name and a digest of where it is
   */
  readonly registryName?: pulumi.Input<string>;
  /** @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * A registry for the server's image: no admin user, nothing for strangers, reachable from nowhere but where `subnetId` and
 * `ipRanges` say, untagged images deleted, and kept when the component goes. `slipway image push <uri>` pushes to it and prints the digest, after `az acr login`.
 *
 * Azure has no immutable tags and scans images only where Defender for Containers is on for the subscription; services
 * name images by digest, which nobody can move.
 */
export class ImageRepository extends pulumi.ComponentResource {
  /** Undefined where `existing` was given. */
  readonly registry?: Registry;
  /** Where to push: `<registry>.azurecr.io/<component>`. Known when the clusters of `pulledBy` may pull, and reach it. */
  readonly uri: pulumi.Output<string>;
  /** The same repository in the regions of `replicateTo`. */
  readonly mirrorUris: { readonly [region: string]: pulumi.Output<string> };

  constructor(name: string, args: ImageRepositoryArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:azure:ImageRepository', name, args, opts);
    const { pullers, untaggedDays } = decideFor(
      this,
      () => {
        checkKeyId(args.encryptionKey);
        checkGlobalName('registryName', args.registryName);
        // The one key of a registry encrypts its copies, too.
        checkMirrors(args.replicateTo ?? [], { existing: args.existing });
        const untaggedDays = retentionOf(args);
        assertNetwork(args);
        return { pullers: pullersOf(args), untaggedDays };
      },
      args,
    );
    this.mirrorUris = {};
    if (args.existing === undefined) {
      const child = { parent: this, retainOnDelete: args.keepOnDelete ?? true };
      const registry = createRegistry(name, args, untaggedDays, child);
      const grants = pullers.map(({ suffix, id: principalId }, i) =>
        assignRole(
          `${name}-pull${suffix}`,
          { role: 'acrPull', scope: registry.id, principalId },
          { parent: this, aliases: [{ name: `${name}-pull-${i}` }] },
        ),
      );
      const endpoint = args.subnetId === undefined ? [] : reachFrom(name, args.subnetId, registry, args, this);
      this.registry = registry;
      this.uri = pulumi
        .all([registry.loginServer, ...[...grants, ...endpoint].map(({ id }) => id)])
        .apply(([server]) => `${server}/${hyphenated(name)}`);
      this.mirrorUris = mirror(name, args, registry, this.uri, child);
    } else {
      this.uri = pulumi.output(args.existing);
    }
    this.registerOutputs({ uri: this.uri, mirrorUris: this.mirrorUris });
  }

  /**
   * URI of one image, for `image` of a service.
   * @param digest as `slipway image push` printed it: `sha256:` and 64 hexadecimal digits
   * @param place a region of `replicateTo`, where machines are that pull the image there
   * @throws pulumi.ResourceError for anything else: a tag may be pushed again, a digest is one image for ever.
   */
  imageByDigest(digest: string, place: ImagePlace = {}): pulumi.Output<string> {
    return imageByDigest(this, digest, place);
  }
}

function createRegistry(
  name: string,
  args: ImageRepositoryArgs,
  untaggedDays: number | undefined,
  child: ChildOptions,
): Registry {
  const { resourceGroupName, encryptionKey, tags } = args;
  const key = encryptionKey === undefined ? undefined : useKey(name, encryptionKey, resourceGroupName, tags, child);
  return new Registry(
    name,
    {
      resourceGroupName,
      registryName: args.registryName ?? globalName(name, resourceGroupName, child.parent),
      sku: { name: args.sku ?? RegistrySku.Premium },
      adminUserEnabled: false,
      anonymousPullEnabled: false,
      ...networkOf(args),
      ...(untaggedDays === undefined
        ? {}
        : { policies: { retentionPolicy: { status: 'enabled', days: untaggedDays } } }),
      ...(key === undefined
        ? {}
        : {
            identity: {
              type: 'UserAssigned',
              userAssignedIdentities: key.identity.id.apply((id) => ({ [id]: {} })),
            },
            encryption: {
              status: 'enabled',
              keyVaultProperties: { keyIdentifier: key.keyUri, identity: key.identity.clientId },
            },
          }),
      tags,
    },
    { ...child, dependsOn: key === undefined ? [] : [key.grant] },
  );
}

/** Nobody on the network, but the addresses that are named and private endpoints; a Standard registry cannot be closed. */
function networkOf({ publicNetworkAccess = false, ipRanges = [] }: ImageRepositoryArgs): Partial<RegistryArgs> {
  if (publicNetworkAccess) return { publicNetworkAccess: 'Enabled' };
  return {
    publicNetworkAccess: ipRanges.length > 0 ? 'Enabled' : 'Disabled',
    networkRuleSet: {
      defaultAction: 'Deny',
      ipRules: ipRanges.map((iPAddressOrRange) => ({ action: 'Allow', iPAddressOrRange })),
    },
    // Defender for Containers is one of them, and scans nothing else.
    networkRuleBypassOptions: 'AzureServices',
  };
}

function mirror(
  name: string,
  { resourceGroupName, replicateTo = [], tags }: ImageRepositoryArgs,
  registry: Registry,
  uri: pulumi.Output<string>,
  child: pulumi.CustomResourceOptions,
): MirrorUris {
  const copies = replicateTo.map((location) => {
    const copy = new Replication(
      `${name}-${location}`,
      { resourceGroupName, registryName: registry.name, replicationName: location, location, tags },
      child,
    );
    return [location, pulumi.all([uri, copy.id]).apply(([known]) => known)] as const;
  });
  return Object.fromEntries(copies);
}

function pullersOf({ pulledBy = [], existing }: ImageRepositoryArgs): readonly GrantGroup<Grantable>[] {
  if (existing !== undefined && pulledBy.length > 0) {
    throw new SpecError(
      'CLUSTER_MISMATCH',
      'pulledBy',
      'goes with a registry that is made here; of an existing one, give the machines the role AcrPull: az aks update --attach-acr',
    );
  }
  const pullers = pulledBy.map(({ kubeletPrincipalId: id, label }, i) => {
    const path = `pulledBy[${i}]`;
    if (id !== undefined) return { id, path, ...(label === undefined ? {} : { label }) };
    throw new SpecError(
      'CLUSTER_MISMATCH',
      `${path}.kubeletPrincipalId`,
      'must be given, for machines pull by that identity; az aks show --query identityProfile.kubeletidentity.objectId prints it',
    );
  });
  return groupGrants(pullers);
}

/** Days of the retention policy, which Azure has up to a year and for Premium alone. */
function retentionOf({
  sku = RegistrySku.Premium,
  untaggedDays,
  encryptionKey,
  replicateTo,
  subnetId,
  ipRanges,
}: ImageRepositoryArgs): number | undefined {
  const days = integer('untaggedDays', untaggedDays, 14, 1, 365);
  if (sku === RegistrySku.Premium) return days;
  const premium = Object.entries({ untaggedDays, encryptionKey, replicateTo, subnetId, ipRanges }).find(
    ([, given]) => given !== undefined,
  );
  if (premium !== undefined) {
    throw new SpecError('REGISTRY_SKU', premium[0], `is for sku 'Premium' alone, got it with '${sku}'`);
  }
  return undefined;
}

function assertNetwork({
  sku,
  publicNetworkAccess = false,
  ipRanges,
  privateDnsZoneId,
  subnetId,
}: ImageRepositoryArgs): void {
  if (sku === RegistrySku.Standard && !publicNetworkAccess) {
    throw new SpecError(
      'REGISTRY_SKU',
      'publicNetworkAccess',
      "must be true for sku 'Standard', got false: Azure closes the network of 'Premium' registries alone; without it, leave sku out",
    );
  }
  if (publicNetworkAccess && ipRanges !== undefined) {
    throw new SpecError(
      'REGISTRY_CHOICE',
      'ipRanges',
      'closes nothing with publicNetworkAccess: true; give one of both',
    );
  }
  if (privateDnsZoneId !== undefined && subnetId === undefined) {
    throw new SpecError(
      'REGISTRY_CHOICE',
      'privateDnsZoneId',
      'is for the private endpoint in subnetId; give that, too',
    );
  }
}
