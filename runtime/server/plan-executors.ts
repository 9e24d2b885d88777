import type { ServerSettings } from '../spec/environment';
import type { ExecutionProvider } from '../spec/inference-service-spec';
import type { Accelerator, ModelConfiguration, SessionParameters } from '../spec/model-configuration';
import { LIMITS } from '../spec/model-configuration/limits';
import { intraOpThreadsFor } from './cpu-quota';
import type { ExecutorKind, ExecutorOptions, ExecutorTuning } from './executor';
import { ModelError } from './model-error';

/** What each executor of one model version is started with, but for the file; there is at least one. */
export type ExecutorPlan = readonly Omit<ExecutorOptions, 'modelPath'>[];

/**
 * The kind of executor that this machine can run, where another one is wanted: native ones and workers are planned differently.
 */
export type ChooseExecutorKind = (wanted: ExecutorKind) => Promise<ExecutorKind>;

/** How many sessions a plan opens: each worker has its own, and native executors share those of their device. */
export function sessionsOf(plan: ExecutorPlan): number {
  const shared = plan.filter(({ kind }) => kind === 'native');
  const devices = shared.map(({ executionProvider, cudaDevice }) => `${executionProvider} ${cudaDevice}`);
  return plan.length - shared.length + new Set(devices).size;
}

type Settings = Pick<
  ServerSettings,
  'executor' | 'executors' | 'executionProvider' | 'cudaDevice' | 'intraOpThreads' | 'weights'
>;

/**
 * The server's settings, and above them the model's own configuration: its instance groups, session parameters and
 * accelerators.
 * @param cpus That the process may use.
 * @throws ModelError when the configuration asks for what this server does not have.
 */
export function planExecutors(
  settings: Settings,
  configuration: ModelConfiguration | undefined,
  cpus: number,
): ExecutorPlan {
  const slots = planSlots(settings, configuration);
  const intraOpThreads =
    configuration?.sessionParameters.intraOpThreadCount ??
    settings.intraOpThreads ??
    intraOpThreadsFor(settings.executor, cpus, slots.length);
  return slots.map(({ executionProvider, cudaDevice }) => {
    const provider = withAccelerator(executionProvider, configuration);
    const disablePrepacking = configuration?.sessionParameters.disablePrepacking ?? settings.weights === 'mapped';
    const tuning = configuration === undefined ? {} : planTuning(provider, configuration);
    return {
      kind: settings.executor,
      executionProvider: provider,
      intraOpThreads,
      cudaDevice,
      tuning: { ...tuning, ...(disablePrepacking ? { disablePrepacking } : {}) },
    };
  });
}

interface Slot {
  readonly executionProvider: ExecutionProvider;
  readonly cudaDevice: number;
}

function planSlots(settings: Settings, configuration: ModelConfiguration | undefined): readonly Slot[] {
  const { executionProvider, cudaDevice } = settings;
  const groups = configuration?.instanceGroups ?? [];
  if (groups.length === 0) return new Array<Slot>(settings.executors).fill({ executionProvider, cudaDevice });
  const slots = groups.flatMap(({ kind, count, gpus }) => {
    if (kind === 'KIND_GPU' && executionProvider === 'cpu') {
      throw new ModelError(`instance_group of KIND_GPU needs the execution provider cuda or tensorrt, got cpu`);
    }
    const provider = kind === 'KIND_CPU' ? 'cpu' : executionProvider;
    const devices = gpus.length > 0 ? gpus : [cudaDevice];
    return devices.flatMap((device) =>
      new Array<Slot>(Math.max(1, count)).fill({ executionProvider: provider, cudaDevice: device }),
    );
  });
  if (slots.length > LIMITS.executorsOfModel) {
    throw new ModelError(
      `instance_group asks for ${slots.length} executors, at most ${LIMITS.executorsOfModel} are started`,
    );
  }
  return slots;
}

/** TensorRT is offered a model's operators before CUDA; a server without a GPU has neither. */
function withAccelerator(
  provider: ExecutionProvider,
  configuration: ModelConfiguration | undefined,
): ExecutionProvider {
  const wantsTensorRt = configuration?.optimization.gpuAccelerators.some(({ name }) => name === 'tensorrt') ?? false;
  return provider === 'cuda' && wantsTensorRt ? 'tensorrt' : provider;
}

function planTuning(provider: ExecutionProvider, configuration: ModelConfiguration): ExecutorTuning {
  const { sessionParameters: parameters, optimization } = configuration;
  const isGpu = provider !== 'cpu';
  if (isGpu && optimization.cudaGraphs) {
    // A captured graph reads and writes the addresses that it was captured with, and each request has its own.
    throw new ModelError('optimization.cuda.graphs is not supported: requests do not lie at fixed addresses');
  }
  const tensorrt = provider === 'tensorrt' ? accelerate(optimization.gpuAccelerators, 'tensorrt') : {};
  const cuda = { ...cudaOptions(parameters), ...accelerate(optimization.gpuAccelerators, 'cuda') };
  return {
    interOpThreads: parameters.interOpThreadCount ?? 1,
    parallelExecution: parameters.executionMode === 'parallel',
    graphOptimization: optimization.graphLevel,
    cpuMemoryArena: parameters.enableMemArena ?? true,
    memoryPattern: parameters.enableMemPattern ?? true,
    ...(parameters.arenaShrinkage === undefined ? {} : { arenaShrinkage: parameters.arenaShrinkage }),
    ...(isGpu && Object.keys(cuda).length > 0 ? { cuda } : {}),
    ...(Object.keys(tensorrt).length > 0 ? { tensorrt } : {}),
  };
}

function cudaOptions(parameters: SessionParameters): Readonly<Record<string, string>> {
  const { cudnnConvAlgoSearch, gpuMemoryLimitBytes, arenaExtendStrategy, doCopyInDefaultStream } = parameters;
  const options = {
    cudnn_conv_algo_search: cudnnConvAlgoSearch,
    gpu_mem_limit: gpuMemoryLimitBytes,
    arena_extend_strategy: arenaExtendStrategy,
    do_copy_in_default_stream: doCopyInDefaultStream === undefined ? undefined : Number(doCopyInDefaultStream),
  };
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

/** Options of an execution provider. Triton has words of its own for three of TensorRT's; the others are passed on. */
function accelerate(accelerators: readonly Accelerator[], provider: Accelerator['name']): Record<string, string> {
  const given = accelerators.filter(({ name }) => name === provider).flatMap(({ parameters }) => [...parameters]);
  return Object.fromEntries(given.flatMap(([name, value]) => TENSORRT_WORDS[name]?.(value) ?? [[name, value]]));
}

const TENSORRT_WORDS: Readonly<Record<string, (value: string) => readonly (readonly [string, string])[]>> = {
  precision_mode: (value) =>
    value === 'FP16' ? [['trt_fp16_enable', '1']] : value === 'INT8' ? [['trt_int8_enable', '1']] : [],
  max_workspace_size_bytes: (value) => [['trt_max_workspace_size', value]],
  int8_calibration_table_name: (value) => [['trt_int8_calibration_table_name', value]],
};
