import type { Preset } from './inference-service-spec';

/** Every number that a plan falls back on, in one place. Units are in the names. */
export const DEFAULTS = {
  preset: 'production' as Preset,
  maxReplicasPerMinReplica: 4,
  targetSaturation: 0.7,
  scaleOutCooldownSeconds: 60,
  scaleInCooldownSeconds: 300,

  maxBatchSize: 32,
  queuedBatches: 4,
  maxBodyMiB: 64,
  bodyMemoryMiB: 256,
  targetQueueSeconds: 0.1,

  downloadMiBPerSecond: 50,
  requestDeadlineSeconds: 30,
  deregistrationLagSeconds: 10,
  idleTimeoutSeconds: 60,
  gpuProvisioningSeconds: 900,
  cpuProvisioningSeconds: 180,
  cpuVcpu: 1,
} as const;

export const PRESET_MIN_REPLICAS = { production: 2, development: 1 } as const satisfies Record<Preset, number>;

/** What sizing assumes; each figure carries where it was seen. */
export const SIZING = {
  /** Node 24, the server bundle and onnxruntime with no model loaded: about 130 MiB resident, doubled for bursts. */
  serverMiB: 256,
  /**
   * A session holds its weights about twice on CPU, because kernels keep them packed as well: 268 MB of weights took
   * 505 MB private (onnxruntime-node 1.30, x64 Linux). The same factor leaves room for a GPU's workspace.
   */
  sessionBytesPerWeightByte: 2,
  /** CUDA context, cuBLAS and cuDNN handles of one process on one GPU. An estimate: not measured on a GPU yet. */
  cudaContextMiB: 800,
  /**
   * Share of the memory left over by the models that request bodies may hold. JSON becomes two to three times its size
   * on the way to a tensor, so a quarter in bodies is most of it in all.
   */
  bodyShare: 0.25,
  /** Share of memory kept free for activations and the allocator. */
  headroom: 0.25,
  /**
   * What the operating system, the agent and daemons of a machine keep: EKS reserves 255 MiB + 11 MiB per pod and 100 MiB
   * for eviction, the kernel takes some 3 %, and device plugin, network and log daemons ask for the rest.
   */
  machineReservedMiB: 1_024,
  machineReservedShare: 0.08,
  machineReservedVcpu: 0.5,

  /** Process start, runtime load and the proof run of a small model, with a wide margin on a shared CPU. */
  startSeconds: 20,
  /** CUDA initialisation and the first run's kernel choice. An estimate: not measured on a GPU yet. */
  cudaStartSeconds: 60,
  /** Reading, checking and opening a model: 268 MB opened in 0.44 s cold; 50 MiB/s allows for a slow shared CPU. */
  openMiBPerSecond: 50,
  startupSafetyFactor: 2,
  minStartupBudgetSeconds: 60,
} as const;

/** The longest Fargate waits between SIGTERM and SIGKILL (ECS developer guide, stopTimeout). */
export const FARGATE_MAX_STOP_TIMEOUT_SECONDS = 120;
/** The longest idle timeout of an Application Load Balancer. */
export const MAX_IDLE_TIMEOUT_SECONDS = 4_000;
/** The longest deregistration delay of its target groups. */
export const MAX_DEREGISTRATION_DELAY_SECONDS = 3_600;
/** The longest start period of an ECS container health check. */
export const ECS_MAX_START_PERIOD_SECONDS = 300;
/** Left between the end of the drain and SIGKILL: logs are flushed, what still waits gets its 503. */
export const FLUSH_SECONDS = 5;

/**
 * Highest operator sets that the bundled ONNX Runtime 1.30 runs. A domain that is not listed has operators only a
 * custom library could bring, which the server does not load.
 */
export const MAX_OPSETS: Readonly<Record<string, number>> = {
  '': 26,
  'ai.onnx.ml': 5,
  'com.microsoft': 1,
};
