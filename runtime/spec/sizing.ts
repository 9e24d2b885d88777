import { DEFAULTS, SIZING } from './defaults';
import { SpecError } from './errors';
import { assertFargateSize, smallestFargateSize } from './fargate-sizes';
import type {
  CapacityKind,
  CompanionSpec,
  EngineServiceSpec,
  ExecutionProvider,
  InferenceServiceSpec,
  MachineFacts,
} from './inference-service-spec';
import type { ModelPlan } from './inference-service-plan';
import { instanceTypesOf, lookUpInstance, type Architecture, type InstanceFacts } from './instance-catalog';
import { gpuShareMemoryMiB, gpuShareName, shareOf, sharesPerGpu } from './machine-share';
import { rowBytes } from './model-facts';
import { integer, number } from './numbers';

const MIB = 2 ** 20;

/** What one replica gets. */
export interface ResourcesPlan {
  readonly executionProvider: ExecutionProvider;
  readonly capacity: CapacityKind;
  /** Machines it may land on; empty where any will do. */
  readonly instanceTypes: readonly string[];
  readonly architecture: Architecture;
  readonly vcpu: number;
  readonly memoryMiB: number;
  readonly gpuCount: number;
  /** Scratch space: the model cache and temporary files. */
  readonly ephemeralStorageMiB: number;
  /** What of it the containers beside the server take. */
  readonly companions: CompanionSpec;
  /** Sessions of a model whose published configuration asks for none. */
  readonly executors: number;
  /** Threads per session. */
  readonly intraOpThreads: number;
  /** What the models and the companions need by the sizing rules; undefined without facts. */
  readonly neededMemoryMiB?: number;
  readonly neededGpuMemoryMiB?: number;
}

/**
 * Decides what one replica gets and proves that the models fit into it.
 * @throws SpecError with the two numbers that do not fit.
 */
export function planResources(spec: EngineServiceSpec, models: readonly ModelPlan[]): ResourcesPlan {
  const named = namedTypes(spec);
  const executionProvider = spec.executionProvider ?? (named.length > 0 ? 'cuda' : 'cpu');
  const onGpu = executionProvider !== 'cpu';
  const gpuCount = planGpuCount(spec, executionProvider);
  if (!onGpu) assertNoGpuNeeded(models);
  const capacity = spec.capacity ?? (onGpu || named.length > 0 ? 'instances' : 'fargate');
  if (capacity === 'fargate') assertFargateCanRun(spec, executionProvider, gpuCount);

  const executors = 1;
  const companions = planCompanions(spec);
  const needs = memoryNeeds(models, onGpu, executors, companions);
  const { who: _inMessages, ...needed } = needs;
  const common = {
    executionProvider,
    capacity,
    architecture: 'amd64' as const,
    gpuCount,
    ephemeralStorageMiB: ephemeralStorage(models),
    companions,
    executors,
    ...needed,
  };
  if (capacity === 'fargate') {
    const size = planFargateSize(spec, needs, companions);
    return { ...common, instanceTypes: [], ...size, intraOpThreads: threads(size.vcpu - companions.vcpu, executors) };
  }
  const instanceTypes = planInstanceTypes(spec, named, gpuCount, needs);
  const share = planShare(spec, instanceTypes, gpuCount, needs, companions);
  return { ...common, instanceTypes, ...share, intraOpThreads: threads(share.vcpu - companions.vcpu, executors) };
}

/** Types that the author named, or else those of the machines that the service is placed on for their GPUs. */
function namedTypes({ instanceTypes, machines, executionProvider, capacity }: EngineServiceSpec): readonly string[] {
  if ((instanceTypes?.length ?? 0) > 0 || executionProvider === 'cpu' || capacity === 'fargate') {
    return instanceTypes ?? [];
  }
  return machines?.instanceTypes ?? [];
}

function planCompanions({ companions }: EngineServiceSpec): CompanionSpec {
  return {
    vcpu: number('companions.vcpu', companions?.vcpu, 0, 0, 16),
    memoryMiB: integer('companions.memoryMiB', companions?.memoryMiB, 0, 0, 65_536),
  };
}

function planGpuCount(spec: EngineServiceSpec, executionProvider: ExecutionProvider): number {
  const onGpu = executionProvider !== 'cpu';
  const gpuCount = integer('gpuCount', spec.gpuCount, onGpu ? 1 : 0, 0, 16);
  if (gpuCount > 1 && sharesPerGpu(spec.machines) > 1) {
    throw new SpecError(
      'GPU_SHARING',
      'gpuCount',
      `must be 1 where GPUs are shared, got ${gpuCount}: two shares may be of one GPU, which makes a replica no faster`,
    );
  }
  if (onGpu && gpuCount === 0) {
    throw new SpecError(
      'GPU_COUNT',
      'gpuCount',
      `execution provider '${executionProvider}' needs at least 1 GPU, got 0`,
    );
  }
  if (!onGpu && gpuCount > 0) {
    throw new SpecError(
      'GPU_WITHOUT_CUDA',
      'gpuCount',
      `execution provider 'cpu' uses no GPU, got ${gpuCount}; set executionProvider 'cuda' or gpuCount 0`,
    );
  }
  return gpuCount;
}

function assertNoGpuNeeded(models: readonly ModelPlan[]): void {
  const model = models.find(({ facts }) => facts?.executors?.needGpu === true);
  if (model === undefined) return;
  throw new SpecError(
    'GPU_WITHOUT_CUDA',
    'executionProvider',
    `the configuration published with '${model.name}' has an instance_group of KIND_GPU, got 'cpu'; set executionProvider 'cuda', or publish it with KIND_AUTO`,
  );
}

function assertFargateCanRun(spec: InferenceServiceSpec, executionProvider: ExecutionProvider, gpuCount: number): void {
  if (gpuCount > 0) {
    throw new SpecError(
      'GPU_ON_FARGATE',
      'capacity',
      `Fargate has no GPUs and execution provider '${executionProvider}' needs ${gpuCount}; use a GpuInstanceGroup`,
    );
  }
  if ((spec.instanceTypes?.length ?? 0) > 0) {
    throw new SpecError(
      'INSTANCE_TYPE_ON_FARGATE',
      'instanceTypes',
      `Fargate chooses its machines itself, got ${spec.instanceTypes!.join(', ')}; leave instanceTypes out`,
    );
  }
}

interface MemoryNeeds {
  /** Who needs it, in messages. */
  readonly who: string;
  readonly neededMemoryMiB?: number | undefined;
  readonly neededGpuMemoryMiB?: number;
}

function memoryNeeds(
  models: readonly ModelPlan[],
  onGpu: boolean,
  executors: number,
  companions: CompanionSpec,
): MemoryNeeds {
  let cpuSessionBytes = 0;
  let gpuSessionBytes = 0;
  let passingBytes = 0;
  let tensorBytes = 0;
  for (const { facts, maxBatchSize } of models) {
    if (facts === undefined) return { who: 'the models' };
    const { all, perGpu, onCpu } = facts.executors ?? { all: executors, perGpu: executors, onCpu: 0 };
    const sessionBytes = facts.weightBytes * SIZING.sessionBytesPerWeightByte;
    cpuSessionBytes += sessionBytes * (onGpu ? onCpu : all);
    gpuSessionBytes += sessionBytes * perGpu;
    // The weights pass through host memory once, on their way to the GPU.
    passingBytes += facts.weightBytes * (all - onCpu);
    const row = [...facts.inputs, ...facts.outputs].reduce((bytes, tensor) => bytes + rowBytes(tensor), 0);
    // The batches being run and the queue behind them.
    tensorBytes += row * maxBatchSize * (all + DEFAULTS.queuedBatches);
  }
  const who = whoNeeds(models);
  const withHeadroom = (bytes: number): number => (bytes * (1 + SIZING.headroom)) / MIB;
  const processesMiB = SIZING.serverMiB + companions.memoryMiB;
  if (!onGpu) return { who, neededMemoryMiB: Math.ceil(processesMiB + withHeadroom(cpuSessionBytes + tensorBytes)) };
  return {
    who,
    neededMemoryMiB: Math.ceil(processesMiB + withHeadroom(cpuSessionBytes + passingBytes + tensorBytes)),
    neededGpuMemoryMiB: Math.ceil(SIZING.cudaContextMiB + withHeadroom(gpuSessionBytes + tensorBytes)),
  };
}

// Sessions that somebody else asked for are the first thing to look at where a small model needs much.
function whoNeeds(models: readonly ModelPlan[]): string {
  const asking = models.find(({ facts }) => (facts?.executors?.all ?? 1) > 1);
  if (asking === undefined) return 'the models';
  return `the models, of which '${asking.name}' was published with ${asking.facts!.executors!.all} executors in its instance_group,`;
}

function planFargateSize(
  spec: InferenceServiceSpec,
  { who, neededMemoryMiB: needed }: MemoryNeeds,
  companions: CompanionSpec,
): { vcpu: number; memoryMiB: number } {
  const vcpu = number('vcpu', spec.vcpu, DEFAULTS.cpuVcpu + companions.vcpu, 0.25, 16);
  assertVcpu(vcpu, companions);
  if (spec.memoryMiB === undefined) {
    const size = smallestFargateSize(vcpu, needed!);
    if (spec.vcpu !== undefined && size.vcpu !== spec.vcpu) {
      throw new SpecError(
        'FARGATE_SIZE',
        'vcpu',
        `${who} need ${needed} MiB, which Fargate gives from ${size.vcpu} vCPU on, got ${spec.vcpu}`,
      );
    }
    return size;
  }
  assertFargateSize(vcpu, spec.memoryMiB);
  assertMemory(spec.memoryMiB, { who, neededMemoryMiB: needed });
  return { vcpu, memoryMiB: spec.memoryMiB };
}

function assertVcpu(vcpu: number, companions: CompanionSpec): void {
  if (vcpu <= companions.vcpu) {
    throw new SpecError(
      'CPU',
      'vcpu',
      `the containers beside the server take ${companions.vcpu} vCPU, which leaves it none of ${vcpu}`,
    );
  }
}

function assertMemory(memoryMiB: number, { who, neededMemoryMiB: needed }: MemoryNeeds): void {
  if (needed !== undefined && memoryMiB < needed) {
    throw new SpecError('MEMORY', 'memoryMiB', `${who} need ${needed} MiB, got ${memoryMiB}`);
  }
}

function planInstanceTypes(
  { machines }: EngineServiceSpec,
  named: readonly string[],
  gpuCount: number,
  needs: MemoryNeeds,
): readonly string[] {
  if (named.length > 0) {
    named.forEach((type, i) => assertInstanceFits(type, `instanceTypes[${i}]`, gpuCount, needs, machines));
    return named;
  }
  if (gpuCount === 0) return [];
  // Nobody has said whose machines they will be. AWS's have every common GPU, so one of those sizes the replica.
  const fitting = instanceTypesOf('aws').find((type) =>
    fits(lookUpInstance(type, 'instanceTypes'), gpuCount, needs, machines),
  );
  if (fitting === undefined) {
    throw new SpecError(
      'NO_INSTANCE_FITS',
      'instanceTypes',
      `no known type has ${gpuCount} GPUs with ${needs.neededGpuMemoryMiB ?? 0} MiB each and ${needs.neededMemoryMiB ?? 0} MiB of memory for one replica`,
    );
  }
  return [fitting];
}

function assertInstanceFits(
  type: string,
  path: string,
  gpuCount: number,
  needs: MemoryNeeds,
  machines: MachineFacts | undefined,
): void {
  const instance = lookUpInstance(type, path);
  if (gpuCount > instance.gpuCount) {
    throw new SpecError('GPU_COUNT', 'gpuCount', `must be at most ${instance.gpuCount} on ${type}, got ${gpuCount}`);
  }
  const gpuMemoryMiB = gpuShareMemoryMiB(instance, machines);
  if ((needs.neededGpuMemoryMiB ?? 0) > gpuMemoryMiB) {
    throw new SpecError(
      'GPU_MEMORY',
      path,
      `${needs.who} need ${needs.neededGpuMemoryMiB} MiB of GPU memory, ${gpuShareName(instance, machines)} of ${type} has ${gpuMemoryMiB}`,
    );
  }
  const share = shareOf(instance, gpuCount, machines);
  if ((needs.neededMemoryMiB ?? 0) > share.memoryMiB) {
    throw new SpecError(
      'MEMORY',
      path,
      `${needs.who} need ${needs.neededMemoryMiB} MiB, a replica's share of ${type} is ${share.memoryMiB}`,
    );
  }
}

function fits(
  instance: InstanceFacts,
  gpuCount: number,
  needs: MemoryNeeds,
  machines: MachineFacts | undefined,
): boolean {
  return (
    gpuCount <= instance.gpuCount &&
    (needs.neededGpuMemoryMiB ?? 0) <= gpuShareMemoryMiB(instance, machines) &&
    (needs.neededMemoryMiB ?? 0) <= shareOf(instance, gpuCount, machines).memoryMiB
  );
}

function planShare(
  spec: EngineServiceSpec,
  instanceTypes: readonly string[],
  gpuCount: number,
  needs: MemoryNeeds,
  companions: CompanionSpec,
): { vcpu: number; memoryMiB: number } {
  if (instanceTypes.length === 0) {
    // Machines that the plan knows nothing about: an existing cluster's CPU nodes.
    const memoryMiB = integer(
      'memoryMiB',
      spec.memoryMiB,
      Math.ceil((needs.neededMemoryMiB ?? 0) / 256) * 256,
      128,
      4_194_304,
    );
    assertMemory(memoryMiB, needs);
    const vcpu = number('vcpu', spec.vcpu, DEFAULTS.cpuVcpu + companions.vcpu, 0.25, 448);
    assertVcpu(vcpu, companions);
    return { vcpu, memoryMiB };
  }
  const shares = instanceTypes.map((type) => ({
    type,
    ...shareOf(lookUpInstance(type, 'instanceTypes'), gpuCount, spec.machines),
  }));
  const leastCpu = shares.reduce((least, share) => (share.vcpu < least.vcpu ? share : least));
  const leastMemory = shares.reduce((least, share) => (share.memoryMiB < least.memoryMiB ? share : least));
  const vcpu = number('vcpu', spec.vcpu, leastCpu.vcpu, 0.25, 448);
  const memoryMiB = integer('memoryMiB', spec.memoryMiB, leastMemory.memoryMiB, 128, 4_194_304);
  if (vcpu > leastCpu.vcpu) {
    throw new SpecError('CPU', 'vcpu', `a replica's share of ${leastCpu.type} is ${leastCpu.vcpu} vCPU, got ${vcpu}`);
  }
  if (memoryMiB > leastMemory.memoryMiB) {
    throw new SpecError(
      'MEMORY',
      'memoryMiB',
      `a replica's share of ${leastMemory.type} is ${leastMemory.memoryMiB} MiB, got ${memoryMiB}`,
    );
  }
  assertMemory(memoryMiB, needs);
  assertVcpu(vcpu, companions);
  return { vcpu, memoryMiB };
}

function threads(vcpu: number, executors: number): number {
  return Math.max(1, Math.floor(vcpu / executors));
}

// Twice the models that are fetched (a new version is fetched beside the old one) and room for temporary files.
function ephemeralStorage(models: readonly ModelPlan[]): number {
  const fetched = models.filter(({ delivery }) => delivery === 'fetch');
  const bytes = fetched.reduce((sum, { facts }) => sum + (facts?.fileBytes ?? 2 ** 31), 0);
  return 1_024 + Math.ceil((2 * bytes) / MIB / 256) * 256;
}
