import * as iam from 'aws-cdk-lib/aws-iam';
import type { CfnEndpointConfig } from 'aws-cdk-lib/aws-sagemaker';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { InferenceServicePlan } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { acknowledgePrefixes } from './acknowledge-prefixes';
import { grantReadObjects } from './grant-read-objects';
import { grantWriteObjects } from './grant-write-objects';
import type { ObjectsBelow } from './objects-below';

export interface SageMakerAsyncProps {
  /** Where clients put requests. */
  readonly inputs: ObjectsBelow;
  /** Where answers go. */
  readonly results: ObjectsBelow;
  /** Where the reasons of failures go, in the bucket of the results. @default - `failures/` below the results */
  readonly failuresPrefix?: string;
  /** Hears of every answer. @default - nobody does */
  readonly successTopic?: sns.ITopic;
  /** Hears of every failure. @default - nobody does */
  readonly errorTopic?: sns.ITopic;
  /** Requests that a machine is given at once, 1 to 1,000. @default - two batches' worth */
  readonly maxConcurrentPerInstance?: number;
}

export interface AnswersLater {
  readonly config: CfnEndpointConfig.AsyncInferenceConfigProperty;
  /** The right to read requests and write answers; the endpoint must depend on it. */
  readonly policy: iam.Policy;
}

/** Lets the role read requests and write answers, and says where. */
export function answerLater(
  scope: Construct,
  role: iam.Role,
  plan: InferenceServicePlan,
  props: SageMakerAsyncProps,
): AnswersLater {
  const { inputs, results, successTopic, errorTopic } = props;
  const failures = props.failuresPrefix ?? `${results.prefix}failures/`;
  const policy = new iam.Policy(scope, 'AnswerLater', { roles: [role] });
  grantReadObjects(policy, inputs.bucket, [`${inputs.prefix}*`]);
  grantWriteObjects(policy, results.bucket, [...new Set([results.prefix, failures])]);
  acknowledgePrefixes(policy, 'requests and answers have names of their own below the prefixes that were given');
  const topics = [...new Set([successTopic, errorTopic])].filter((topic) => topic !== undefined);
  for (const topic of topics) topic.grantPublish(policy);
  const notificationConfig = {
    ...(successTopic === undefined ? {} : { successTopic: successTopic.topicArn }),
    ...(errorTopic === undefined ? {} : { errorTopic: errorTopic.topicArn }),
  };
  const { bucketName, encryptionKey } = results.bucket;
  const config = {
    clientConfig: {
      maxConcurrentInvocationsPerInstance: integer(
        'asyncInference.maxConcurrentPerInstance',
        props.maxConcurrentPerInstance,
        Math.min(1_000, 2 * plan.models[0]!.maxBatchSize),
        1,
        1_000,
      ),
    },
    outputConfig: {
      s3OutputPath: `s3://${bucketName}/${results.prefix}`,
      s3FailurePath: `s3://${bucketName}/${failures}`,
      ...(encryptionKey === undefined ? {} : { kmsKeyId: encryptionKey.keyId }),
      ...(topics.length === 0 ? {} : { notificationConfig }),
    },
  };
  return { config, policy };
}
