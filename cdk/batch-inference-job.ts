import { Duration, Size, Stack } from 'aws-cdk-lib';
import * as batch from 'aws-cdk-lib/aws-batch';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import {
  CONTAINER_USER,
  containerEnvironment,
  PLAIN,
  planInferenceService,
  type InferenceServicePlan,
  type InferenceServiceSpec,
} from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { acknowledgePrefixes } from './acknowledge-prefixes';
import { createJobLogs, createJobRoles, retryLostMachines } from './batch-parts';
import { gatheredRights } from './gathered-rights';
import { grantReadObjects } from './grant-read-objects';
import { grantWriteObjects } from './grant-write-objects';
import type { GpuJobQueue } from './gpu-job-queue';
import { kebabCase } from './kebab-case';
import type { Model } from './model';
import { bindModels } from './model-rights';
import type { ObjectsBelow } from './objects-below';
import { RuntimeImage } from './runtime-image';

/** The words of the spec that mean something to a job, and what only AWS Batch knows. */
export interface BatchInferenceJobProps extends Pick<
  InferenceServiceSpec,
  | 'preset'
  | 'executionProvider'
  | 'gpuCount'
  | 'vcpu'
  | 'memoryMiB'
  | 'startupBudgetSeconds'
  | 'downloadMiBPerSecond'
  | 'requestDeadlineSeconds'
  | 'hooks'
  | 'requireEvidence'
  | 'modelSigningKeys'
  | 'queueDepthRows'
  | 'maxBodyMiB'
> {
  /** Name of the job in logs. @default - the construct's id in lower case, with dashes */
  readonly serviceName?: string;
  /** Where jobs run: a machine of each of its types must hold one. */
  readonly queue: GpuJobQueue;
  readonly model: Model;
  /** @default - built from this package when the app is deployed */
  readonly image?: RuntimeImage;
  /** Each object below is a request: a body of the Open Inference Protocol. */
  readonly inputs: ObjectsBelow;
  /** Each result has the name of its request. */
  readonly results: ObjectsBelow;
  /** Jobs that share the inputs between them, submitted as one array job of this size; 1 to 10,000. @default 1 */
  readonly shards?: number;
  /** Requests at once. @default - two batches' worth */
  readonly concurrency?: number;
  /** Tries of a job whose machine was taken away; inputs that have their result are not asked again. @default 5 */
  readonly attempts?: number;
  /** @default - a day */
  readonly timeout?: Duration;
  /** @default - one of its own, kept in production */
  readonly logGroup?: logs.ILogGroup;
}

const MAX_ARRAY = 10_000;

/**
 * A job of AWS Batch that asks a model about every object below a prefix and stores each answer: the server of every other
 * service, with the worker of the same image beside it.
 *
 * @example
 * const job = new BatchInferenceJob(this, 'Score', {
 *   queue,
 *   model: Model.fromBucket(models, 'digits', { manifest: 'digits.manifest.json' }),
 *   inputs: { bucket: requests, prefix: 'today/' },
 *   results: { bucket: answers, prefix: 'today/' },
 *   shards: 8,
 * });
 */
export class BatchInferenceJob extends Construct {
  /** Every decided value. */
  readonly plan: InferenceServicePlan;
  /** Give it to SubmitJob as the size of the array; 1 is no array. */
  readonly shards: number;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly jobRole: iam.Role;
  readonly executionRole: iam.Role;
  readonly logGroup: logs.ILogGroup;
  readonly jobDefinition: batch.EcsJobDefinition;

  constructor(scope: Construct, id: string, props: BatchInferenceJobProps) {
    super(scope, id);
    this.plan = planInferenceService(specOf(props.serviceName ?? kebabCase(id), props));
    this.shards = integer('shards', props.shards, 1, 1, MAX_ARRAY);
    this.logGroup = props.logGroup ?? createJobLogs(this, this.plan.preset);
    const { jobRole, executionRole } = createJobRoles(this);
    this.jobRole = jobRole;
    this.executionRole = executionRole;
    const { locations, policy } = bindModels(this, [props.model], this.jobRole);
    const objects = this.letReadAndWrite(props);
    const container = new batch.EcsEc2ContainerDefinition(this, 'Container', {
      image: (props.image ?? RuntimeImage.fromAsset()).bind(this, this.plan),
      // Batch takes whole ones on machines.
      cpu: Math.max(1, Math.floor(this.plan.resources.vcpu)),
      memory: Size.mebibytes(this.plan.resources.memoryMiB),
      ...(this.plan.resources.gpuCount > 0 ? { gpu: this.plan.resources.gpuCount } : {}),
      command: this.command(props),
      environment: {
        ...containerEnvironment(this.plan, {
          ...PLAIN,
          models: locations,
          clusterName: 'batch',
          cloudwatchMetrics: false,
        }),
        AWS_REGION: Stack.of(this).region,
      },
      jobRole: this.jobRole,
      executionRole: this.executionRole,
      user: `${CONTAINER_USER}:${CONTAINER_USER}`,
      privileged: false,
      readonlyRootFilesystem: true,
      // The model cache and temporary files; without a path of the machine's it goes away with the job.
      volumes: [batch.EcsVolume.host({ name: 'scratch', containerPath: '/tmp', readonly: false })],
      logging: ecs.LogDrivers.awsLogs({ logGroup: this.logGroup, streamPrefix: this.plan.name }),
    });
    this.jobDefinition = new batch.EcsJobDefinition(this, 'JobDefinition', {
      container,
      propagateTags: true,
      timeout: props.timeout ?? Duration.days(1),
      retryAttempts: integer('attempts', props.attempts, 5, 1, 10),
      retryStrategies: retryLostMachines(),
    });
    this.jobDefinition.node.addDependency(policy, objects, ...gatheredRights(this.executionRole));
  }

  private letReadAndWrite({ inputs, results }: BatchInferenceJobProps): iam.Policy {
    const policy = new iam.Policy(this, 'Objects', { roles: [this.jobRole] });
    grantReadObjects(policy, inputs.bucket, [`${inputs.prefix}*`]);
    grantWriteObjects(policy, results.bucket, [results.prefix]);
    // What has a result already is not asked again, and the right to look needs the right to list: without it S3 does not
    // say that an object is missing.
    grantReadObjects(policy, results.bucket, [`${results.prefix}*`]);
    for (const { bucket, prefix } of [inputs, results]) {
      policy.addStatements(
        new iam.PolicyStatement({
          actions: ['s3:ListBucket'],
          resources: [bucket.bucketArn],
          conditions: { StringLike: { 's3:prefix': `${prefix}*` } },
        }),
      );
    }
    acknowledgePrefixes(policy, 'requests and answers have names of their own below the prefixes that were given');
    return policy;
  }

  // The image's entry point is the server; its first argument makes it the worker, which starts the server itself.
  private command({ inputs, results, concurrency }: BatchInferenceJobProps): string[] {
    const { models, lifecycle, maxBodyMiB } = this.plan;
    const [model] = models;
    return [
      'batch',
      ...['--inputs', `s3://${inputs.bucket.bucketName}/${inputs.prefix}`],
      ...['--results', `s3://${results.bucket.bucketName}/${results.prefix}`],
      ...['--model', model!.name],
      ...['--shard-of', String(this.shards)],
      ...['--concurrency', String(integer('concurrency', concurrency, 2 * model!.maxBatchSize, 1, MAX_ARRAY))],
      ...['--deadline-seconds', String(lifecycle.requestDeadlineSeconds)],
      ...['--max-body-mib', String(maxBodyMiB)],
    ];
  }
}

type Word = Exclude<keyof InferenceServiceSpec, keyof NotOfJobs>;
type NotOfJobs = Omit<InferenceServiceSpec, keyof BatchInferenceJobProps>;
// Written out, so that a new word is not forgotten here.
const WORDS: Readonly<Record<Word, true>> = {
  preset: true,
  executionProvider: true,
  gpuCount: true,
  vcpu: true,
  memoryMiB: true,
  startupBudgetSeconds: true,
  downloadMiBPerSecond: true,
  requestDeadlineSeconds: true,
  hooks: true,
  requireEvidence: true,
  modelSigningKeys: true,
  queueDepthRows: true,
  maxBodyMiB: true,
};

function specOf(name: string, props: BatchInferenceJobProps): InferenceServiceSpec {
  const words = Object.fromEntries(
    Object.entries(props).filter(([word, value]) => word in WORDS && value !== undefined),
  );
  return {
    ...words,
    name,
    models: [props.model.spec],
    capacity: 'instances',
    instanceTypes: props.queue.instanceTypes,
    // One job is one replica, and nobody scales it.
    minReplicas: 1,
    maxReplicas: 1,
  };
}
