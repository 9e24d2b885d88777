import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { RuntimeImage } from './runtime-image';

export interface ImageRepositoryProps {
  /** Lower case. Naming it lets other stacks name it too. @default - CloudFormation chooses */
  readonly repositoryName?: string;
  /** @default - ECR's own: it encrypts every image with AES-256 */
  readonly encryptionKey?: kms.IKey;
  /**
   * Age at which an image that no tag names is deleted. A tagged one never is: a service may still run it.
   * @default Duration.days(14)
   */
  readonly untaggedImageAge?: Duration;
  /**
   * What becomes of the repository when it leaves the stack; DESTROY deletes its images with it.
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * An image repository (ECR) in which a tag means one image for ever: immutable, scanned on push, encrypted, kept on
 * delete.
 *
 * @example
 * const images = new ImageRepository(this, 'Images', { repositoryName: 'slipway' });
 * images.imageByDigest('sha256:…'); // as slipway image push <images.uri> printed it
 */
export class ImageRepository extends Construct {
  /** The repository. Exposed so that nothing is out of reach. */
  readonly repository: ecr.Repository;
  /** What `slipway image push` takes. */
  readonly uri: string;

  constructor(scope: Construct, id: string, props: ImageRepositoryProps = {}) {
    super(scope, id);
    const removalPolicy = props.removalPolicy ?? RemovalPolicy.RETAIN;
    this.repository = new ecr.Repository(this, 'Resource', {
      ...(props.repositoryName === undefined ? {} : { repositoryName: props.repositoryName }),
      ...(props.encryptionKey === undefined
        ? {}
        : { encryption: ecr.RepositoryEncryption.KMS, encryptionKey: props.encryptionKey }),
      imageTagMutability: ecr.TagMutability.IMMUTABLE,
      imageScanOnPush: true,
      removalPolicy,
      ...(removalPolicy === RemovalPolicy.DESTROY ? { emptyOnDelete: true } : {}),
      lifecycleRules: [
        {
          rulePriority: 1,
          description: 'untagged images',
          tagStatus: ecr.TagStatus.UNTAGGED,
          maxImageAge: props.untaggedImageAge ?? Duration.days(14),
        },
      ],
    });
    this.uri = this.repository.repositoryUri;
  }

  /**
   * An image of this repository for a service.
   * @param digest `sha256:…` as `slipway image push` printed it, or a parameter that will hold it.
   * @throws SpecError IMAGE_NOT_PINNED for a tag.
   */
  imageByDigest(digest: string): RuntimeImage {
    return RuntimeImage.fromRepository(this.repository, digest);
  }

  /** Lets somebody pull images: what a service's execution role needs, and gets by itself. */
  grantPull(grantee: iam.IGrantable): iam.Grant {
    return this.repository.grantPull(grantee);
  }

  /** Lets somebody push and pull: what a build pipeline needs. */
  grantPush(grantee: iam.IGrantable): iam.Grant {
    return this.repository.grantPullPush(grantee);
  }
}
