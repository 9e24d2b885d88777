import { Annotations, DockerBuildSecret, Token } from 'aws-cdk-lib';
import type * as ecr from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, Platform, TarballImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import { containerContext, type ImageVariant } from '../runtime/image/image-context';
import { isPinned, readImagePin, type ImagePin } from '../runtime/image/image-pin';
import {
  SpecError,
  type Architecture,
  type ExecutionProvider,
  type InferenceServicePlan,
  type Preset,
} from '../runtime/spec';

export interface RuntimeImageAssetOptions {
  /** @default - what the service's execution provider needs */
  readonly variant?: ImageVariant;
  /** Node's image, `<name>:<tag>@sha256:…`. @default - what `slipway.image.json` records, else the Dockerfile's own tag, unpinned */
  readonly baseImage?: string;
  /** What the CUDA image runs on. @default - what `slipway.image.json` records, else the Dockerfile's own tag, unpinned */
  readonly cudaImage?: string;
  /** SHA-256 of the CUDA provider's archive. @default - what `slipway.image.json` records; without one the build stops and prints it */
  readonly cudaSha256?: string;
  /** Image that installs the modules; needs npm and a shell. @default - the base image */
  readonly buildImage?: string;
  /** Path of an npmrc for the build: a private registry, its token. It becomes part of no layer. @default - none */
  readonly npmrc?: string;
  /** Folder in which `slipway image pin` left `slipway.image.json`. @default - the working directory */
  readonly pinDirectory?: string;
  /** Build context. @default - the one that ships in this package */
  readonly context?: string;
}

export interface RuntimeImageTarballOptions {
  /** What the image was built for; nobody looks into the file. @default 'amd64' */
  readonly architecture?: Architecture;
}

/** What an image must do for whoever runs it. */
export interface ImageNeeds {
  readonly executionProvider: ExecutionProvider;
  readonly architecture: Architecture;
  /** Production asks for a pinned base image. */
  readonly preset: Preset;
}

/** An image by its name, for services that take a URI: SageMaker, Kubernetes, Batch. */
export interface ImageUri {
  /** Late-bound: `…@sha256:…`, or the tag of an asset, which is a digest of what it was built from. */
  readonly imageUri: string;
  /** Whoever pulls needs `grantPull` on it. */
  readonly repository: ecr.IRepository;
}

/** What a plan asks of its image. */
export function imageNeeds({ executionProvider, resources, preset }: InferenceServicePlan): ImageNeeds {
  return { executionProvider, architecture: resources.architecture, preset };
}

/** The image that replicas run. */
export abstract class RuntimeImage {
  /**
   * Builds the server image from the installed package alone, when the app is deployed. Needs docker there (or what
   * `CDK_DOCKER` names); synthesis needs none.
   */
  static fromAsset(options: RuntimeImageAssetOptions = {}): RuntimeImage {
    return new AssetImage(options);
  }

  /**
   * An image that `slipway image push` put into an image repository.
   * @param digest `sha256:…`, or the whole line `…@sha256:…` as that command printed it, or a parameter that will hold
   * the digest.
   * @throws SpecError IMAGE_NOT_PINNED for a tag: what it names tomorrow, nobody knows.
   */
  static fromRepository(repository: ecr.IRepository, digest: string): RuntimeImage {
    if (Token.isUnresolved(digest)) return new RepositoryImage(repository, digest);
    const [found] = /(?<=^|@)sha256:[0-9a-f]{64}$/.exec(digest) ?? [];
    if (found === undefined) {
      throw new SpecError(
        'IMAGE_NOT_PINNED',
        'image',
        `must be a digest, sha256: and 64 hexadecimal digits, as 'slipway image push' prints it, got '${digest}'`,
      );
    }
    return new RepositoryImage(repository, found);
  }

  /**
   * An image in a file, as `docker save` writes it: built by whatever builds images here. It is loaded and pushed when the
   * app is deployed, which takes docker there; synthesis needs none.
   * @throws SpecError IMAGE_ARCHITECTURE, once it is bound to machines of another processor.
   */
  static fromTarball(path: string, options: RuntimeImageTarballOptions = {}): RuntimeImage {
    return new TarballImage(path, options.architecture ?? 'amd64');
  }

  /** The image for a container of this plan. */
  abstract bind(scope: Construct, plan: InferenceServicePlan): ecs.ContainerImage;

  /** The image by its name. Nobody has been let pull it yet. */
  abstract uri(scope: Construct, needs: ImageNeeds): ImageUri;
}

class AssetImage extends RuntimeImage {
  constructor(private readonly options: RuntimeImageAssetOptions) {
    super();
  }

  bind(scope: Construct, plan: InferenceServicePlan): ecs.ContainerImage {
    return ecs.ContainerImage.fromDockerImageAsset(this.createAsset(scope, imageNeeds(plan)));
  }

  uri(scope: Construct, needs: ImageNeeds): ImageUri {
    return this.createAsset(scope, needs);
  }

  private createAsset(scope: Construct, needs: ImageNeeds): DockerImageAsset {
    const variant = this.variantFor(needs);
    if (variant === 'cuda' && needs.architecture === 'arm64') {
      throw new SpecError(
        'IMAGE_ARCHITECTURE',
        'image',
        "ONNX Runtime publishes no CUDA provider for arm64; use machines of architecture 'amd64', or the execution provider 'cpu'",
      );
    }
    const directory = this.options.context ?? containerContext(variant);
    const pin = this.pin();
    sayWhenUnpinned(scope, variant, pin, needs.preset);
    return new DockerImageAsset(scope, 'Image', {
      directory,
      displayName: `slipway ${variant} server`,
      // Always said: without it a laptop with an arm processor builds an image that the machines cannot start.
      platform: needs.architecture === 'arm64' ? Platform.LINUX_ARM64 : Platform.LINUX_AMD64,
      buildArgs: this.buildArgs(variant, pin),
      ...(this.options.npmrc === undefined
        ? {}
        : { buildSecrets: { npmrc: DockerBuildSecret.fromSrc(this.options.npmrc) } }),
    });
  }

  private variantFor({ executionProvider }: ImageNeeds): ImageVariant {
    const needed = executionProvider === 'cpu' ? 'cpu' : 'cuda';
    const variant = this.options.variant ?? needed;
    if (variant === 'cpu' && needed === 'cuda') {
      throw new SpecError(
        'IMAGE_VARIANT',
        'image',
        `the variant 'cpu' has no GPU provider and the service runs on '${executionProvider}'; leave variant out`,
      );
    }
    return variant;
  }

  private pin(): ImagePin {
    const { baseImage, cudaImage, cudaSha256, pinDirectory } = this.options;
    return {
      ...readImagePin(pinDirectory ?? process.cwd()),
      ...(baseImage === undefined ? {} : { baseImage }),
      ...(cudaImage === undefined ? {} : { cudaImage }),
      ...(cudaSha256 === undefined ? {} : { cudaSha256 }),
    };
  }

  private buildArgs(variant: ImageVariant, pin: ImagePin): Record<string, string> {
    const { buildImage } = this.options;
    return {
      ...(pin.baseImage === undefined ? {} : { BASE_IMAGE: pin.baseImage }),
      ...(buildImage === undefined ? {} : { BUILD_IMAGE: buildImage }),
      ...(variant === 'cpu' || pin.cudaImage === undefined ? {} : { CUDA_IMAGE: pin.cudaImage }),
      ...(variant === 'cpu' || pin.cudaSha256 === undefined ? {} : { ONNXRUNTIME_CUDA_SHA256: pin.cudaSha256 }),
    };
  }
}

class RepositoryImage extends RuntimeImage {
  constructor(
    private readonly repository: ecr.IRepository,
    private readonly digest: string,
  ) {
    super();
  }

  bind(): ecs.ContainerImage {
    return new DigestImage(this.uri());
  }

  uri(): ImageUri {
    return { imageUri: this.repository.repositoryUriForDigest(this.digest), repository: this.repository };
  }
}

class TarballImage extends RuntimeImage {
  constructor(
    private readonly path: string,
    private readonly architecture: Architecture,
  ) {
    super();
  }

  bind(scope: Construct, plan: InferenceServicePlan): ecs.ContainerImage {
    return new DigestImage(this.uri(scope, imageNeeds(plan)));
  }

  uri(scope: Construct, { architecture }: ImageNeeds): ImageUri {
    if (architecture !== this.architecture) {
      throw new SpecError(
        'IMAGE_ARCHITECTURE',
        'image',
        `${this.path} is for ${this.architecture} and the machines are ${architecture}; build it for them and say so in architecture`,
      );
    }
    return new TarballImageAsset(scope, 'Image', { tarballFile: this.path });
  }
}

// ecs.ContainerImage.fromEcrRepository looks at the text to tell a digest from a tag, and takes a parameter for a tag.
class DigestImage extends ecs.ContainerImage {
  constructor(private readonly image: ImageUri) {
    super();
  }

  bind(_scope: Construct, container: ecs.ContainerDefinition): ecs.ContainerImageConfig {
    this.image.repository.grantPull(container.taskDefinition.obtainExecutionRole());
    return { imageName: this.image.imageUri };
  }
}

// Production asks for a pinned base; elsewhere it is good to know.
function sayWhenUnpinned(scope: Construct, variant: ImageVariant, pin: ImagePin, preset: Preset): void {
  const bases = variant === 'cuda' ? [pin.baseImage, pin.cudaImage] : [pin.baseImage];
  if (bases.every((base) => base !== undefined && isPinned(base))) return;
  const message = `the base image is a tag, so building again may give another image: 'slipway image pin${variant === 'cuda' ? ' --variant cuda' : ''}' records its digest`;
  if (preset === 'production') Annotations.of(scope).addWarningV2('slipway:unpinned-base-image', message);
  else Annotations.of(scope).addInfoV2('slipway:unpinned-base-image', message);
}
