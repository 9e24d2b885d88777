import { Duration, Size, Stack } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import {
  CONTAINER_USER,
  containerEnvironment,
  HEALTH_COMMAND,
  modelAnnotations,
  PLAIN,
  SpecError,
  type InferenceServicePlan,
  type ModelLocation,
} from '../runtime/spec';
import { acknowledge } from './acknowledge';
import type { ICapacity } from './capacity';
import type { RuntimeImage } from './runtime-image';

export interface TaskDefinitionInput {
  readonly plan: InferenceServicePlan;
  readonly capacity: ICapacity;
  readonly image: RuntimeImage;
  readonly taskRole: iam.IRole;
  readonly logGroup: logs.ILogGroup;
  readonly clusterName: string;
  readonly models: Readonly<Record<string, ModelLocation<string>>>;
}

// Fargate's storage holds the image too: a CPU image is about 300 MiB, a CUDA one several GiB.
const FARGATE_IMAGE_GIB = 4;
const FARGATE_FREE_GIB = 20;
const FARGATE_MAX_GIB = 200;
const COMPATIBILITY: Record<ICapacity['kind'], ecs.Compatibility> = {
  instances: ecs.Compatibility.EC2,
  managedInstances: ecs.Compatibility.MANAGED_INSTANCES,
  fargate: ecs.Compatibility.FARGATE,
};
/** Writable while the root file system is not; the image declares it a volume, so it keeps its sticky world-writable mode. */
const SCRATCH_DIRECTORY = '/tmp';

/** One replica as ECS runs it: the plan, translated. */
export function createTaskDefinition(scope: Construct, input: TaskDefinitionInput): ecs.TaskDefinition {
  const { plan, capacity } = input;
  const taskDefinition = new ecs.TaskDefinition(scope, 'TaskDefinition', {
    compatibility: COMPATIBILITY[capacity.kind],
    networkMode: ecs.NetworkMode.AWS_VPC,
    // ECS takes whole CPU units, and a fraction of one is nothing.
    cpu: String(Math.floor(plan.resources.vcpu * 1024)),
    memoryMiB: String(plan.resources.memoryMiB),
    taskRole: input.taskRole,
    ...(capacity.kind === 'instances' ? {} : { runtimePlatform: runtimePlatform(plan) }),
    ...(capacity.kind === 'fargate' ? fargateStorage(plan) : {}),
  });
  addServer(scope, taskDefinition, input);
  acknowledge(taskDefinition, 'ECS2', 'the environment is configuration alone: no secret passes through it');
  acknowledge(
    taskDefinition,
    'IAM5[Resource::*]',
    'ecr:GetAuthorizationToken takes no resource; pulling itself is allowed from one repository',
  );
  return taskDefinition;
}

// Where ECS chooses the machines, it must be told what the image is made for.
function runtimePlatform({ resources }: InferenceServicePlan): ecs.RuntimePlatform {
  return {
    operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
    cpuArchitecture: resources.architecture === 'arm64' ? ecs.CpuArchitecture.ARM64 : ecs.CpuArchitecture.X86_64,
  };
}

function fargateStorage(plan: InferenceServicePlan): Partial<ecs.TaskDefinitionProps> {
  const storageGiB = Math.ceil(plan.resources.ephemeralStorageMiB / 1024) + FARGATE_IMAGE_GIB;
  if (storageGiB > FARGATE_MAX_GIB) {
    throw new SpecError(
      'FARGATE_SIZE',
      'models',
      `image and models need ${storageGiB} GiB of storage, Fargate gives at most ${FARGATE_MAX_GIB}; use a GpuInstanceGroup`,
    );
  }
  return storageGiB > FARGATE_FREE_GIB ? { ephemeralStorageGiB: storageGiB } : {};
}

function addServer(
  scope: Construct,
  taskDefinition: ecs.TaskDefinition,
  { plan, capacity, image, logGroup, clusterName, models }: TaskDefinitionInput,
): void {
  const { lifecycle, ports, resources } = plan;
  const linuxParameters = new ecs.LinuxParameters(scope, 'LinuxParameters');
  linuxParameters.dropCapabilities(ecs.Capability.ALL);
  const container = taskDefinition.addContainer('server', {
    image: image.bind(scope, plan),
    user: `${CONTAINER_USER}:${CONTAINER_USER}`,
    readonlyRootFilesystem: true,
    privileged: false,
    linuxParameters,
    memoryLimitMiB: resources.memoryMiB - resources.companions.memoryMiB,
    ...(resources.gpuCount > 0 ? { gpuCount: resources.gpuCount } : {}),
    environment: {
      ...containerEnvironment(plan, { ...PLAIN, models, clusterName, cloudwatchMetrics: true }),
      // On machines of our own ECS does not say it, and their metadata service is out of a replica's reach.
      AWS_REGION: Stack.of(scope).region,
    },
    dockerLabels: modelAnnotations(plan, { ...PLAIN, models }),
    portMappings: [
      { name: 'http', containerPort: ports.http },
      { name: 'grpc', containerPort: ports.grpc },
      { name: 'metrics', containerPort: ports.metrics },
    ],
    // Live, not ready: killing a replica for loading slowly would only make it load again.
    healthCheck: {
      command: ['CMD', ...HEALTH_COMMAND],
      interval: Duration.seconds(lifecycle.livenessProbe.periodSeconds),
      timeout: Duration.seconds(lifecycle.livenessProbe.timeoutSeconds),
      retries: lifecycle.livenessProbe.failureThreshold,
      startPeriod: Duration.seconds(lifecycle.containerCheckStartPeriodSeconds),
    },
    stopTimeout: Duration.seconds(lifecycle.stopTimeoutSeconds),
    logging: ecs.LogDrivers.awsLogs({
      logGroup,
      streamPrefix: plan.name,
      // A log service that is slow must not stop the server: lines wait in memory, and beyond that they are dropped.
      mode: ecs.AwsLogDriverMode.NON_BLOCKING,
      maxBufferSize: Size.mebibytes(25),
    }),
  });
  addScratchVolume(taskDefinition, container, capacity);
}

// The model cache and temporary files. It goes away with the replica.
function addScratchVolume(
  taskDefinition: ecs.TaskDefinition,
  container: ecs.ContainerDefinition,
  capacity: ICapacity,
): void {
  taskDefinition.addVolume({
    name: 'scratch',
    ...(capacity.kind === 'instances' ? { dockerVolumeConfiguration: { scope: ecs.Scope.TASK, driver: 'local' } } : {}),
  });
  container.addMountPoints({ sourceVolume: 'scratch', containerPath: SCRATCH_DIRECTORY, readOnly: false });
}
