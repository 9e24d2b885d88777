import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../../runtime/spec';
import { decideFor } from '../refusal';

export interface ImageRepositoryArgs {
  /** @default - AES-256 with a key that ECR manages */
  readonly kmsKeyArn?: pulumi.Input<string>;
  /** Days until an image that no tag names is deleted. @default 14 */
  readonly untaggedDays?: number;
  /** Whether the repository and its images outlive this component. False deletes them with it. @default true */
  readonly keepOnDelete?: boolean;
}

/**
 * A private repository for the server's image: tags cannot be moved, every push is scanned, images are encrypted, and
 * the repository is kept when the component goes. `slipway image push <uri>` pushes to it and prints the digest.
 */
export class ImageRepository extends pulumi.ComponentResource {
  readonly repository: aws.ecr.Repository;
  /** Where to push: `<account>.dkr.ecr.<region>.amazonaws.com/<name>`. */
  readonly uri: pulumi.Output<string>;

  constructor(name: string, args: ImageRepositoryArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:ImageRepository', name, args, opts);
    const keep = args.keepOnDelete ?? true;
    const child = { parent: this, retainOnDelete: keep };
    this.repository = new aws.ecr.Repository(
      name,
      {
        imageTagMutability: 'IMMUTABLE',
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [
          args.kmsKeyArn === undefined
            ? { encryptionType: 'AES256' }
            : { encryptionType: 'KMS', kmsKey: args.kmsKeyArn },
        ],
        forceDelete: !keep,
      },
      child,
    );
    new aws.ecr.LifecyclePolicy(
      name,
      { repository: this.repository.name, policy: expireUntagged(args.untaggedDays ?? 14) },
      child,
    );
    this.uri = this.repository.repositoryUrl;
    this.registerOutputs({ uri: this.uri });
  }

  /**
   * URI of one image, for `image` of a service.
   * @param digest as `slipway image push` printed it: `sha256:` and 64 hexadecimal digits
   * @throws pulumi.ResourceError for anything else: a tag may be pushed again, a digest is one image for ever.
   */
  imageByDigest(digest: string): pulumi.Output<string> {
    decideFor(this, () => {
      if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
        throw new SpecError(
          'IMAGE_NOT_PINNED',
          'digest',
          `must be 'sha256:' and 64 lower-case hexadecimal digits, got '${digest}'; slipway image push prints it behind the @`,
        );
      }
    });
    return pulumi.interpolate`${this.uri}@${digest}`;
  }
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
