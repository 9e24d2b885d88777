import * as dockerBuild from '@pulumi/docker-build';
import * as pulumi from '@pulumi/pulumi';
import { announceUnpinned, planBuild } from '../../runtime/image/build-image';
import { decideFor } from '../refusal';

/** `cpu` runs everywhere; `cuda` adds ONNX Runtime's CUDA provider and is for linux/amd64 alone. */
export const RuntimeImageVariant = { Cpu: 'cpu', Cuda: 'cuda' } as const;
export type RuntimeImageVariant = (typeof RuntimeImageVariant)[keyof typeof RuntimeImageVariant];

export const RuntimeImagePlatform = { LinuxAmd64: 'linux/amd64', LinuxArm64: 'linux/arm64' } as const;
export type RuntimeImagePlatform = (typeof RuntimeImagePlatform)[keyof typeof RuntimeImagePlatform];

/** Who may push to a registry. */
export interface RegistryCredentials {
  /** Host of the registry: `123456789012.dkr.ecr.eu-west-1.amazonaws.com`. */
  readonly address: pulumi.Input<string>;
  readonly username: pulumi.Input<string>;
  readonly password: pulumi.Input<string>;
}

export interface RuntimeImageArgs {
  /** Where it is pushed: `uri` of an `ImageRepository`, or the name of any other image repository. */
  readonly repositoryUri: pulumi.Input<string>;
  /** @default 'cpu' */
  readonly variant?: RuntimeImageVariant;
  /** More than one makes an index of images. @default - linux/amd64 */
  readonly platforms?: RuntimeImagePlatform[];
  /** Tag beside the digest; a repository with immutable tags takes each but once. @default - none: the digest is the name */
  readonly tag?: string;
  /** Node's image. @default - what `slipway.image.json` records, else the Dockerfile's own tag, with a warning */
  readonly baseImage?: string;
  /** Base of the CUDA image. @default - what `slipway.image.json` records, else the Dockerfile's own tag, with a warning */
  readonly cudaImage?: string;
  /** SHA-256 of the CUDA provider's archive. @default - what `slipway.image.json` records; without one the build stops and prints it */
  readonly cudaSha256?: string;
  /** Image that installs the modules; needs npm and a shell. @default - the base image */
  readonly buildImage?: string;
  /** Contents of an npmrc: a private npm registry and its token. It becomes part of no layer. @default - none */
  readonly npmrc?: pulumi.Input<string>;
  /** @default - what `docker login` left on this machine */
  readonly registries?: RegistryCredentials[];
  /** Folder in which `slipway image pin` left `slipway.image.json`. @default - the working folder */
  readonly pinDirectory?: string;
}

/**
 * The server's image, built by Docker's BuildKit from the installed package and pushed: a digest goes in (the base), a
 * digest comes out. It is built in an update and not in a preview.
 *
 * @example
 * const server = new RuntimeImage('server', { repositoryUri: images.uri });
 * new InferenceService('digits', { image: server.uri, … });
 */
export class RuntimeImage extends pulumi.ComponentResource {
  readonly image: dockerBuild.Image;
  /** `<image repository>@sha256:…`, for `image` of a service. */
  readonly uri: pulumi.Output<string>;

  constructor(name: string, args: RuntimeImageArgs, opts?: pulumi.ComponentResourceOptions) {
    // The arguments of a component stand in the state, too.
    const kept = withSecrets(args);
    super('slipway:image:RuntimeImage', name, kept, opts);
    const { request, unpinned } = decideFor(this, () => plan(args), args);
    announceUnpinned(unpinned, (line) => void pulumi.log.warn(line, this));
    const repository = pulumi.output(args.repositoryUri);
    this.image = new dockerBuild.Image(
      name,
      {
        context: { location: request.context },
        platforms: request.platforms.map((platform) => platform as dockerBuild.Platform),
        buildArgs: { ...request.buildArguments },
        buildOnPreview: false,
        ...(kept.npmrc === undefined ? {} : { secrets: { npmrc: kept.npmrc } }),
        ...(kept.registries === undefined ? {} : { registries: kept.registries }),
        push: args.tag !== undefined,
        ...(args.tag === undefined
          ? // By digest alone: a repository whose tags cannot be moved refuses to have the same one pushed again.
            { exports: [{ registry: { names: [repository], push: true, pushByDigest: true } }] }
          : { tags: [pulumi.interpolate`${repository}:${args.tag}`] }),
      },
      { parent: this, additionalSecretOutputs: ['registries'] },
    );
    this.uri = pulumi.interpolate`${repository}@${this.image.digest}`;
    this.registerOutputs({ uri: this.uri });
  }
}

function plan({ platforms, npmrc: _npmrc, registries: _registries, repositoryUri: _uri, ...args }: RuntimeImageArgs) {
  return planBuild({
    platforms: platforms ?? ['linux/amd64'],
    ...(args.variant === undefined ? {} : { variant: args.variant }),
    ...(args.baseImage === undefined ? {} : { baseImage: args.baseImage }),
    ...(args.cudaImage === undefined ? {} : { cudaImage: args.cudaImage }),
    ...(args.cudaSha256 === undefined ? {} : { cudaSha256: args.cudaSha256 }),
    ...(args.buildImage === undefined ? {} : { buildImage: args.buildImage }),
    ...(args.pinDirectory === undefined ? {} : { directory: args.pinDirectory }),
  });
}

function withSecrets({ npmrc, registries, ...args }: RuntimeImageArgs): RuntimeImageArgs {
  return {
    ...args,
    ...(npmrc === undefined ? {} : { npmrc: pulumi.secret(npmrc) }),
    ...(registries === undefined
      ? {}
      : { registries: registries.map((registry) => ({ ...registry, password: pulumi.secret(registry.password) })) }),
  };
}
