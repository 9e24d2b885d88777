import { Bucket, BucketObject } from '@pulumi/gcp/storage';
import * as pulumi from '@pulumi/pulumi';
import type { ModelSource } from '../../runtime/onnx/resolve-model';
import { locateModel, type Model } from '../model';
import { noncurrentVersionDaysOf, publishModel, readLocalModel, type ModelFileOptions } from '../model-from-file';
import { fitName } from '../fit-name';
import { decideFor } from '../refusal';
import { labelled } from './tags';

export interface ModelBucketArgs {
  /** Region, dual region or continent of the objects, best the cluster's region: `europe-west4`. */
  readonly location: pulumi.Input<string>;
  /** @default - the provider's */
  readonly project?: pulumi.Input<string>;
  /**
   * Name of the Cloud KMS key that encrypts the objects, `projects/…/cryptoKeys/…`; Cloud Storage's own account must be
   * allowed to use it, readers need no right to it. @default - a key that Google manages
   */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Days until an overwritten or deleted object is gone for good; the newest three of its versions stay. @default 90 */
  readonly noncurrentVersionDays?: number;
  /** Whether the bucket and its models outlive this component. False deletes everything with it. @default true */
  readonly keepOnDelete?: boolean;
  /** A bucket that is already there: nothing of it is changed. @default - makes one */
  readonly existing?: ExistingBucketArgs;
  /** Labels of the bucket; objects have none. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

export interface ExistingBucketArgs {
  /** It must have uniform bucket-level access: rights to some of its objects are given to no other. */
  readonly name: pulumi.Input<string>;
}

/** A model in a model bucket: what a service serves and what an identity may read. */
export interface BucketModel extends Model {
  readonly bucket: BucketFacts;
}

/** What a reader's permissions name. */
export interface BucketFacts {
  readonly name: pulumi.Input<string>;
  /**
   * What the names of rights on it hold; it must stay, and be another one for each bucket of a list.
   * @default - as a bucket gives it, the component's name, else nothing
   */
  readonly label?: string;
}

/**
 * A bucket that holds a model repository: never public, encrypted, versioned, with rights by IAM alone, and kept when the
 * component goes. Google has no switch of a bucket's own against plain HTTP: the organization policy
 * `storage.secureHttpTransport` is one for the whole project.
 *
 * @example
 * const models = new ModelBucket('models', { location: 'europe-west4' });
 * const digits = models.model('digits', { manifest: 'models/digits/manifest.json' });
 */
export class ModelBucket extends pulumi.ComponentResource {
  /** Undefined where `existing` was given. */
  readonly bucket?: Bucket;
  readonly facts: BucketFacts;
  /** Root of the model repository: `gs://<bucket>`; the target of `slipway model publish`. */
  readonly uri: pulumi.Output<string>;

  constructor(name: string, args: ModelBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:gcp:ModelBucket', name, args, opts);
    const noncurrentDays = decideFor(this, () => noncurrentVersionDaysOf(args.noncurrentVersionDays), args);
    let bucketName: pulumi.Output<string>;
    if (args.existing === undefined) {
      this.bucket = createBucket(name, args, noncurrentDays, this);
      bucketName = this.bucket.name;
    } else {
      bucketName = pulumi.output(args.existing.name);
    }
    this.facts = { name: bucketName, label: name };
    this.uri = pulumi.interpolate`gs://${bucketName}`;
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
    const model = publishModel(
      local,
      this.uri,
      (key, { localPath }, label) =>
        new BucketObject(
          `${own}-${label}`,
          {
            bucket: bucketName,
            name: key,
            source: new pulumi.asset.FileAsset(localPath),
            contentType: 'application/octet-stream',
          },
          { parent: this, retainOnDelete: isKept },
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

function createBucket(
  name: string,
  args: ModelBucketArgs,
  noncurrentDays: number,
  parent: pulumi.ComponentResource,
): Bucket {
  const keep = args.keepOnDelete ?? true;
  const { named, once } = fitName('name', 63, name, parent);
  return new Bucket(
    name,
    {
      ...named,
      location: args.location,
      ...(args.project === undefined ? {} : { project: args.project }),
      forceDestroy: !keep,
      // Rights come from IAM alone: an object cannot be opened to anybody by a list of its own.
      uniformBucketLevelAccess: true,
      publicAccessPrevention: 'enforced',
      versioning: { enabled: true },
      ...(args.encryptionKey === undefined ? {} : { encryption: { defaultKmsKeyName: args.encryptionKey } }),
      lifecycleRules: [
        {
          action: { type: 'Delete' },
          condition: { withState: 'ARCHIVED', daysSinceNoncurrentTime: noncurrentDays, numNewerVersions: 3 },
        },
        { action: { type: 'AbortIncompleteMultipartUpload' }, condition: { age: 7 } },
      ],
      ...labelled(args.tags),
    },
    { parent, ...once, retainOnDelete: keep },
  );
}
