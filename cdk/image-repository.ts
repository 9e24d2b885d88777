import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct, type IConstruct } from 'constructs';
import { SpecError } from '../runtime/spec';
import { RuntimeImage } from './runtime-image';

/** Where container images are kept. */
export interface IImageRepository extends IConstruct {
  /** What `slipway image push` takes. */
  readonly uri: string;
  /** Exposed so that nothing is out of reach. */
  readonly repository: ecr.IRepository;
  /**
   * An image of this repository for a service.
   * @param digest `sha256:…` as `slipway image push` printed it, or a parameter that will hold it.
   * @throws SpecError IMAGE_NOT_PINNED for a tag.
   */
  imageByDigest(digest: string): RuntimeImage;
  /** Lets somebody pull images: what a service's execution role needs, and gets by itself. */
  grantPull(grantee: iam.IGrantable): iam.Grant;
  /** Lets somebody push and pull: what a build pipeline needs. */
  grantPush(grantee: iam.IGrantable): iam.Grant;
}

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
  /** Tags that may move from one image to another, such as `dev-*`. @default - none: a tag means one image for ever */
  readonly mutableTags?: readonly string[];
  /**
   * Keep this many tagged images, the newest ones, at most 10,000. A service that runs an older one by its digest cannot
   * pull it again: give it room for every rollback.
   * @default - all of them
   */
  readonly keepTaggedImages?: number;
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
export class ImageRepository extends Construct implements IImageRepository {
  /** A repository that exists already. Its tags, scans and lifecycle are its owner's. */
  static fromRepository(scope: Construct, id: string, repository: ecr.IRepository): IImageRepository {
    return new ExistingImageRepository(scope, id, repository);
  }

  /** The repository. Exposed so that nothing is out of reach. */
  readonly repository: ecr.Repository;
  /** What `slipway image push` takes. */
  readonly uri: string;

  /** @throws SpecError NUMBER_INVALID for a number of images that ECR does not take. */
  constructor(scope: Construct, id: string, props: ImageRepositoryProps = {}) {
    super(scope, id);
    const removalPolicy = props.removalPolicy ?? RemovalPolicy.RETAIN;
    this.repository = new ecr.Repository(this, 'Resource', {
      ...(props.repositoryName === undefined ? {} : { repositoryName: props.repositoryName }),
      ...(props.encryptionKey === undefined
        ? {}
        : { encryption: ecr.RepositoryEncryption.KMS, encryptionKey: props.encryptionKey }),
      ...tagMutability(props.mutableTags ?? []),
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
        ...(props.keepTaggedImages === undefined ? [] : [keepNewest(props.keepTaggedImages)]),
      ],
    });
    this.uri = this.repository.repositoryUri;
  }

  imageByDigest(digest: string): RuntimeImage {
    return RuntimeImage.fromRepository(this.repository, digest);
  }

  grantPull(grantee: iam.IGrantable): iam.Grant {
    return this.repository.grantPull(grantee);
  }

  grantPush(grantee: iam.IGrantable): iam.Grant {
    return this.repository.grantPullPush(grantee);
  }
}

function tagMutability(mutableTags: readonly string[]): Partial<ecr.RepositoryProps> {
  if (mutableTags.length === 0) return { imageTagMutability: ecr.TagMutability.IMMUTABLE };
  return {
    imageTagMutability: ecr.TagMutability.IMMUTABLE_WITH_EXCLUSION,
    imageTagMutabilityExclusionFilters: mutableTags.map((tag) => ecr.ImageTagMutabilityExclusionFilter.wildcard(tag)),
  };
}

function keepNewest(count: number): ecr.LifecycleRule {
  if (!Number.isSafeInteger(count) || count < 1 || count > 10_000) {
    throw new SpecError('NUMBER_INVALID', 'keepTaggedImages', `must be a whole number from 1 to 10000, got ${count}`);
  }
  return {
    rulePriority: 2,
    description: 'tagged images beyond the newest',
    tagStatus: ecr.TagStatus.TAGGED,
    tagPatternList: ['*'],
    maxImageCount: count,
  };
}

class ExistingImageRepository extends Construct implements IImageRepository {
  readonly uri: string;

  constructor(
    scope: Construct,
    id: string,
    readonly repository: ecr.IRepository,
  ) {
    super(scope, id);
    this.uri = repository.repositoryUri;
  }

  imageByDigest(digest: string): RuntimeImage {
    return RuntimeImage.fromRepository(this.repository, digest);
  }

  grantPull(grantee: iam.IGrantable): iam.Grant {
    return this.repository.grantPull(grantee);
  }

  grantPush(grantee: iam.IGrantable): iam.Grant {
    return this.repository.grantPullPush(grantee);
  }
}
