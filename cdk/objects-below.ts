import type * as s3 from 'aws-cdk-lib/aws-s3';

/** Objects of a bucket. */
export interface ObjectsBelow {
  readonly bucket: s3.IBucket;
  /** Ends in a slash. */
  readonly prefix: string;
}

/** A prefix that ends in a slash, or is empty. */
export function folder(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}
