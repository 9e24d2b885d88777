import { Duration, Fn, Size, Stack } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import {
  CACHE_FOLDER,
  CACHE_FOLDER_CONTRACT,
  CONTAINER_USER,
  HEALTH_COMMAND,
  modelAnnotations,
  PLAIN,
  SpecError,
  type InferenceServicePlan,
  type ModelLocation,
} from '../runtime/spec';
import { acknowledge } from './acknowledge';
import type { ICapacity } from './capacity';
import { serverEnvironment } from './container-environment';
import type { RuntimeImage } from './runtime-image';

export interface TaskDefinitionInput {
  readonly plan: InferenceServicePlan;
  readonly capacity: ICapacity;
  readonly image: RuntimeImage;
  readonly taskRole: iam.IRole;
  readonly logGroup: logs.ILogGroup;
  readonly clusterName: string;
  readonly models: Readonly<Record<string, ModelLocation<string>>>;
  /** @default - one of its own, which may pull the image and write the log */
  readonly executionRole?: iam.IRole;
  /** Added to what the plan tells the server. @default - nothing */
  readonly environment?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, ecs.Secret>>;
  /** Whether a proxy beside the server must know what its ports speak. @default false */
  readonly serviceConnect?: boolean;
  /** Beside the server, of the same image. The spec's `companions` must hold what they take. @default - none */
  readonly extraContainers?: readonly ExtraContainer[];
}

/** A program of the image that runs beside the server, once that lives. */
export interface ExtraContainer {
  readonly name: string;
  readonly entryPoint: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly memoryMiB: number;
  readonly cpuUnits: number;
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
    ...(input.executionRole === undefined ? {} : { executionRole: input.executionRole }),
    ...(capacity.kind === 'instances' ? {} : { runtimePlatform: runtimePlatform(plan) }),
    ...(capacity.kind === 'fargate' ? fargateStorage(plan) : {}),
  });
  addContainers(scope, taskDefinition, input);
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

function addContainers(scope: Construct, taskDefinition: ecs.TaskDefinition, input: TaskDefinitionInput): void {
  const linuxParameters = new ecs.LinuxParameters(scope, 'LinuxParameters');
  linuxParameters.dropCapabilities(ecs.Capability.ALL);
  const common: CommonOptions = {
    image: input.image.bind(scope, input.plan),
    user: `${CONTAINER_USER}:${CONTAINER_USER}`,
    readonlyRootFilesystem: true,
    privileged: false,
    linuxParameters,
    stopTimeout: Duration.seconds(input.plan.lifecycle.stopTimeoutSeconds),
  };
  const server = addServer(scope, taskDefinition, common, input);
  const extras = (input.extraContainers ?? []).map((extra) => addExtra(taskDefinition, common, server, extra, input));
  addScratchVolume(taskDefinition, [server, ...extras], input.capacity);
}

type CommonOptions = Pick<
  ecs.ContainerDefinitionOptions,
  'image' | 'user' | 'readonlyRootFilesystem' | 'privileged' | 'linuxParameters' | 'stopTimeout'
>;

function addServer(
  scope: Construct,
  taskDefinition: ecs.TaskDefinition,
  common: CommonOptions,
  input: TaskDefinitionInput,
): ecs.ContainerDefinition {
  const { capacity, models } = input;
  const isCached = capacity.modelCache === true;
  const plan = isCached ? withCacheFolder(input.plan) : input.plan;
  const { lifecycle, resources } = plan;
  const server = taskDefinition.addContainer('server', {
    ...common,
    ...cpuBesideOthers(input),
    memoryLimitMiB: resources.memoryMiB - resources.companions.memoryMiB,
    ...(resources.gpuCount > 0 ? { gpuCount: resources.gpuCount } : {}),
    environment: serverEnvironment(scope, { ...input, plan, ...(isCached ? { cacheDirectory: CACHE_FOLDER } : {}) }),
    ...(input.secrets === undefined ? {} : { secrets: { ...input.secrets } }),
    dockerLabels: modelAnnotations(plan, { ...PLAIN, models }),
    portMappings: portMappings(plan, input.serviceConnect ?? false),
    // Live, not ready: killing a replica for loading slowly would only make it load again.
    healthCheck: {
      command: ['CMD', ...HEALTH_COMMAND],
      interval: Duration.seconds(lifecycle.livenessProbe.periodSeconds),
      timeout: Duration.seconds(lifecycle.livenessProbe.timeoutSeconds),
      retries: lifecycle.livenessProbe.failureThreshold,
      startPeriod: Duration.seconds(lifecycle.containerCheckStartPeriodSeconds),
    },
    logging: logTo(input, plan.name),
  });
  if (isCached) {
    const name = cacheVolumeName(scope, plan);
    taskDefinition.addVolume({
      name,
      dockerVolumeConfiguration: { scope: ecs.Scope.SHARED, autoprovision: true, driver: 'local' },
    });
    server.addMountPoints({ sourceVolume: name, containerPath: CACHE_FOLDER, readOnly: false });
  }
  return server;
}

// In an image without the folder, the volume would be root's.
function withCacheFolder(plan: InferenceServicePlan): InferenceServicePlan {
  return { ...plan, contract: Math.max(plan.contract, CACHE_FOLDER_CONTRACT) };
}

// A shared volume is found by its name, by whoever names it: replicas of all services have one user, and who could write
// what another one loads would be that other one. The stack's id is unique, and within a stack the service's name in its cluster.
function cacheVolumeName(scope: Construct, { name }: InferenceServicePlan): string {
  const uniqueId = Fn.select(2, Fn.split('/', Stack.of(scope).stackId));
  return Fn.join('-', ['slipway-models', name, uniqueId]);
}

// Shares of the CPU, for when there is not enough of it. A container that names none has next to none beside one that does.
function cpuBesideOthers({ plan, extraContainers = [] }: TaskDefinitionInput): { readonly cpu?: number } {
  if (extraContainers.length === 0) return {};
  const others = extraContainers.reduce((sum, { cpuUnits }) => sum + cpuUnits, 0);
  return { cpu: Math.floor(plan.resources.vcpu * 1_024) - others };
}

function portMappings({ ports }: InferenceServicePlan, serviceConnect: boolean): ecs.PortMapping[] {
  return [
    { name: 'http', containerPort: ports.http, ...(serviceConnect ? { appProtocol: ecs.AppProtocol.http } : {}) },
    { name: 'grpc', containerPort: ports.grpc, ...(serviceConnect ? { appProtocol: ecs.AppProtocol.grpc } : {}) },
    { name: 'metrics', containerPort: ports.metrics },
  ];
}

function addExtra(
  taskDefinition: ecs.TaskDefinition,
  common: CommonOptions,
  server: ecs.ContainerDefinition,
  { name, entryPoint, environment, memoryMiB, cpuUnits }: ExtraContainer,
  input: TaskDefinitionInput,
): ecs.ContainerDefinition {
  const container = taskDefinition.addContainer(name, {
    ...common,
    entryPoint: [...entryPoint],
    environment: { ...environment },
    memoryLimitMiB: memoryMiB,
    cpu: cpuUnits,
    logging: logTo(input, `${input.plan.name}-${name}`),
  });
  container.addContainerDependencies({ container: server, condition: ecs.ContainerDependencyCondition.HEALTHY });
  return container;
}

function logTo({ logGroup }: TaskDefinitionInput, streamPrefix: string): ecs.LogDriver {
  return ecs.LogDrivers.awsLogs({
    logGroup,
    streamPrefix,
    // A log service that is slow must not stop the server: lines wait in memory, and beyond that they are dropped.
    mode: ecs.AwsLogDriverMode.NON_BLOCKING,
    maxBufferSize: Size.mebibytes(25),
  });
}

// Temporary files, and the model cache where the machine keeps none. It goes away with the replica.
function addScratchVolume(
  taskDefinition: ecs.TaskDefinition,
  containers: readonly ecs.ContainerDefinition[],
  capacity: ICapacity,
): void {
  taskDefinition.addVolume({
    name: 'scratch',
    ...(capacity.kind === 'instances' ? { dockerVolumeConfiguration: { scope: ecs.Scope.TASK, driver: 'local' } } : {}),
  });
  for (const container of containers) {
    container.addMountPoints({ sourceVolume: 'scratch', containerPath: SCRATCH_DIRECTORY, readOnly: false });
  }
}
