import * as ecr from '@pulumi/aws/ecr';
import * as pulumi from '@pulumi/pulumi';
import { imageByDigest, untaggedDaysOf, type ImagePlace } from '../image-by-digest';
import { checkMirrors } from '../image-mirrors';
import { decideFor } from '../refusal';
import { tagged } from '../tags';

export interface ImageRepositoryArgs {
  /** ARN of the KMS key that encrypts images. @default - AES-256 with a key that ECR manages */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Days until an image that no tag names is deleted, 1 to 3,650. @default 14 */
  readonly untaggedDays?: number;
  /** Whether the repository and its images outlive this component. False deletes them with it. @default true */
  readonly keepOnDelete?: boolean;
  /**
   * Regions of the account that get a repository of the same name, closed like this one; `ImageRegistry` has ECR copy what is
   * pushed. @default - none
   */
  readonly replicateTo?: string[];
  /** URI of a repository that is already there: nothing is made, and nothing of it is changed. @default - makes one */
  readonly existing?: pulumi.Input<string>;
  /** @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * A private repository for the server's image: tags cannot be moved, every push is scanned, images are encrypted, and
 * the repository is kept when the component goes. `slipway image push <uri>` pushes to it and prints the digest.
 */
export class ImageRepository extends pulumi.ComponentResource {
  /** Undefined where `existing` was given. */
  readonly repository?: ecr.Repository;
  /** Where to push: `<account>.dkr.ecr.<region>.amazonaws.com/<name>`. */
  readonly uri: pulumi.Output<string>;
  /** The same repository in the regions of `replicateTo`. */
  readonly mirrorUris: { readonly [region: string]: pulumi.Output<string> };

  constructor(name: string, args: ImageRepositoryArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:ImageRepository', name, args, opts);
    const untaggedDays = decideFor(
      this,
      () => {
        checkMirrors(args.replicateTo ?? [], args);
        return untaggedDaysOf(args.untaggedDays);
      },
      args,
    );
    this.mirrorUris = {};
    if (args.existing === undefined) {
      const repository = createRepository(name, args, untaggedDays, {}, this);
      this.mirrorUris = Object.fromEntries(
        (args.replicateTo ?? []).map((region) => {
          const mirror = { name: repository.name, region };
          return [region, createRepository(`${name}-${region}`, args, untaggedDays, mirror, this).repositoryUrl];
        }),
      );
      this.repository = repository;
      this.uri = this.repository.repositoryUrl;
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

function createRepository(
  name: string,
  args: ImageRepositoryArgs,
  untaggedDays: number,
  place: { readonly name?: pulumi.Input<string>; readonly region?: string },
  parent: pulumi.ComponentResource,
): ecr.Repository {
  const keep = args.keepOnDelete ?? true;
  const child = { parent, retainOnDelete: keep };
  const repository = new ecr.Repository(
    name,
    {
      ...place,
      imageTagMutability: 'IMMUTABLE',
      imageScanningConfiguration: { scanOnPush: true },
      encryptionConfigurations: [
        args.encryptionKey === undefined
          ? { encryptionType: 'AES256' }
          : { encryptionType: 'KMS', kmsKey: args.encryptionKey },
      ],
      forceDelete: !keep,
      ...tagged(args.tags),
    },
    child,
  );
  const { region } = place;
  new ecr.LifecyclePolicy(
    name,
    {
      repository: repository.name,
      policy: expireUntagged(untaggedDays),
      ...(region === undefined ? {} : { region }),
    },
    child,
  );
  return repository;
}

function expireUntagged(countNumber: number): string {
  return JSON.stringify({
    rules: [
      {
        rulePriority: 1,
        description: `untagged images go after ${countNumber} days`,
        selection: { tagStatus: 'untagged', countType: 'sinceImagePushed', countUnit: 'days', countNumber },
        action: { type: 'expire' },
      },
    ],
  });
}
