import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { SpecError, type InferenceServicePlan } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';

export interface AsyncQueueOptions {
  /**
   * Where requests wait. It must put messages aside by itself, in a dead-letter queue.
   * @default - one of its own: encrypted, reached over TLS alone, four days
   */
  readonly queue?: sqs.IQueue;
  /**
   * Where `queue` puts messages that were not answered.
   * @default - one of its own, fourteen days
   */
  readonly deadLetterQueue?: sqs.IQueue;
  /** Deliveries of a message before it is put aside; for the own queue. @default 3 */
  readonly maxReceives?: number;
  /** Key of the own queues and the own bucket. @default - keys of SQS and S3 */
  readonly encryptionKey?: kms.IKey;
}

export interface AsyncQueues {
  readonly queue: sqs.IQueue;
  readonly deadLetterQueue: sqs.IQueue;
}

const MAX_RECEIVES = 3;

/**
 * How long a message that was received is hidden from other replicas. A worker hides it again while it works; this is what
 * passes before another one gets the messages of a replica that died.
 */
export function visibilitySeconds({ lifecycle }: InferenceServicePlan): number {
  return Math.ceil(6 * (lifecycle.requestDeadlineSeconds + lifecycle.deregistrationLagSeconds));
}

/** @throws SpecError DEAD_LETTER_QUEUE_MISSING for a queue that would deliver what nobody can answer for ever. */
export function createQueues(scope: Construct, plan: InferenceServicePlan, options: AsyncQueueOptions): AsyncQueues {
  if (options.queue !== undefined) return { queue: options.queue, deadLetterQueue: deadLetterQueueOf(options) };
  const common = {
    enforceSSL: true,
    ...(options.encryptionKey === undefined
      ? { encryption: sqs.QueueEncryption.SQS_MANAGED }
      : { encryption: sqs.QueueEncryption.KMS, encryptionMasterKey: options.encryptionKey }),
    removalPolicy: plan.preset === 'production' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  };
  const deadLetterQueue =
    options.deadLetterQueue ??
    new sqs.Queue(scope, 'DeadLetterQueue', { ...common, retentionPeriod: Duration.days(14) });
  const queue = new sqs.Queue(scope, 'Queue', {
    ...common,
    retentionPeriod: Duration.days(4),
    // Requests are nobody's dead letters. To say the same of the dead-letter queue, by the name of this one, both queues
    // would have to name each other, which CloudFormation makes only of queues with fixed names.
    redriveAllowPolicy: { redrivePermission: sqs.RedrivePermission.DENY_ALL },
    visibilityTimeout: Duration.seconds(visibilitySeconds(plan)),
    deadLetterQueue: {
      queue: deadLetterQueue,
      maxReceiveCount: integer('maxReceives', options.maxReceives, MAX_RECEIVES, 1, 1_000),
    },
  });
  // Queues that are kept keep their promises too.
  for (const own of [queue, deadLetterQueue]) {
    const policy = own.node.tryFindChild('Policy') as sqs.QueuePolicy | undefined;
    if (own.node.scope === scope) policy?.applyRemovalPolicy(common.removalPolicy);
  }
  return { queue, deadLetterQueue };
}

function deadLetterQueueOf({ queue, deadLetterQueue, maxReceives }: AsyncQueueOptions): sqs.IQueue {
  if (maxReceives !== undefined) {
    throw new SpecError(
      'NUMBER_INVALID',
      'maxReceives',
      'belongs to the queue that is given, and is said where that is made; leave it out',
    );
  }
  const own = Construct.isConstruct(queue) && queue instanceof sqs.Queue ? queue.deadLetterQueue?.queue : undefined;
  const found = deadLetterQueue ?? own;
  if (found !== undefined) return found;
  throw new SpecError(
    'DEAD_LETTER_QUEUE_MISSING',
    'deadLetterQueue',
    `a message that nobody can answer would come back for ever; give '${queue!.node.path}' a dead-letter queue, and name it here where the queue is imported`,
  );
}

const MAXIMUM = { statistic: cloudwatch.Stats.MAXIMUM, period: Duration.minutes(1) };

export function backlogOf(queue: sqs.IQueue, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
  return queue.metricApproximateNumberOfMessagesVisible({ ...MAXIMUM, ...options });
}

export function oldestMessageOf(queue: sqs.IQueue, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
  return queue.metricApproximateAgeOfOldestMessage({ ...MAXIMUM, ...options });
}

/** Receive, hide and delete, and nothing else: a worker sends no messages. */
export function grantWork(grantee: iam.IGrantable, { queue }: AsyncQueues): iam.Grant {
  const work = iam.Grant.addToPrincipal({
    grantee,
    actions: ['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:ReceiveMessage'],
    resourceArns: [queue.queueArn],
  });
  if (queue.encryptionMasterKey === undefined) return work;
  const { keyArn } = queue.encryptionMasterKey;
  return work.combine(iam.Grant.addToPrincipal({ grantee, actions: ['kms:Decrypt'], resourceArns: [keyArn] }));
}
