import type { Cloud } from '../../../runtime/spec';
import type { OnInvoke, OnResource, PulumiRecording, RecordedResource } from 'slipway/testing';

/** A property that a cloud does not have, in the words of the table in docs/pulumi/clouds.md. */
export type Lacking =
  | 'immutable tags'
  | 'image scan'
  | 'image key'
  | 'untagged clean-up'
  | 'public access block'
  | 'TLS switch'
  | 'closed metadata';

/**
 * One row of the contract: how the suite reads, in a recording, the facts that hold on every cloud. A row only reads: it
 * finds the resource and translates the cloud's words. What must be true stands in contract.test.ts, once.
 */
export interface CloudUnderTest {
  readonly cloud: Cloud;
  /** Plays the cloud's provider: test/support/pulumi-<cloud>.ts. */
  readonly onResource: OnResource;
  readonly onInvoke: OnInvoke;
  /** What the cloud has not; the suite skips nothing else. */
  readonly lacks: readonly Lacking[];
  /** Token prefixes of the packages whose resources an explicit provider must reach: `aws:`. */
  readonly package: string;
  /** Types of resources that have no tags at all, as their SDK's arguments show. */
  readonly untaggable: readonly string[];
  /** Tags, or what the cloud calls them; undefined where the resource has none set. */
  tagsOf(resource: RecordedResource): Readonly<Record<string, unknown>> | undefined;

  /** Of the resources below one `GpuInstanceGroup`. */
  nodePool(children: readonly RecordedResource[]): {
    readonly labels: Readonly<Record<string, string>>;
    readonly taints: readonly { readonly key: string; readonly value: string; readonly effect: string }[];
    readonly minSize: number;
    readonly maxSize: number;
    readonly isSpot: boolean;
    readonly diskSizeGiB: number;
    /** Every path of `ignoreChanges`. */
    readonly ignored: readonly string[];
    /** Whether pods are kept from the credentials of the machine. */
    readonly closesMetadata: boolean;
    readonly encryptsDisks: boolean;
  };
  /** Taints that the cloud puts on spot machines, besides ours. @default - none */
  readonly spotTaints?: readonly { readonly key: string; readonly value: string; readonly effect: string }[];
  /** What `ignored` must hold, so that an `up` never writes the number of machines again. */
  readonly countProperties: readonly string[];

  /** Of the resources below one `ImageRepository`. */
  repository(children: readonly RecordedResource[]): {
    readonly hasImmutableTags: boolean;
    readonly scansImages: boolean;
    readonly untaggedDays: number | undefined;
    /** Undefined where the cloud manages the key. */
    readonly encryptionKey: unknown;
  };

  /** Regions that what is pushed is copied to, to places as closed as the first, below one `ImageRepository`. */
  mirrors(children: readonly RecordedResource[]): readonly string[];
  /** Where the mirror of the program is. */
  readonly mirrorRegion: string;
  readonly mirrorUri: string;

  /** Of the resources below one `ModelBucket`. */
  bucket(children: readonly RecordedResource[]): {
    readonly isClosedToPublic: boolean;
    readonly isEncrypted: boolean;
    readonly encryptionKey: unknown;
    /** Whether plain HTTP is refused, by a switch, by a policy, or because the store has no plain endpoint for it. */
    readonly isTlsOnly: boolean;
    readonly isVersioned: boolean;
    readonly noncurrentVersionDays: number | undefined;
    /** Whether deleting the stack may delete objects with the bucket. */
    readonly deletesObjects: boolean;
  };
  /** Objects that `modelFromFile` made: key in the bucket. */
  objectKeys(children: readonly RecordedResource[]): readonly string[];

  /** Of the resources below one `WorkloadIdentity`. */
  identity(children: readonly RecordedResource[]): {
    /** Key prefixes that may be read, `digits/`, of any bucket. */
    readonly prefixes: readonly string[];
    readonly mayList: boolean;
    readonly mayWrite: boolean;
    readonly namespace: string;
    readonly serviceAccount: string;
  };
  /** What the pod must reach for its credentials: `cidr:port`. */
  readonly egress: readonly string[];
  /** Where the files of a published model lie: `s3://one-1a2b3c/`, for the bucket of that component name. */
  bucketUri(name: string): string;

  /** Of the resources below one `Cluster`; undefined where the kit makes none. */
  cluster?(children: readonly RecordedResource[]): {
    readonly hasPrivateEndpoint: boolean;
    readonly hasPublicEndpoint: boolean;
    readonly encryptsSecrets: boolean;
    readonly hasWorkloadIdentity: boolean;
    readonly logsControlPlane: boolean;
    readonly isProtectedFromDeletion: boolean;
    readonly enforcesNetworkPolicies: boolean;
  };
  /** Type of the resource below a `Cluster` that brings its first machines. @default - the cluster itself does */
  readonly firstMachines?: string;
  /** Further facts that this cloud alone has, as tests of its own. */
  furtherTests?(recordings: () => { readonly preview: PulumiRecording; readonly up: PulumiRecording }): void;
}
