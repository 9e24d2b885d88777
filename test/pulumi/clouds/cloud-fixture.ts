import type * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import type { ServiceIdentity } from '../../../pulumi';
import type { GpuSharingArgs } from '../../../pulumi/gpu-sharing';
import type { Model } from '../../../pulumi/model';
import type { ModelFileOptions } from '../../../pulumi/model-from-file';
import type { ModelSource } from '../../../runtime/onnx/resolve-model';
import type { Placement } from '../../../runtime/spec';

/** The shapes in which clouds differ. Everything else of `CloudComponents` is the same text for all of them. */
export interface CloudTypes {
  /** `ClusterFacts` of the cloud. */
  facts: object;
  /** Arguments of `Cluster`. */
  clusterArgs: object;
  /** What a registry and a bucket must be told of where they are: a region, a resource group, or nothing. */
  place: object;
  /** What a reader's permissions name: `BucketFacts`. */
  bucketFacts: object;
  /** Argument `existing` of `ModelBucket`. */
  existingBucket: object;
  /** What `replicateTo` of `ImageRepository` lists: a region, or a repository there. */
  mirror: unknown;
}

export interface Tagged {
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

type Component<Args, Instance> = new (
  name: string,
  args: Args,
  opts?: pulumi.ComponentResourceOptions,
) => pulumi.ComponentResource & Instance;

/** The components of a cloud, with the arguments and outputs that are the same on every one. The compiler checks it. */
export interface CloudComponents<T extends CloudTypes> {
  /** Undefined where the kit makes none. */
  readonly Cluster?: Component<
    T['clusterArgs'],
    {
      readonly facts: T['facts'];
      readonly kubeconfig: pulumi.Output<string>;
      readonly provider: k8s.Provider;
    }
  >;
  readonly GpuInstanceGroup: Component<
    Tagged & {
      readonly cluster: T['facts'];
      readonly instanceTypes: string[];
      readonly minSize?: number;
      readonly maxSize: number;
      readonly spot?: boolean;
      readonly diskSizeGiB?: number;
      readonly pool?: string;
      readonly sharing?: GpuSharingArgs;
    },
    { readonly placement: Placement }
  >;
  readonly ImageRepository: Component<
    Tagged &
      T['place'] & {
        readonly encryptionKey?: pulumi.Input<string>;
        readonly untaggedDays?: number;
        readonly keepOnDelete?: boolean;
        readonly replicateTo?: T['mirror'][];
        /** URI of a repository that is already there. */
        readonly existing?: pulumi.Input<string>;
      },
    {
      readonly uri: pulumi.Output<string>;
      readonly mirrorUris: { readonly [region: string]: pulumi.Output<string> };
      imageByDigest(digest: string, place?: { readonly region?: string }): pulumi.Output<string>;
    }
  >;
  readonly ModelBucket: Component<
    Tagged &
      T['place'] & {
        readonly encryptionKey?: pulumi.Input<string>;
        readonly noncurrentVersionDays?: number;
        readonly keepOnDelete?: boolean;
        readonly existing?: T['existingBucket'];
      },
    {
      readonly uri: pulumi.Output<string>;
      readonly facts: T['bucketFacts'];
      model(name: string, source: ModelSource): Model & { readonly bucket: T['bucketFacts'] };
      modelFromFile(
        name: string,
        path: string,
        options?: ModelFileOptions,
      ): Model & { readonly bucket: T['bucketFacts'] };
    }
  >;
  readonly WorkloadIdentity: Component<
    Tagged & {
      readonly cluster: T['facts'];
      readonly namespace: pulumi.Input<string>;
      readonly serviceAccountName?: string;
      readonly reads: { readonly name: string; readonly bucket: T['bucketFacts'] }[];
    },
    { readonly binding: ServiceIdentity }
  >;
}

/** What the contract's program is told of a cloud. Values are made up; ARNs and the like must look as the real ones do. */
export interface CloudFixture<T extends CloudTypes> {
  readonly components: CloudComponents<T>;
  readonly clusterArgs?: T['clusterArgs'];
  /** A cluster that is already there. */
  readonly existingCluster: T['facts'];
  /** The same, of values that are known only after something is made: `late('platform')` is unknown at preview. */
  lateCluster(late: (value: string) => pulumi.Output<string>): T['facts'];
  readonly place: T['place'];
  readonly encryptionKey: string;
  readonly existingBucket: T['existingBucket'];
  readonly existingRepository: string;
  /** A region that images are copied to. */
  readonly mirror: { readonly region: string; readonly to: T['mirror'] };
  /** A GPU machine type that the catalogue knows. */
  readonly instanceType: string;
  /** Whether registries have a key of the author's and a term for untagged images. @default true */
  readonly hasImageSettings?: boolean;
  /** Types that one group cannot have together. */
  readonly impossibleInstanceTypes: readonly string[];
  /** What a group must be told besides where its own name cannot be its cloud's. @default - nothing */
  groupName?(name: string): object;
  /** An explicit provider of the cloud's package. */
  provider(name: string): pulumi.ProviderResource;
}
