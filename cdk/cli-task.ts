import { Aws, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { CONTAINER_USER, SpecError, type Architecture, type Preset } from '../runtime/spec';
import { assertFargateSize } from '../runtime/spec/fargate-sizes';
import { acknowledge } from './acknowledge';
import { tasksOf } from './ecs-task-rights';
import type { RuntimeImage } from './runtime-image';
import { createSecurityGroup } from './service-foundations';

/** How large each task is. They run on Fargate, one after the other. */
export interface CliTaskSize {
  /** @default 1 */
  readonly vcpu?: number;
  /** The golden proof runs the model, so a large one needs more. @default 4096 */
  readonly memoryMiB?: number;
  /** Storage for the image and the files of the model, from 20 to 200. @default 20 */
  readonly storageGiB?: number;
  /** What the image is made for. @default 'amd64' */
  readonly architecture?: Architecture;
}

export interface CliTaskProps {
  readonly cluster: ecs.ICluster;
  readonly image: RuntimeImage;
  readonly preset: Preset;
  readonly vpcSubnets?: ec2.SubnetSelection;
  readonly size?: CliTaskSize;
  readonly logGroup?: logs.ILogGroup;
  /** What it does, for whoever reads its role. @default 'Steps of a model pipeline' */
  readonly description?: string;
  /** @default - one of its own, which lets nothing in */
  readonly securityGroup?: ec2.SecurityGroup;
}

const FREE_GIB = 20;
const MAX_GIB = 200;
/** The image lies on the same storage, and publishing writes some temporary files. */
const TAKEN_GIB = 5;
const CONTAINER = 'slipway';

/** A task on Fargate that runs one command of `slipway` from the server image, as whoever starts it says. */
export class CliTask extends Construct {
  readonly taskDefinition: ecs.FargateTaskDefinition;
  readonly securityGroup: ec2.SecurityGroup;
  readonly logGroup: logs.ILogGroup;
  /** Bytes that files of a candidate may take. */
  readonly maxSourceBytes: number;
  readonly containerName = CONTAINER;
  readonly subnetIds: readonly string[];
  private readonly cluster: ecs.ICluster;

  /** @throws SpecError FARGATE_SIZE for a size that Fargate does not have. */
  constructor(scope: Construct, id: string, props: CliTaskProps) {
    super(scope, id);
    const { cluster, size = {} } = props;
    const storageGiB = storageOf(size);
    this.cluster = cluster;
    this.maxSourceBytes = (storageGiB - TAKEN_GIB) * 2 ** 30;
    this.logGroup =
      props.logGroup ??
      new logs.LogGroup(this, 'Logs', {
        retention: logs.RetentionDays.ONE_MONTH,
        removalPolicy: RemovalPolicy.DESTROY,
      });
    this.securityGroup =
      props.securityGroup ??
      createSecurityGroup(this, {
        vpc: cluster.vpc,
        description: 'Steps of a model pipeline: nothing comes in, HTTPS goes out',
      });
    this.subnetIds = cluster.vpc.selectSubnets(props.vpcSubnets).subnetIds;
    this.taskDefinition = this.createTaskDefinition(props, storageGiB);
  }

  /** Lets a state machine run the task, look at it and stop it. */
  grantRun(role: iam.IRole): void {
    const stack = Stack.of(this);
    const { taskDefinition, cluster } = this;
    const tasks = stack.formatArn({ service: 'ecs', resource: 'task', resourceName: `${cluster.clusterName}/*` });
    const inCluster = { ArnEquals: { 'ecs:cluster': cluster.clusterArn } };
    const statements: Omit<iam.GrantOnPrincipalOptions, 'grantee'>[] = [
      { actions: ['ecs:RunTask'], resourceArns: [taskDefinition.taskDefinitionArn], conditions: inCluster },
      { actions: ['ecs:DescribeTasks', 'ecs:StopTask'], resourceArns: [tasks], conditions: inCluster },
      {
        actions: ['iam:PassRole'],
        resourceArns: [taskDefinition.taskRole.roleArn, taskDefinition.obtainExecutionRole().roleArn],
        conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
      },
    ];
    for (const statement of statements) iam.Grant.addToPrincipal({ grantee: role, ...statement });
  }

  private createTaskDefinition(props: CliTaskProps, storageGiB: number): ecs.FargateTaskDefinition {
    const { vcpu = 1, memoryMiB = 4_096, architecture = 'amd64' } = props.size ?? {};
    const taskDefinition = new ecs.FargateTaskDefinition(this, 'TaskDefinition', {
      cpu: vcpu * 1_024,
      memoryLimitMiB: memoryMiB,
      taskRole: new iam.Role(this, 'TaskRole', {
        assumedBy: tasksOf(Stack.of(this)),
        description: props.description ?? 'Steps of a model pipeline',
      }),
      runtimePlatform: {
        operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
        cpuArchitecture: architecture === 'arm64' ? ecs.CpuArchitecture.ARM64 : ecs.CpuArchitecture.X86_64,
      },
      ...(storageGiB > FREE_GIB ? { ephemeralStorageGiB: storageGiB } : {}),
    });
    const needs = { executionProvider: 'cpu', architecture, preset: props.preset } as const;
    const { imageUri, repository } = props.image.uri(this, needs);
    repository.grantPull(taskDefinition.obtainExecutionRole());
    this.addContainer(taskDefinition, ecs.ContainerImage.fromRegistry(imageUri));
    acknowledge(taskDefinition, 'ECS2', 'the environment is configuration alone: no secret passes through it');
    acknowledge(
      taskDefinition,
      'IAM5[Resource::*]',
      'ecr:GetAuthorizationToken takes no resource; pulling itself is allowed from one repository',
    );
    return taskDefinition;
  }

  private addContainer(taskDefinition: ecs.FargateTaskDefinition, image: ecs.ContainerImage): void {
    const linuxParameters = new ecs.LinuxParameters(this, 'LinuxParameters');
    linuxParameters.dropCapabilities(ecs.Capability.ALL);
    const container = taskDefinition.addContainer(CONTAINER, {
      image,
      entryPoint: ['node', '/app/cli.mjs'],
      // What a task does that nobody gave a command.
      command: ['--help'],
      environment: { AWS_REGION: Aws.REGION },
      user: `${CONTAINER_USER}:${CONTAINER_USER}`,
      readonlyRootFilesystem: true,
      privileged: false,
      linuxParameters,
      logging: ecs.LogDrivers.awsLogs({ logGroup: this.logGroup, streamPrefix: 'step' }),
    });
    taskDefinition.addVolume({ name: 'scratch' });
    container.addMountPoints({ sourceVolume: 'scratch', containerPath: '/tmp', readOnly: false });
  }
}

function storageOf({ vcpu = 1, memoryMiB = 4_096, storageGiB = FREE_GIB }: CliTaskSize): number {
  assertFargateSize(vcpu, memoryMiB);
  if (Number.isInteger(storageGiB) && storageGiB >= FREE_GIB && storageGiB <= MAX_GIB) return storageGiB;
  throw new SpecError(
    'FARGATE_SIZE',
    'storageGiB',
    `must be a whole number from ${FREE_GIB} to ${MAX_GIB}, got ${storageGiB}`,
  );
}
