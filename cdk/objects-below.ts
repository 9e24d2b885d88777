import type * as s3 from 'aws-cdk-lib/aws-s3';

/** Objects of a bucket. */
export interface ObjectsBelow {
  readonly bucket: s3.IBucket;
  /** Ends in a slash. */
  readonly prefix: string;
}
