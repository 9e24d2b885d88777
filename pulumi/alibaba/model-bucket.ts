import type { Bucket } from '@pulumi/alicloud/oss/bucket';
import { BucketObject } from '@pulumi/alicloud/oss/bucketObject';
import * as pulumi from '@pulumi/pulumi';
import type { ModelSource } from '../../runtime/onnx/resolve-model';
import { locateModel, type Model } from '../model';
import { noncurrentVersionDaysOf, publishModel, readLocalModel, type ModelFileOptions } from '../model-from-file';
import { decideFor } from '../refusal';
import { createBucket } from './create-bucket';
import { currentRegion } from './region';

/** Over how many data centres OSS keeps the objects. */
export const StorageRedundancy = { Zones: 'ZRS', OneZone: 'LRS' } as const;
export type StorageRedundancy = (typeof StorageRedundancy)[keyof typeof StorageRedundancy];

export interface ModelBucketArgs {
  /**
   * Id of the KMS key that encrypts the objects; readers get the right to decrypt by it.
   * @default - a key that OSS manages (AES256)
   */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Days until an overwritten or deleted object is gone for good. @default 90 */
  readonly noncurrentVersionDays?: number;
  /**
   * Whether the bucket, its models and all its protections outlive this component. False deletes everything with it.
   * @default true
   */
  readonly keepOnDelete?: boolean;
  /** It cannot be changed. Few regions have one zone alone. @default 'ZRS' */
  readonly redundancy?: StorageRedundancy;
  /** A bucket that is already there: nothing of it is changed. @default - makes one */
  readonly existing?: ExistingBucketArgs;
  /** Of the bucket; objects have none. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

export interface ExistingBucketArgs {
  readonly name: pulumi.Input<string>;
  /** @default - the provider's */
  readonly region?: pulumi.Input<string>;
}

/** A model in a model bucket: what a service serves and what an identity may read. */
export interface BucketModel extends Model {
  readonly bucket: BucketFacts;
}

/** What a reader's permissions name. */
export interface BucketFacts {
  readonly name: pulumi.Input<string>;
  readonly region: pulumi.Input<string>;
  /** Undefined where OSS manages the key. */
  readonly kmsKeyId?: pulumi.Input<string>;
}

/**
 * A bucket that holds a model repository: private, encrypted, versioned, reachable over TLS 1.2 and 1.3 alone, and kept when
 * the component goes.
 *
 * @example
 * const models = new ModelBucket('models');
 * const digits = models.model('digits', { manifest: 'models/digits/manifest.json' });
 */
export class ModelBucket extends pulumi.ComponentResource {
  /** Undefined where `existing` was given. */
  readonly bucket?: Bucket;
  readonly facts: BucketFacts;
  /** Root of the model repository: `oss://<bucket>`. */
  readonly uri: pulumi.Output<string>;

  constructor(name: string, args: ModelBucketArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:alibaba:ModelBucket', name, args, opts);
    const noncurrentDays = decideFor(this, () => noncurrentVersionDaysOf(args.noncurrentVersionDays), args);
    const key = args.encryptionKey === undefined ? {} : { kmsKeyId: args.encryptionKey };
    if (args.existing === undefined) {
      this.bucket = createBucket(name, args, noncurrentDays, this);
      // Regions have a prefix here: `oss-cn-hangzhou`.
      const region = this.bucket.location.apply((location) => location.replace(/^oss-/, ''));
      this.facts = { name: this.bucket.id, region, ...key };
    } else {
      const { name: existing, region } = args.existing;
      this.facts = { name: existing, region: region ?? currentRegion(this), ...key };
    }
    this.uri = pulumi.interpolate`oss://${this.facts.name}`;
    INSIDES.set(this, { name, args });
    this.registerOutputs({ uri: this.uri });
  }

  /**
   * A model in this bucket. Nothing is looked up: the version comes from the manifest beside the program, or is given.
   * @throws pulumi.ResourceError when the manifest cannot be read or is another model's.
   */
  model(name: string, source: ModelSource): BucketModel {
    return { ...decideFor(this, () => locateModel(this.uri, name, source)), bucket: this.facts };
  }

  /**
   * Publishes an ONNX file, and the external data it names, below `<model>/sha256-<digest>/`: other bytes are other
   * objects, so replicas that run keep theirs until the new ones are ready. The provider reads the file where Pulumi runs.
   * @param path of the `.onnx` file, relative to the working folder
   * @throws pulumi.ResourceError when the file cannot be read or is no ONNX model.
   */
  modelFromFile(name: string, path: string, options: ModelFileOptions = {}): BucketModel {
    const { name: own, args } = INSIDES.get(this)!;
    const { encryptionKey, keepOnDelete = true } = args;
    const local = decideFor(this, () => readLocalModel(name, path, options));
    const model = publishModel(
      local,
      this.uri,
      (key, { localPath }, label) =>
        new BucketObject(
          `${own}-${label}`,
          {
            bucket: this.facts.name,
            key,
            source: localPath,
            contentType: 'application/octet-stream',
            // The provider asks for AES256 unless it is told otherwise, whatever the bucket says.
            ...(encryptionKey === undefined ? {} : { serverSideEncryption: 'KMS', kmsKeyId: encryptionKey }),
          },
          // The key has the digest of the bytes in it; where they lay on the publishing machine changes nothing.
          { parent: this, retainOnDelete: keepOnDelete, ignoreChanges: ['source'] },
        ),
    );
    return { ...model, bucket: this.facts };
  }
}

interface Insides {
  readonly name: string;
  readonly args: ModelBucketArgs;
}

/** Pulumi's schema takes every field of a component for an output, private ones too; these are none. */
const INSIDES = new WeakMap<ModelBucket, Insides>();
