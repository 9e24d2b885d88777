import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct, type IConstruct } from 'constructs';
import { backlogOf, oldestMessageOf } from './async-queue';
import { grantReadPlace, RESULTS_PREFIX } from './async-results';
import { folder } from './objects-below';

/** A service that answers messages of a queue, whoever made it. */
export interface IAsyncInferenceService extends IConstruct {
  /** Where requests wait. */
  readonly queue: sqs.IQueue;
  readonly results: s3.IBucket;
  /** What the keys of results begin with, with a closing slash; then come the model's name and the message's id. */
  readonly resultsPrefix: string;

  /** Lets somebody ask. */
  grantSend(grantee: iam.IGrantable): iam.Grant;
  /** Lets somebody get results, and not list them: a result's name is the model's and the message's id. */
  grantReadResults(grantee: iam.IGrantable): iam.Grant;
  /** Messages that wait for a replica. @default - maximum of a minute */
  metricBacklog(options?: cloudwatch.MetricOptions): cloudwatch.Metric;
  /** Seconds that the oldest message has waited. @default - maximum of a minute */
  metricOldestMessage(options?: cloudwatch.MetricOptions): cloudwatch.Metric;
}

/** Of a queue and a bucket that have a key, the key must be known, or what is granted here leaves it out. */
export interface AsyncInferenceServiceAttributes {
  readonly queue: sqs.IQueue;
  readonly results: s3.IBucket;
  /** As the service says it. @default 'results/' */
  readonly resultsPrefix?: string;
}

/** A service that another stack or app made. */
export class ImportedAsyncService extends Construct implements IAsyncInferenceService {
  readonly queue: sqs.IQueue;
  readonly results: s3.IBucket;
  readonly resultsPrefix: string;

  constructor(scope: Construct, id: string, attributes: AsyncInferenceServiceAttributes) {
    super(scope, id);
    this.queue = attributes.queue;
    this.results = attributes.results;
    this.resultsPrefix = folder(attributes.resultsPrefix ?? RESULTS_PREFIX);
  }

  grantSend(grantee: iam.IGrantable): iam.Grant {
    return this.queue.grantSendMessages(grantee);
  }

  grantReadResults(grantee: iam.IGrantable): iam.Grant {
    return grantReadPlace(grantee, { bucket: this.results, prefix: this.resultsPrefix });
  }

  metricBacklog(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return backlogOf(this.queue, options);
  }

  metricOldestMessage(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return oldestMessageOf(this.queue, options);
  }
}
