import { getPartitionOutput } from '@pulumi/aws/getPartition';
import { getRegionOutput } from '@pulumi/aws/getRegion';
import * as s3 from '@pulumi/aws/s3';
import * as pulumi from '@pulumi/pulumi';
import type { ModelSource } from '../../runtime/onnx/resolve-model';
import { locateModel, type Model } from '../model';
import { noncurrentVersionDaysOf, publishModel, readLocalModel, type ModelFileOptions } from '../model-from-file';
import { decideFor } from '../refusal';
import { createBucket } from './create-bucket';

export interface ModelBucketArgs {
  /**
   * ARN of the KMS key that encrypts the objects; whoever reads a model needs it too.
   * @default - a key that S3 manages (SSE-S3)
   */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Days until an overwritten or deleted object is gone for good; the newest three of its versions stay. @default 90 */
  readonly noncurrentVersionDays?: number;
  /**
   * Whether the bucket, its models and all its protections outlive this component. False deletes everything with it.
   * @default true
   */
  readonly keepOnDelete?: boolean;
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
  readonly arn: pulumi.Input<string>;
  readonly region: pulumi.Input<string>;
  /** Undefined where S3 manages the key. */
  readonly kmsKeyArn?: pulumi.Input<string>;
}

/**
 * A bucket that holds a model repository: private, encrypted, versioned, reachable over TLS 1.2 alone, and kept when
 * the component goes.
 *
 * @example
 * const models = new ModelBucket('models');
 * const digits = models.model('digits', { manifest: 'models/digits/manifest.json' });
 */
export class ModelBucket extends pulumi.ComponentResource {
  /** Undefined where `existing` was given. */
  readonly bucket?: s3.Bucket;
  readonly facts: BucketFacts;
  /** Root of the model repository: `s3://<bucket>`; the target of `slipway model publish`. */
  readonly uri: pulumi.Output<string>;

  constructor(name: string, args: ModelBucketArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:ModelBucket', name, args, opts);
    const noncurrentDays = decideFor(this, () => noncurrentVersionDaysOf(args.noncurrentVersionDays), args);
    let bucketName: pulumi.Output<string>;
    const key = args.encryptionKey === undefined ? {} : { kmsKeyArn: args.encryptionKey };
    if (args.existing === undefined) {
      this.bucket = createBucket(name, args, noncurrentDays, this);
      bucketName = this.bucket.id;
      this.facts = { arn: this.bucket.arn, region: this.bucket.region, ...key };
    } else {
      bucketName = pulumi.output(args.existing.name);
      this.facts = { ...factsOf(args.existing, this), ...key };
    }
    this.uri = pulumi.interpolate`s3://${bucketName}`;
    INSIDES.set(this, { name, bucketName, isKept: args.keepOnDelete ?? true });
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
   * objects, so replicas that run keep theirs until the new ones are ready.
   * @param path of the `.onnx` file, relative to the working folder
   * @throws pulumi.ResourceError when the file cannot be read or is no ONNX model.
   */
  modelFromFile(name: string, path: string, options: ModelFileOptions = {}): BucketModel {
    const { name: own, bucketName, isKept } = INSIDES.get(this)!;
    const local = decideFor(this, () => readLocalModel(name, path, options));
    const child = { parent: this, retainOnDelete: isKept };
    const model = publishModel(
      local,
      this.uri,
      (key, { localPath }, label) =>
        new s3.BucketObjectv2(
          `${own}-${label}`,
          {
            bucket: bucketName,
            key,
            source: new pulumi.asset.FileAsset(localPath),
            checksumAlgorithm: 'SHA256',
            contentType: 'application/octet-stream',
          },
          child,
        ),
    );
    return { ...model, bucket: this.facts };
  }
}

interface Insides {
  readonly name: string;
  readonly bucketName: pulumi.Output<string>;
  readonly isKept: boolean;
}

/** Pulumi's schema takes every field of a component for an output, private ones too; these are none. */
const INSIDES = new WeakMap<ModelBucket, Insides>();

function factsOf({ name, region }: ExistingBucketArgs, parent: pulumi.ComponentResource): BucketFacts {
  const { partition } = getPartitionOutput({}, { parent });
  return {
    arn: pulumi.interpolate`arn:${partition}:s3:::${name}`,
    region: region ?? getRegionOutput({}, { parent }).region,
  };
}
