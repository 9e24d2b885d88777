import { ScanRule } from '@pulumi/alicloud/cr/scanRule';
import { RegistryEnterpriseInstance } from '@pulumi/alicloud/cr/registryEnterpriseInstance';
import { getRegistryEnterpriseInstancesOutput } from '@pulumi/alicloud/cs/getRegistryEnterpriseInstances';
import { RegistryEnterpriseNamespace } from '@pulumi/alicloud/cs/registryEnterpriseNamespace';
import { RegistryEnterpriseRepo } from '@pulumi/alicloud/cs/registryEnterpriseRepo';
import { RegistryEnterpriseSyncRule } from '@pulumi/alicloud/cs/registryEnterpriseSyncRule';
import * as pulumi from '@pulumi/pulumi';
import type { ChildOptions } from '../child-options';
import { SpecError } from '../../runtime/spec';
import { integer } from '../../runtime/spec/numbers';
import { imageByDigest, type ImagePlace } from '../image-by-digest';
import { checkMirrors, pathOf, type MirrorUris } from '../image-mirrors';
import { hyphenated, shortened } from '../account-name';
import { decideFor } from '../refusal';
import { tagged } from '../tags';

export interface ImageRepositoryArgs {
  /** Id of the Container Registry Enterprise Edition instance that the images go to: `cri-…`. */
  readonly instanceId?: pulumi.Input<string>;
  /**
   * Buys an instance instead. It is a subscription: it is paid in advance, renewed until somebody ends it in the console,
   * and never deleted by Pulumi.
   */
  readonly subscription?: RegistrySubscriptionArgs;
  /** @default - `<component name>-<stack>` */
  readonly namespace?: string;
  /** Whether the repository and its images outlive this component. False deletes them with it. @default true */
  readonly keepOnDelete?: boolean;
  /**
   * Repositories in other regions that what is pushed is copied to: each of an `ImageRepository` with that region's provider.
   * The registry's password must have been set once, in the console. @default - none
   */
  readonly replicateTo?: ImageMirrorArgs[];
  /** URI of a repository that is already there: nothing is made. @default - makes one */
  readonly existing?: pulumi.Input<string>;
  /** Of an instance that is bought; repositories have none. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/** A repository of another region. */
export interface ImageMirrorArgs {
  /** `cn-shanghai` */
  readonly region: string;
  /** The instance of that region: `cri-…`. */
  readonly instanceId: pulumi.Input<string>;
  /** `uri` of the `ImageRepository` there. */
  readonly uri: pulumi.Input<string>;
}

/** Editions of Container Registry Enterprise Edition. */
export const RegistryEdition = { Basic: 'Basic', Standard: 'Standard', Advanced: 'Advanced' } as const;
export type RegistryEdition = (typeof RegistryEdition)[keyof typeof RegistryEdition];

export interface RegistrySubscriptionArgs {
  readonly edition: RegistryEdition;
  /** Months that are paid at once, and then again: 1, 2, 3, 6 or 12. @default 1 */
  readonly months?: number;
}

/**
 * A private repository for the server's image in an instance of Container Registry Enterprise Edition: tags cannot be moved,
 * what is pushed is scanned, and it is kept when the component goes. The key that encrypts images, and what becomes of those
 * that no tag names, are settings of the instance.
 *
 * Machines pull by the network of their own: the instance must let their VPC in, and the cluster needs the add-on
 * `managed-aliyun-acr-credential-helper`, or pods an image pull secret.
 */
export class ImageRepository extends pulumi.ComponentResource {
  /** Undefined unless a subscription was asked for. */
  readonly instance?: RegistryEnterpriseInstance;
  /** Undefined where `existing` was given. */
  readonly repository?: RegistryEnterpriseRepo;
  /** Where machines of a VPC that the instance lets in pull from, and push to. */
  readonly uri: pulumi.Output<string>;
  /** The same repository for those outside of the VPC, where the instance has its public endpoint on. */
  readonly publicUri: pulumi.Output<string>;
  /** The same repository in the regions of `replicateTo`. */
  readonly mirrorUris: { readonly [region: string]: pulumi.Output<string> };

  constructor(name: string, args: ImageRepositoryArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:alibaba:ImageRepository', name, args, opts);
    const months = decideFor(
      this,
      () => {
        checkMirrors(
          (args.replicateTo ?? []).map(({ region }) => region),
          args,
        );
        return checkInstance(args);
      },
      args,
    );
    this.mirrorUris = {};
    if (args.existing === undefined) {
      const child = { parent: this, retainOnDelete: args.keepOnDelete ?? true };
      if (args.subscription !== undefined) this.instance = buyInstance(name, args, months, this);
      const instanceId = pulumi.output(args.instanceId ?? this.instance!.id);
      const namespace = new RegistryEnterpriseNamespace(
        name,
        {
          instanceId,
          name: args.namespace ?? namespaceOf(`${name}-${pulumi.getStack()}`),
          // A push to a name that was never declared would make a repository without any of this.
          autoCreate: false,
          defaultVisibility: 'PRIVATE',
        },
        child,
      );
      this.repository = new RegistryEnterpriseRepo(
        name,
        {
          instanceId,
          namespace: namespace.name,
          name: 'slipway',
          summary: 'Inference server',
          repoType: 'PRIVATE',
          tagImmutability: true,
        },
        child,
      );
      new ScanRule(name, { instanceId, namespaces: [namespace.name], ...scanning(name) }, child);
      const hosts = hostsOf(instanceId, this);
      const path = pulumi.interpolate`${namespace.name}/${this.repository.name}`;
      this.uri = pulumi.interpolate`${hosts.vpc}/${path}`;
      this.publicUri = pulumi.interpolate`${hosts.internet}/${path}`;
      this.mirrorUris = copyTo(name, args.replicateTo ?? [], this.repository, child);
    } else {
      this.uri = pulumi.output(args.existing);
      this.publicUri = this.uri;
    }
    this.registerOutputs({ uri: this.uri, publicUri: this.publicUri, mirrorUris: this.mirrorUris });
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

const MONTHS = [1, 2, 3, 6, 12];

/** @returns months of the subscription */
function checkInstance({ instanceId, subscription, existing }: ImageRepositoryArgs): number {
  // Beside a repository that is there already, its instance may be named, too.
  const registries = existing === undefined ? { instanceId, subscription } : { subscription, existing };
  const given = Object.entries(registries).filter(([, value]) => value !== undefined);
  if (given.length !== 1) {
    throw new SpecError(
      'REGISTRY_CHOICE',
      'instanceId',
      `give one of instanceId, subscription and existing, got ${given.map(([key]) => key).join(' and ') || 'none'}`,
    );
  }
  const months = integer('subscription.months', subscription?.months, 1, 1, 12);
  if (MONTHS.includes(months)) return months;
  throw new SpecError('NUMBER_INVALID', 'subscription.months', `must be one of ${MONTHS.join(', ')}, got ${months}`);
}

function buyInstance(
  name: string,
  { subscription, tags }: ImageRepositoryArgs,
  months: number,
  parent: pulumi.ComponentResource,
): RegistryEnterpriseInstance {
  return new RegistryEnterpriseInstance(
    name,
    {
      instanceName: namespaceOf(`${name}-${pulumi.getStack()}`),
      instanceType: subscription!.edition,
      paymentType: 'Subscription',
      period: months,
      renewalStatus: 'AutoRenewal',
      renewPeriod: months,
      imageScanner: 'ACR',
      ...tagged(tags),
    },
    // What is paid for is not given back: the author ends the subscription.
    { parent, retainOnDelete: true },
  );
}

/** Values: `CreateScanRule` of Container Registry's API 2018-12-01, as the provider's documentation shows them. */
function scanning(name: string) {
  return {
    ruleName: shortened(name, 64),
    repoTagFilterPattern: '.*',
    scanScope: 'NAMESPACE',
    scanType: 'VUL',
    triggerType: 'AUTO',
  };
}

/** Values: `CreateRepoSyncRule` of Container Registry's API 2018-12-01. */
function copyTo(
  name: string,
  mirrors: readonly ImageMirrorArgs[],
  repository: RegistryEnterpriseRepo,
  child: ChildOptions,
): MirrorUris {
  const copies = mirrors.map(({ region, instanceId, uri }, i) => {
    const target = pathOf(uri, `replicateTo[${i}].uri`, child.parent);
    const rule = new RegistryEnterpriseSyncRule(
      `${name}-${region}`,
      {
        instanceId: repository.instanceId,
        namespaceName: repository.namespace,
        repoName: repository.name,
        syncRuleName: namespaceOf(`${name}-${region}`),
        syncScope: 'REPO',
        syncTrigger: 'PASSIVE',
        tagFilter: '.*',
        targetRegionId: region,
        targetInstanceId: instanceId,
        targetNamespaceName: target.namespace,
        targetRepoName: target.repository,
      },
      child,
    );
    return [region, pulumi.all([uri, rule.id]).apply(([known]) => known)] as const;
  });
  return Object.fromEntries(copies);
}

/** Domains of the instance: `<instance>-registry-vpc.<region>.cr.aliyuncs.com` and its public sibling. */
function hostsOf(
  instanceId: pulumi.Output<string>,
  parent: pulumi.ComponentResource,
): { readonly vpc: pulumi.Output<string>; readonly internet: pulumi.Output<string> } {
  const named = getRegistryEnterpriseInstancesOutput({ ids: [instanceId] }, { parent }).apply(({ instances }) => {
    const [instance] = instances;
    if (instance !== undefined) return { name: instance.name, region: instance.region };
    throw new pulumi.ResourceError('instanceId: there is no such instance in the region of the provider', parent, true);
  });
  return {
    vpc: pulumi.interpolate`${named.name}-registry-vpc.${named.region}.cr.aliyuncs.com`,
    internet: pulumi.interpolate`${named.name}-registry.${named.region}.cr.aliyuncs.com`,
  };
}

/** Lower-case letters, digits and hyphens, a letter or a digit at both ends, up to 120. */
function namespaceOf(text: string): string {
  return shortened(hyphenated(text), 120);
}
