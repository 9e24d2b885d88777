import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../../runtime/spec';
import { imageByDigest } from '../image-by-digest';
import { decideFor } from '../refusal';
import { tagged } from '../tags';
import { TcrImmutableTagRule, TcrNamespace, TcrRepository } from './provider';

export interface ImageRepositoryArgs {
  /** The instance of Tencent Container Registry that the images go to; none is bought here. */
  readonly registry?: RegistryArgs;
  /** @default - `<component name>-<stack>` */
  readonly namespace?: string;
  /** Whether the repository and its images outlive this component. False deletes them with it. @default true */
  readonly keepOnDelete?: boolean;
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

  constructor(name: string, args: ImageRepositoryArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:tencent:ImageRepository', name, args, opts);
    decideFor(this, () => assertRegistry(args));
    this.uri = args.existing === undefined ? createRepository(name, args, this) : pulumi.output(args.existing);
    this.registerOutputs({ uri: this.uri });
  }

  /**
   * URI of one image, for `image` of a service.
   * @param digest as `slipway image push` printed it: `sha256:` and 64 hexadecimal digits
   * @throws pulumi.ResourceError for anything else: a tag may be pushed again, a digest is one image for ever.
   */
  imageByDigest(digest: string): pulumi.Output<string> {
    return imageByDigest(this, this.uri, digest);
  }
}

function assertRegistry({ registry, existing }: ImageRepositoryArgs): void {
  if (registry !== undefined || existing !== undefined) return;
  throw new SpecError('REGISTRY_CHOICE', 'registry', 'give registry or existing, got none');
}

function createRepository(
  name: string,
  args: ImageRepositoryArgs,
  parent: pulumi.ComponentResource,
): pulumi.Output<string> {
  const { id: instanceId, domain } = args.registry!;
  const child = { parent, retainOnDelete: args.keepOnDelete ?? true };
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
  return pulumi.interpolate`${domain}/${namespace.name}/${repository.name}`;
}

/** 2 to 30 lower-case letters, digits and hyphens, a letter or a digit at both ends. */
function namespaceOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 30)
    .replace(/^-+|-+$/g, '');
}
