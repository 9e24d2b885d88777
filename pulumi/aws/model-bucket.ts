import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import type { ModelSource } from '../../runtime/onnx/resolve-model';
import { locateModel, type Model } from '../model';
import { decideFor } from '../refusal';

export interface ModelBucketArgs {
  /** Key that encrypts the objects; whoever reads a model needs it too. @default - a key that S3 manages (SSE-S3) */
  readonly kmsKeyArn?: pulumi.Input<string>;
  /** Days until an overwritten or deleted object is gone for good; the newest three of its versions stay. @default 90 */
  readonly noncurrentVersionDays?: number;
  /**
   * Whether the bucket, its models and all its protections outlive this component. False deletes everything with it.
   * @default true
   */
  readonly keepOnDelete?: boolean;
}

/** A model in a model bucket: what a service serves and what an identity may read. */
export interface BucketModel extends Model {
  readonly bucket: BucketFacts;
}

/** What a reader's permissions name. */
export interface BucketFacts {
  readonly arn: pulumi.Output<string>;
  readonly region: pulumi.Output<string>;
  /** Undefined where S3 manages the key. */
  readonly kmsKeyArn?: pulumi.Output<string>;
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
  readonly bucket: aws.s3.Bucket;
  readonly facts: BucketFacts;
  /** Root of the model repository: `s3://<bucket>`; the target of `slipway model publish`. */
  readonly uri: pulumi.Output<string>;

  constructor(name: string, args: ModelBucketArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:ModelBucket', name, args, opts);
    const keep = args.keepOnDelete ?? true;
    // What protects the bucket is kept with it: a bucket left behind without its policy would be open to plain HTTP.
    const child = { parent: this, retainOnDelete: keep };

    this.bucket = new aws.s3.Bucket(name, { forceDestroy: !keep }, child);
    const bucket = this.bucket.id;
    const closed = new aws.s3.BucketPublicAccessBlock(
      name,
      { bucket, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
      child,
    );
    new aws.s3.BucketOwnershipControls(name, { bucket, rule: { objectOwnership: 'BucketOwnerEnforced' } }, child);
    const versioning = new aws.s3.BucketVersioning(
      name,
      { bucket, versioningConfiguration: { status: 'Enabled' } },
      child,
    );
    new aws.s3.BucketServerSideEncryptionConfiguration(
      name,
      { bucket, rules: [encryptionRule(args.kmsKeyArn)] },
      child,
    );
    new aws.s3.BucketLifecycleConfiguration(
      name,
      { bucket, rules: [cleanUpRule(args.noncurrentVersionDays ?? 90)] },
      { ...child, dependsOn: versioning },
    );
    // S3 refuses to change the policy and the access block of one bucket at the same time.
    new aws.s3.BucketPolicy(name, { bucket, policy: tlsOnly(this.bucket.arn) }, { ...child, dependsOn: closed });

    this.facts = {
      arn: this.bucket.arn,
      region: this.bucket.region,
      ...(args.kmsKeyArn === undefined ? {} : { kmsKeyArn: pulumi.output(args.kmsKeyArn) }),
    };
    this.uri = pulumi.interpolate`s3://${this.bucket.id}`;
    this.registerOutputs({ uri: this.uri });
  }

  /**
   * A model in this bucket. Nothing is looked up: the version comes from the manifest beside the program, or is given.
   * @throws pulumi.ResourceError when the manifest cannot be read or is another model's.
   */
  model(name: string, source: ModelSource): BucketModel {
    return { ...decideFor(this, () => locateModel(this.uri, name, source)), bucket: this.facts };
  }
}

function encryptionRule(kmsKeyArn: pulumi.Input<string> | undefined) {
  return kmsKeyArn === undefined
    ? { applyServerSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }
    : {
        applyServerSideEncryptionByDefault: { sseAlgorithm: 'aws:kms', kmsMasterKeyId: kmsKeyArn },
        bucketKeyEnabled: true,
      };
}

function cleanUpRule(noncurrentDays: number) {
  return {
    id: 'clean-up',
    status: 'Enabled',
    filter: { prefix: '' },
    noncurrentVersionExpiration: { noncurrentDays, newerNoncurrentVersions: 3 },
    abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
  };
}

function tlsOnly(bucketArn: pulumi.Output<string>): pulumi.Output<string> {
  const resources = [bucketArn, pulumi.interpolate`${bucketArn}/*`];
  const deny = { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: resources };
  return pulumi.jsonStringify({
    Version: '2012-10-17',
    Statement: [
      { Sid: 'DenyPlainHttp', ...deny, Condition: { Bool: { 'aws:SecureTransport': 'false' } } },
      { Sid: 'DenyOldTls', ...deny, Condition: { NumericLessThan: { 's3:TlsVersion': '1.2' } } },
    ],
  });
}
