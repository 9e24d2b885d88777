import { Repository } from '@pulumi/gcp/artifactregistry';
import * as pulumi from '@pulumi/pulumi';
import { imageByDigest, untaggedDaysOf, type ImagePlace } from '../image-by-digest';
import { checkMirrors } from '../image-mirrors';
import { hyphenated, shortened } from '../account-name';
import { decideFor } from '../refusal';
import { labelled } from './tags';

export interface ImageRepositoryArgs {
  /** Region of the images, best the cluster's. */
  readonly location: pulumi.Input<string>;
  /** @default - the provider's */
  readonly project?: pulumi.Input<string>;
  /** @default - `<component name>-<stack>` */
  readonly repositoryId?: string;
  /**
   * Name of the Cloud KMS key that encrypts images, `projects/…/cryptoKeys/…`; Artifact Registry's own account must be
   * allowed to use it. @default - a key that Google manages
   */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Days until an image that no tag names is deleted, 1 to 3,650. @default 14 */
  readonly untaggedDays?: number;
  /** Whether the repository and its images outlive this component. False deletes them with it. @default true */
  readonly keepOnDelete?: boolean;
  /**
   * Regions that get a repository of the same id which hands out the images of this one and keeps what was asked for once.
   * @default - none
   */
  readonly replicateTo?: string[];
  /** URI of a repository that is already there, with the image's name: nothing is made. @default - makes one */
  readonly existing?: pulumi.Input<string>;
  /** Labels of the repository. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/**
 * A private repository for the server's image in Artifact Registry: tags cannot be moved, images are encrypted, and the
 * repository is kept when the component goes. What is pushed is scanned where the project has the Container Scanning API on.
 * `slipway image push <uri>` pushes to it and prints the digest.
 */
export class ImageRepository extends pulumi.ComponentResource {
  /** Undefined where `existing` was given. */
  readonly repository?: Repository;
  /** Where to push: `<location>-docker.pkg.dev/<project>/<repository>/slipway`. */
  readonly uri: pulumi.Output<string>;
  /** The same repository in the regions of `replicateTo`. */
  readonly mirrorUris: { readonly [region: string]: pulumi.Output<string> };

  constructor(name: string, args: ImageRepositoryArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:gcp:ImageRepository', name, args, opts);
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
      const repository = createRepository(name, args, untaggedDays, this);
      this.mirrorUris = Object.fromEntries(
        (args.replicateTo ?? []).map((region) => [region, uriOf(createMirror(name, region, repository, args, this))]),
      );
      this.repository = repository;
      this.uri = uriOf(repository);
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
  parent: pulumi.ComponentResource,
): Repository {
  return new Repository(
    name,
    {
      repositoryId: args.repositoryId ?? idOf(`${name}-${pulumi.getStack()}`),
      format: 'DOCKER',
      location: args.location,
      ...(args.project === undefined ? {} : { project: args.project }),
      ...(args.encryptionKey === undefined ? {} : { kmsKeyName: args.encryptionKey }),
      dockerConfig: { immutableTags: true },
      vulnerabilityScanningConfig: { enablementConfig: 'INHERITED' },
      cleanupPolicyDryRun: false,
      cleanupPolicies: [
        {
          id: 'untagged',
          action: 'DELETE',
          condition: { tagState: 'UNTAGGED', olderThan: `${untaggedDays * SECONDS_PER_DAY}s` },
        },
      ],
      ...labelled(args.tags),
    },
    { parent, retainOnDelete: args.keepOnDelete ?? true },
  );
}

/** A cache of the region: it asks the repository that images are pushed to for what it has not yet. */
function createMirror(
  name: string,
  region: string,
  { project, location, repositoryId }: Repository,
  args: ImageRepositoryArgs,
  parent: pulumi.ComponentResource,
): Repository {
  return new Repository(
    `${name}-${region}`,
    {
      repositoryId,
      project,
      location: region,
      format: 'DOCKER',
      mode: 'REMOTE_REPOSITORY',
      remoteRepositoryConfig: {
        commonRepository: {
          uri: pulumi.interpolate`projects/${project}/locations/${location}/repositories/${repositoryId}`,
        },
      },
      vulnerabilityScanningConfig: { enablementConfig: 'INHERITED' },
      ...labelled(args.tags),
    },
    { parent, retainOnDelete: args.keepOnDelete ?? true },
  );
}

function uriOf({ location, project, repositoryId }: Repository): pulumi.Output<string> {
  return pulumi.interpolate`${location}-docker.pkg.dev/${project}/${repositoryId}/slipway`;
}

const SECONDS_PER_DAY = 86_400;

/** Ids have up to 63 lower-case letters, digits and hyphens, and begin with a letter. */
function idOf(text: string): string {
  return shortened(hyphenated(text).replace(/^[^a-z]+/, ''), 63);
}
