import { Duration, Size } from 'aws-cdk-lib';
import * as batch from 'aws-cdk-lib/aws-batch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { lookUpInstance, SpecError, type Preset } from '../runtime/spec';
import { integer } from '../runtime/spec/numbers';
import { createJobLogs, createJobRoles } from './batch-parts';
import { gatheredRights } from './gathered-rights';
import type { GpuJobQueue } from './gpu-job-queue';
import { kebabCase } from './kebab-case';

export interface MultiNodeTrainingJobProps {
  /** Where jobs run: not on spot machines, for a job that loses one node loses all. */
  readonly queue: GpuJobQueue;
  /** Image with the training program; each node runs it. Batch tells a node its number by `AWS_BATCH_JOB_NODE_INDEX`. */
  readonly image: ecs.ContainerImage;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Machines of one job, 1 to 1,000. */
  readonly nodes: number;
  /** All nodes are of one type. @default - the first of the queue */
  readonly instanceType?: string;
  /** GPUs of a node. @default - all of the machine */
  readonly gpuCount?: number;
  /** @default - all of the machine but one */
  readonly vcpu?: number;
  /** @default - nine tenths of the machine, less 1 GiB */
  readonly memoryMiB?: number;
  /** Memory that processes of a node share, for loaders of data. @default - a quarter of memoryMiB */
  readonly sharedMemoryMiB?: number;
  /** @default - a day */
  readonly timeout?: Duration;
  /** @default 'production' */
  readonly preset?: Preset;
  /** @default - one of its own, kept in production */
  readonly logGroup?: logs.ILogGroup;
}

/**
 * A training job over several GPU machines, which start together and end together.
 *
 * @example
 * const training = new MultiNodeTrainingJob(this, 'Train', { queue, image, command: ['torchrun', 'train.py'], nodes: 4 });
 * data.grantRead(training.jobRole);
 */
export class MultiNodeTrainingJob extends Construct {
  readonly nodes: number;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly jobRole: iam.Role;
  readonly executionRole: iam.Role;
  readonly logGroup: logs.ILogGroup;
  readonly jobDefinition: batch.MultiNodeJobDefinition;

  constructor(scope: Construct, id: string, props: MultiNodeTrainingJobProps) {
    super(scope, id);
    assertQueue(props.queue);
    this.nodes = integer('nodes', props.nodes, 1, 1, 1_000);
    const instanceType = chooseType(props);
    const size = sizeOfNode(instanceType, props);
    this.logGroup = props.logGroup ?? createJobLogs(this, props.preset ?? 'production');
    const { jobRole, executionRole } = createJobRoles(this);
    this.jobRole = jobRole;
    this.executionRole = executionRole;
    const container = new batch.EcsEc2ContainerDefinition(this, 'Container', {
      image: props.image,
      command: [...props.command],
      environment: { ...props.environment },
      cpu: size.vcpu,
      memory: Size.mebibytes(size.memoryMiB),
      gpu: size.gpuCount,
      jobRole,
      executionRole,
      privileged: false,
      linuxParameters: new batch.LinuxParameters(this, 'LinuxParameters', {
        sharedMemorySize: Size.mebibytes(size.sharedMemoryMiB),
      }),
      logging: ecs.LogDrivers.awsLogs({ logGroup: this.logGroup, streamPrefix: kebabCase(id) }),
    });
    this.jobDefinition = new batch.MultiNodeJobDefinition(this, 'JobDefinition', {
      instanceType: new ec2.InstanceType(instanceType),
      mainNode: 0,
      containers: [{ startNode: 0, endNode: this.nodes - 1, container }],
      propagateTags: true,
      timeout: props.timeout ?? Duration.days(1),
      // Half of a job is nothing to go on with: what is to be tried again is the author's to say, with a checkpoint.
      retryAttempts: 1,
    });
    this.jobDefinition.node.addDependency(...gatheredRights(executionRole));
    // Nodes speak to each other, on ports that the training program chooses, and to nobody else.
    if (this.nodes > 1) props.queue.connections.allowInternally(ec2.Port.allTcp(), 'nodes of a training job');
  }
}

function assertQueue(queue: GpuJobQueue): void {
  if (!queue.spot) return;
  throw new SpecError(
    'CAPACITY_CHOICE',
    'queue',
    'AWS Batch runs jobs of several nodes on machines on demand or reserved, and this queue has spot ones; make a queue of its own',
  );
}

function chooseType({ queue, instanceType }: MultiNodeTrainingJobProps): string {
  if (instanceType === undefined) return queue.instanceTypes[0]!;
  if (queue.instanceTypes.includes(instanceType)) return instanceType;
  throw new SpecError(
    'NO_INSTANCE_FITS',
    'instanceType',
    `the queue has ${queue.instanceTypes.join(', ')}, got '${instanceType}'`,
  );
}

interface NodeSize {
  readonly gpuCount: number;
  readonly vcpu: number;
  readonly memoryMiB: number;
  readonly sharedMemoryMiB: number;
}

function sizeOfNode(instanceType: string, props: MultiNodeTrainingJobProps): NodeSize {
  const machine = lookUpInstance(instanceType, 'instanceType', 'aws');
  const gpuCount = props.gpuCount ?? machine.gpuCount;
  if (!(Number.isInteger(gpuCount) && gpuCount >= 1 && gpuCount <= machine.gpuCount)) {
    throw new SpecError(
      'GPU_COUNT',
      'gpuCount',
      `must be from 1 to the ${machine.gpuCount} of ${instanceType}, got ${gpuCount}`,
    );
  }
  const mostMemoryMiB = Math.floor(machine.memoryMiB * 0.9 - 1_024);
  const memoryMiB = integer('memoryMiB', props.memoryMiB, mostMemoryMiB, 512, mostMemoryMiB);
  return {
    gpuCount,
    vcpu: integer('vcpu', props.vcpu, machine.vcpu - 1, 1, machine.vcpu),
    memoryMiB,
    sharedMemoryMiB: integer('sharedMemoryMiB', props.sharedMemoryMiB, Math.floor(memoryMiB / 4), 64, memoryMiB),
  };
}
