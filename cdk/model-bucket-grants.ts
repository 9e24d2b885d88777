import * as iam from 'aws-cdk-lib/aws-iam';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import { MANIFEST_FILE, modelPrefix } from '../runtime/spec';
import { PIPELINE_RUNS_FOLDER, REPOSITORY_INDEX_FILE } from '../runtime/spec/model-repository';
import { grantReadObjects } from './grant-read-objects';
import { grantWriteObjects } from './grant-write-objects';

/**
 * Rights on the models of a bucket, one model at a time. `bucket.grantRead` and its like would also give list and ACL
 * rights on the whole bucket.
 */
export class ModelBucketGrants {
  static fromBucket(bucket: s3.IBucket): ModelBucketGrants {
    return new ModelBucketGrants(bucket);
  }

  private constructor(private readonly bucket: s3.IBucket) {}

  /** Get every object of a model: what a replica needs, and gets by itself. */
  readModel(grantee: iam.IGrantable, model: string): iam.Grant {
    return grantReadObjects(grantee, this.bucket, [`${modelPrefix(model)}*`]);
  }

  /** Get the manifests of a model and nothing of what they describe: what a rollout needs, and gets by itself. */
  readManifests(grantee: iam.IGrantable, model: string): iam.Grant {
    return grantReadObjects(grantee, this.bucket, [`${modelPrefix(model)}*/${MANIFEST_FILE}`]);
  }

  /**
   * What steps of a pipeline need to hand each other files of their runs, beside the versions of a model: see, read and write those,
   * and no version.
   */
  handOnResults(grantee: iam.IGrantable, model: string): iam.Grant {
    const runs = `${modelPrefix(model)}${PIPELINE_RUNS_FOLDER}`;
    const list = iam.Grant.addToPrincipal({
      grantee,
      actions: ['s3:ListBucket'],
      resourceArns: [this.bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': `${runs}*` } },
    });
    return grantReadObjects(grantee, this.bucket, [`${runs}*`])
      .combine(grantWriteObjects(grantee, this.bucket, [runs]))
      .combine(list);
  }

  /**
   * What `slipway model publish` needs for one model: write under its prefix, see and read what is there, so that a publish
   * which broke off is finished, and enter the new version in the index of the repository. Nothing may be deleted: what a publish that broke off leaves behind has no
   * manifest, and nobody serves it. The first entry of the very first index takes the right to list the whole bucket, for
   * without it S3 does not say that an object is missing; the version is published all the same.
   */
  publishModel(grantee: iam.IGrantable, model: string): iam.Grant {
    const { bucket } = this;
    const prefix = modelPrefix(model);
    const index = bucket.arnForObjects(REPOSITORY_INDEX_FILE);
    const write = iam.Grant.addToPrincipal({
      grantee,
      actions: ['s3:AbortMultipartUpload', 's3:GetObject', 's3:PutObject'],
      resourceArns: [bucket.arnForObjects(`${prefix}*`)],
    });
    const list = iam.Grant.addToPrincipal({
      grantee,
      actions: ['s3:ListBucket'],
      resourceArns: [bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': `${prefix}*` } },
    });
    const announce = iam.Grant.addToPrincipal({
      grantee,
      actions: ['s3:GetObject', 's3:PutObject'],
      resourceArns: [index],
    });
    const grant = write.combine(list).combine(announce);
    if (bucket.encryptionKey === undefined) return grant;
    return grant.combine(
      iam.Grant.addToPrincipal({
        grantee,
        // Parts of a large file are read again by S3 when it joins them.
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resourceArns: [bucket.encryptionKey.keyArn],
      }),
    );
  }
}
