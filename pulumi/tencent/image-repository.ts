import * as pulumi from '@pulumi/pulumi';
import type { ChildOptions } from '../child-options';
import { SpecError } from '../../runtime/spec';
import { imageByDigest, type ImagePlace } from '../image-by-digest';
import { checkMirrors, pathOf, type MirrorUris } from '../image-mirrors';
import { hyphenated, shortened } from '../account-name';
import { decideFor } from '../refusal';
import { tagged } from '../tags';
import { TcrImmutableTagRule, TcrNamespace, TcrReplication, TcrRepository } from './provider';

export interface ImageRepositoryArgs {
  /** The instance of Tencent Container Registry that the images go to; none is bought here. */
  readonly registry?: RegistryArgs;
  /** @default - `<component name>-<stack>` */
  readonly namespace?: string;
  /** Whether the repository and its images outlive this component. False deletes them with it. @default true */
  readonly keepOnDelete?: boolean;
  /**
   * Repositories in other regions that what is pushed is copied to: each of an `ImageRepository` with that region's provider.
   * Both registries are of the edition Premium. @default - none
   */
  readonly replicateTo?: ImageMirrorArgs[];
  /** URI of a repository that is already there: nothing is made. @default - makes one */
  readonly existing?: pulumi.Input<string>;
  /** Of the rule that keeps tags, which is all that can have some. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

export interface RegistryArgs {
  /** `tcr-…` */
  readonly id: pulumi.Input<string>;
  /** Its domain, `team.tencentcloudcr.com`: TKE's machines reach it by their own network where it lets their VPC in. */
  readonly domain: pulumi.Input<string>;
}

/** A repository of another region. */
export interface ImageMirrorArgs {
  /** `ap-shanghai` */
  readonly region: string;
  /** The instance of that region: `tcr-…`. */
  readonly registryId: pulumi.Input<string>;
  /** `uri` of the `ImageRepository` there. */
  readonly uri: pulumi.Input<string>;
}

/**
 * Experimental: a private repository for the server's image in an instance of Tencent Container Registry: tags cannot be moved,
 * what is pushed is scanned, and it is kept when the component goes. The key that encrypts images, and what becomes of those
 * that no tag names, are settings of the instance. It was never run against an account.
 *
 * Machines pull by an image pull secret, which the add-on `TCR` of the cluster keeps.
 */
export class ImageRepository extends pulumi.ComponentResource {
  /** Where to push: `<domain>/<namespace>/slipway`. */
  readonly uri: pulumi.Output<string>;
  /** The same repository in the regions of `replicateTo`. */
  readonly mirrorUris: { readonly [region: string]: pulumi.Output<string> };

  constructor(name: string, args: ImageRepositoryArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:tencent:ImageRepository', name, args, opts);
    decideFor(
      this,
      () => {
        assertRegistry(args);
        checkMirrors(
          (args.replicateTo ?? []).map(({ region }) => region),
          args,
        );
        for (const [i, { region }] of (args.replicateTo ?? []).entries()) numberOf(region, `replicateTo[${i}].region`);
      },
      args,
    );
    this.mirrorUris = {};
    if (args.existing === undefined) {
      const child = { parent: this, retainOnDelete: args.keepOnDelete ?? true };
      const { namespace, repository } = createRepository(name, args, child);
      this.uri = pulumi.interpolate`${args.registry!.domain}/${namespace.name}/${repository.name}`;
      this.mirrorUris = copyTo(name, args, namespace, repository, child);
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

function assertRegistry({ registry, existing }: ImageRepositoryArgs): void {
  if (registry !== undefined || existing !== undefined) return;
  throw new SpecError('REGISTRY_CHOICE', 'registry', 'give registry or existing, got none');
}

function createRepository(
  name: string,
  args: ImageRepositoryArgs,
  child: ChildOptions,
): { readonly namespace: TcrNamespace; readonly repository: TcrRepository } {
  const instanceId = args.registry!.id;
  const namespace = new TcrNamespace(
    name,
    {
      instanceId,
      name: args.namespace ?? namespaceOf(`${name}-${pulumi.getStack()}`),
      isPublic: false,
      isAutoScan: true,
    },
    child,
  );
  new TcrImmutableTagRule(
    name,
    {
      registryId: instanceId,
      namespaceName: namespace.name,
      rule: {
        repositoryPattern: '**',
        repositoryDecoration: 'repoMatches',
        tagPattern: '**',
        tagDecoration: 'matches',
        disabled: false,
      },
      ...tagged(args.tags),
    },
    child,
  );
  const repository = new TcrRepository(
    name,
    {
      instanceId,
      namespaceName: namespace.name,
      name: 'slipway',
      briefDesc: 'Inference server',
      forceDelete: args.keepOnDelete === false,
    },
    child,
  );
  return { namespace, repository };
}

/** `tencentcloud_tcr_replication` of the Terraform provider, whose page shows the filter. */
function copyTo(
  name: string,
  { registry, replicateTo = [] }: ImageRepositoryArgs,
  namespace: TcrNamespace,
  repository: TcrRepository,
  child: ChildOptions,
): MirrorUris {
  const copies = replicateTo.map(({ region, registryId, uri }, i) => {
    const path = `replicateTo[${i}]`;
    const rule = new TcrReplication(
      `${name}-${region}`,
      {
        sourceRegistryId: registry!.id,
        destinationRegistryId: registryId,
        destinationRegionId: numberOf(region, `${path}.region`),
        rule: {
          name: namespaceOf(`${name}-${region}`),
          destNamespace: pathOf(uri, `${path}.uri`, child.parent).namespace,
          // Tags do not move, here or there.
          override: false,
          deletion: false,
          filters: [{ type: 'name', value: pulumi.interpolate`${namespace.name}/${repository.name}` }],
        },
      },
      child,
    );
    return [region, pulumi.all([uri, rule.id]).apply(([known]) => known)] as const;
  });
  return Object.fromEntries(copies);
}

/**
 * TCR knows regions by numbers. Those that the page of `tencentcloud_tcr_manage_replication_operation` of the Terraform
 * provider lists.
 */
const REGION_NUMBERS: Readonly<Record<string, number>> = {
  'ap-guangzhou': 1,
  'ap-shanghai': 4,
  'ap-hongkong': 5,
  'ap-beijing': 8,
  'ap-singapore': 9,
  'na-siliconvalley': 15,
  'ap-chengdu': 16,
  'eu-frankfurt': 17,
  'ap-seoul': 18,
  'ap-chongqing': 19,
  'ap-mumbai': 21,
  'na-ashburn': 22,
  'ap-bangkok': 23,
  'eu-moscow': 24,
  'ap-tokyo': 25,
  'ap-nanjing': 33,
  'ap-taipei': 39,
  'ap-jakarta': 72,
};

function numberOf(region: string, path: string): number {
  if (Object.hasOwn(REGION_NUMBERS, region)) return REGION_NUMBERS[region]!;
  throw new SpecError('IMAGE_REGION', path, `got '${region}', known: ${Object.keys(REGION_NUMBERS).join(', ')}`);
}

/** 2 to 30 lower-case letters, digits and hyphens, a letter or a digit at both ends. */
function namespaceOf(text: string): string {
  return shortened(hyphenated(text), 30);
}
