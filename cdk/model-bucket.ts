import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct, type IConstruct } from 'constructs';
import { acknowledge } from './acknowledge';
import { replicate, type ModelBucketReplica } from './bucket-replication';
import { ModelBucketGrants } from './model-bucket-grants';

/** A bucket that holds a model repository: `<model>/<version>/model.onnx`, with `manifest.json` beside it. */
export interface IModelBucket extends IConstruct {
  /** `s3://<bucket>`: what `slipway model publish` and `--model-repository` take. */
  readonly modelRepositoryUri: string;
  readonly bucketName: string;
  /** Rights of readers and publishers, one model at a time. */
  readonly grants: ModelBucketGrants;
  /** Whether EventBridge hears of new objects. @default - the bucket is somebody else's, and nobody here knows */
  readonly sendsEvents?: boolean;
  /**
   * Lets somebody read one model: get objects under the model's own prefix, and nothing else. `bucket.grantRead` would
   * also give list and ACL rights on the whole bucket.
   */
  grantReadModel(grantee: iam.IGrantable, model: string): iam.Grant;
}

export interface ModelBucketProps {
  /** Naming it lets other stacks name it too, and forbids changes that replace it. @default - CloudFormation chooses */
  readonly bucketName?: string;
  /**
   * Key that encrypts the objects; readers then get `kms:Decrypt` on it.
   * @default - S3's own keys: every object is encrypted, there is one policy to keep right instead of two, no charge per
   * request, and nobody can delete a key from under the models
   */
  readonly encryptionKey?: kms.IKey;
  /** Where S3 writes who read what. @default - no access logs */
  readonly accessLogsBucket?: s3.IBucket;
  /**
   * Whether EventBridge hears of new objects, which is what rollouts wait for. S3 does it by itself, free of charge: there
   * is no function.
   * @default true
   */
  readonly eventBridge?: boolean;
  /** How long an object that was overwritten or deleted can still be had back. @default - 90 days */
  readonly noncurrentVersionExpiration?: Duration;
  /**
   * Buckets of other regions that get a copy of each new object. They must be there, with versioning on, before this one:
   * their stack is deployed first.
   * @default - no copies
   */
  readonly replicateTo?: readonly ModelBucketReplica[];
  /**
   * What becomes of the bucket when it leaves the stack. A bucket that holds objects is never deleted: there is no
   * function here that would empty it.
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A private bucket for models: encrypted, reached over TLS 1.2 or newer alone, versioned, kept on delete.
 *
 * @example
 * const models = new ModelBucket(this, 'Models');
 * models.grantReadModel(role, 'digits');
 */
export class ModelBucket extends Construct implements IModelBucket {
  /** A bucket that exists already. Its own policy and encryption are its owner's. */
  static fromBucket(scope: Construct, id: string, bucket: s3.IBucket): IModelBucket {
    return new ExistingModelBucket(scope, id, bucket);
  }

  /** The bucket. Exposed so that nothing is out of reach. */
  readonly bucket: s3.Bucket;
  readonly modelRepositoryUri: string;
  readonly bucketName: string;
  readonly grants: ModelBucketGrants;
  readonly sendsEvents: boolean;

  /** @throws SpecError REPLICA_KEY_MISSING for a copy without a key of what a key encrypts. */
  constructor(scope: Construct, id: string, props: ModelBucketProps = {}) {
    super(scope, id);
    const removalPolicy = props.removalPolicy ?? RemovalPolicy.RETAIN;
    this.bucket = new s3.Bucket(this, 'Resource', {
      ...(props.bucketName === undefined ? {} : { bucketName: props.bucketName }),
      ...(props.encryptionKey === undefined
        ? { encryption: s3.BucketEncryption.S3_MANAGED }
        : { encryption: s3.BucketEncryption.KMS, encryptionKey: props.encryptionKey, bucketKeyEnabled: true }),
      ...(props.accessLogsBucket === undefined ? {} : { serverAccessLogsBucket: props.accessLogsBucket }),
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      lifecycleRules: [
        {
          id: 'slipway-housekeeping',
          // Models are uploaded in parts; what is left of an upload that broke off costs money and is listed nowhere.
          abortIncompleteMultipartUploadAfter: Duration.days(7),
          noncurrentVersionExpiration: props.noncurrentVersionExpiration ?? Duration.days(90),
          expiredObjectDeleteMarker: true,
        },
      ],
      removalPolicy,
    });
    // A bucket that is kept keeps its promises too.
    this.bucket.policy!.applyRemovalPolicy(removalPolicy);
    this.bucketName = this.bucket.bucketName;
    this.modelRepositoryUri = `s3://${this.bucketName}`;
    this.grants = ModelBucketGrants.fromBucket(this.bucket);
    this.sendsEvents = props.eventBridge ?? true;
    if (this.sendsEvents) sendEvents(this.bucket);
    if (props.replicateTo !== undefined) replicate(this, this.bucket, props.replicateTo);
    if (props.accessLogsBucket === undefined) {
      acknowledge(this.bucket, 'S1', 'who wants access logs names the bucket for them in accessLogsBucket');
    }
  }

  grantReadModel(grantee: iam.IGrantable, model: string): iam.Grant {
    return this.grants.readModel(grantee, model);
  }
}

// The library's own `eventBridgeEnabled` makes a custom resource with a function; CloudFormation has a property for it.
function sendEvents(bucket: s3.Bucket): void {
  const resource = bucket.node.defaultChild as s3.CfnBucket;
  resource.notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
}

class ExistingModelBucket extends Construct implements IModelBucket {
  readonly modelRepositoryUri: string;
  readonly bucketName: string;
  readonly grants: ModelBucketGrants;

  constructor(scope: Construct, id: string, bucket: s3.IBucket) {
    super(scope, id);
    this.bucketName = bucket.bucketName;
    this.modelRepositoryUri = `s3://${this.bucketName}`;
    this.grants = ModelBucketGrants.fromBucket(bucket);
  }

  grantReadModel(grantee: iam.IGrantable, model: string): iam.Grant {
    return this.grants.readModel(grantee, model);
  }
}
