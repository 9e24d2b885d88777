import * as pulumi from '@pulumi/pulumi';
import type { ModelSource } from '../../runtime/onnx/resolve-model';
import { SpecError } from '../../runtime/spec';
import { accountName } from '../account-name';
import { locateModel, type Model } from '../model';
import { noncurrentVersionDaysOf, publishModel, readLocalModel, type ModelFileOptions } from '../model-from-file';
import { decideFor } from '../refusal';
import { tagged } from '../tags';
import { CosBucket, CosBucketObject, CosBucketPolicy } from './provider';

export interface ModelBucketArgs {
  /** Region of the provider, which the permissions name: `ap-guangzhou`. */
  readonly region: pulumi.Input<string>;
  /** Number that ends the name of every bucket of the account: `1250000000`. */
  readonly appId: string;
  /** Id of the KMS key that encrypts the objects. @default - a key that COS manages (AES256) */
  readonly encryptionKey?: pulumi.Input<string>;
  /** Days until an overwritten or deleted object is gone for good. @default 90 */
  readonly noncurrentVersionDays?: number;
  /**
   * Whether the bucket, its models and its policy outlive this component. False deletes everything with it.
   * @default true
   */
  readonly keepOnDelete?: boolean;
  /** A bucket that is already there: nothing of it is changed. @default - makes one */
  readonly existing?: ExistingBucketArgs;
  /** Of the bucket; objects have none. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

export interface ExistingBucketArgs {
  /** With the account's number: `team-models-1250000000`. */
  readonly name: pulumi.Input<string>;
}

/** A model in a model bucket: what a service serves and what an identity may read. */
export interface BucketModel extends Model {
  readonly bucket: BucketFacts;
}

/** What a reader's permissions name. */
export interface BucketFacts {
  readonly name: pulumi.Input<string>;
  readonly region: pulumi.Input<string>;
  readonly appId: string;
}

/**
 * Experimental: a bucket that holds a model repository: private, encrypted, versioned, with a policy that denies plain HTTP, and
 * kept when the component goes. COS has no switch against opening it to the public. It was never run against an account.
 *
 * @example
 * const models = new ModelBucket('models', { region: 'ap-guangzhou', appId: '1250000000' });
 * const digits = models.model('digits', { manifest: 'models/digits/manifest.json' });
 */
export class ModelBucket extends pulumi.ComponentResource {
  readonly facts: BucketFacts;
  /** Root of the model repository: `cos://<bucket>-<appid>`. */
  readonly uri: pulumi.Output<string>;

  constructor(name: string, args: ModelBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:tencent:ModelBucket', name, args, opts);
    const noncurrentDays = decideFor(
      this,
      () => {
        assertAppId(args.appId);
        return noncurrentVersionDaysOf(args.noncurrentVersionDays);
      },
      args,
    );
    const { region, appId, existing } = args;
    const bucket = existing?.name ?? createBucket(name, args, noncurrentDays, this).bucket;
    this.facts = { name: bucket, region, appId };
    this.uri = pulumi.interpolate`cos://${bucket}`;
    INSIDES.set(this, { name, isKept: args.keepOnDelete ?? true });
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
    const { name: own, isKept } = INSIDES.get(this)!;
    const local = decideFor(this, () => readLocalModel(name, path, options));
    const model = publishModel(
      local,
      this.uri,
      (key, { localPath }, label) =>
        new CosBucketObject(
          `${own}-${label}`,
          { bucket: this.facts.name, key, source: localPath, contentType: 'application/octet-stream' },
          // The key has the digest of the bytes in it; where they lay on the publishing machine changes nothing.
          { parent: this, retainOnDelete: isKept, ignoreChanges: ['source'] },
        ),
    );
    return { ...model, bucket: this.facts };
  }
}

interface Insides {
  readonly name: string;
  readonly isKept: boolean;
}

/** Pulumi's schema takes every field of a component for an output, private ones too; these are none. */
const INSIDES = new WeakMap<ModelBucket, Insides>();

function assertAppId(appId: string): void {
  if (/^\d{8,12}$/.test(appId)) return;
  throw new SpecError('NAME_INVALID', 'appId', `must be the number of the account, as in '1250000000', got '${appId}'`);
}

function createBucket(
  name: string,
  args: ModelBucketArgs,
  noncurrentDays: number,
  parent: pulumi.ComponentResource,
): CosBucket {
  const keep = args.keepOnDelete ?? true;
  // What protects the bucket is kept with it: a bucket left behind without its policy would be open to plain HTTP.
  const child = { parent, retainOnDelete: keep };
  const resource = new CosBucket(
    name,
    {
      // COS knows a bucket by its name and the number of the account.
      bucket: `${accountName(name)}-${args.appId}`,
      acl: 'private',
      versioningEnable: true,
      ...(args.encryptionKey === undefined
        ? { encryptionAlgorithm: 'AES256' }
        : { encryptionAlgorithm: 'KMS', kmsId: args.encryptionKey }),
      multiAz: true,
      forceClean: !keep,
      lifecycleRules: [
        {
          id: 'clean-up',
          filterPrefix: '',
          nonCurrentExpiration: { nonCurrentDays: noncurrentDays },
          abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
        },
      ],
      ...tagged(args.tags),
    },
    child,
  );
  new CosBucketPolicy(name, { bucket: resource.bucket, policy: tlsOnly(resource.bucket, args) }, child);
  return resource;
}

/** The condition is one that public programs use; the pages of COS that could be read do not list it. */
function tlsOnly(bucket: pulumi.Output<string>, { region, appId }: ModelBucketArgs): pulumi.Output<string> {
  return pulumi.jsonStringify({
    version: '2.0',
    Statement: [
      {
        Effect: 'deny',
        Principal: { qcs: ['qcs::cam::anyone:anyone'] },
        Action: ['name/cos:*'],
        Resource: [pulumi.interpolate`qcs::cos:${region}:uid/${appId}:${bucket}/*`],
        Condition: { bool: { 'qcs:secure_transport': 'false' } },
      },
    ],
  });
}
