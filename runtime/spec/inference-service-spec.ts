import type { ModelFacts, ModelFile } from './model-facts';

// Choices are objects of constants: TypeScript users write the plain text, and Pulumi's schema, which knows no unions of
// literals, gets an enumeration. The constant stands before its type, for that is where the schema looks for the values.

/** ONNX Runtime backend that runs the model. */
export const ExecutionProvider = { Cpu: 'cpu', Cuda: 'cuda', TensorRt: 'tensorrt' } as const;
export type ExecutionProvider = (typeof ExecutionProvider)[keyof typeof ExecutionProvider];

/** Where replicas run: on machines of given types, or on Fargate. */
export const CapacityKind = { Instances: 'instances', Fargate: 'fargate' } as const;
export type CapacityKind = (typeof CapacityKind)[keyof typeof CapacityKind];

/** Where the autoscaler reads its signal on Kubernetes. */
export const ScalingMetricsSource = { Keda: 'keda', PrometheusAdapter: 'prometheus-adapter', Cpu: 'cpu' } as const;
export type ScalingMetricsSource = (typeof ScalingMetricsSource)[keyof typeof ScalingMetricsSource];

/**
 * What may start the first replica: messages that wait, the time of day, or requests that something else holds for it.
 * Saturation cannot, for nobody measures it.
 */
export const WakeSource = { Queue: 'queue', Schedule: 'schedule', Interceptor: 'interceptor' } as const;
export type WakeSource = (typeof WakeSource)[keyof typeof WakeSource];

/**
 * How the files of a model come to a replica: the server fetches them, the image that holds them is mounted, or a volume
 * is.
 */
export const ModelDelivery = { Fetch: 'fetch', Image: 'image', Volume: 'volume' } as const;
export type ModelDelivery = (typeof ModelDelivery)[keyof typeof ModelDelivery];

/** What containers beside the server take, all of them together: a queue's worker, a proxy. */
export interface CompanionSpec {
  readonly vcpu: number;
  readonly memoryMiB: number;
}

/**
 * `production`: two replicas over two zones, alarms on.
 * `development`: one replica, no alarms, and everything it creates is deleted with it.
 */
export const Preset = { Production: 'production', Development: 'development' } as const;
export type Preset = (typeof Preset)[keyof typeof Preset];

/** One model version that every replica of the service loads before it is ready. */
export interface ModelSpec {
  readonly name: string;
  readonly version: number;
  /**
   * What the file says about the model.
   * @default - unknown; then memoryMiB, startupBudgetSeconds and executionProvider of the service are required
   */
  readonly facts?: ModelFacts;
  /**
   * The files of the version with their digests, `manifest.json` among them where there is one.
   * @default - the server reads the manifest in the version's folder
   */
  readonly files?: readonly ModelFile[];
  /**
   * Rows that one run may carry.
   * @default - 32 when dimension 0 of every input and output is free, else 1
   */
  readonly maxBatchSize?: number;
  /** How the files come to a replica. @default 'fetch' */
  readonly delivery?: ModelDelivery;
}

/**
 * What the author of a service decides, the same on every engine. Everything here is plain: whatever drives
 * structure or size must be known when the program runs. Names, URIs and images come late, through each engine.
 */
export interface InferenceServiceSpec extends ServiceChoices {
  /** Name of the service: 1 to 50 lower-case letters, digits and dashes, beginning with a letter. */
  readonly name: string;
  readonly models: readonly ModelSpec[];
  /**
   * Types of the machines a replica may land on; it must fit each of them.
   * @default - those of the placement, where it says them; else for a GPU the first type of the catalogue that fits, for
   * a CPU none
   */
  readonly instanceTypes?: readonly string[];
}

/** What a service decides about itself and its replicas, whatever it is called and whatever it serves. */
export interface ServiceChoices {
  /** @default 'production' */
  readonly preset?: Preset;

  /**
   * @default - 'cuda' when instanceTypes are named, else 'cpu'
   */
  readonly executionProvider?: ExecutionProvider;
  /**
   * @default - 'instances' when instanceTypes are named or the execution provider needs a GPU, else 'fargate', whose
   * sizes any Kubernetes node takes too
   */
  readonly capacity?: CapacityKind;
  /** GPUs of one replica, or shares of one where several replicas share it. @default - 1 on a GPU provider, else 0 */
  readonly gpuCount?: number;
  /** vCPUs of one replica. @default - its GPUs' share of the smallest instance type; on CPU 1 */
  readonly vcpu?: number;
  /** Memory of one replica. @default - its GPUs' share of the smallest instance type; on CPU sized from the model */
  readonly memoryMiB?: number;

  /** Replicas kept running when idle; 0 where something wakes the service. @default - 2 in production, 1 in development */
  readonly minReplicas?: number;
  /** Most replicas the autoscaler may start. @default - four times minReplicas, 4 where that is 0 */
  readonly maxReplicas?: number;
  /** Saturation that the autoscaler holds: 1 is a full replica. @default 0.7 */
  readonly targetSaturation?: number;
  /**
   * Kubernetes only: where the autoscaler reads its signal.
   * @default - 'cpu' (metrics-server) for CPU models; a GPU service must name one, for CPU use says nothing about it
   */
  readonly metricsFrom?: ScalingMetricsSource;
  /**
   * Whether a rollout may start a new replica before it stops an old one. Say false where no spare GPU exists: one
   * replica is then down during a rollout.
   * @default true
   */
  readonly spareReplica?: boolean;

  /** Seconds from container start to ready. @default - from the models' bytes and the bandwidth below */
  readonly startupBudgetSeconds?: number;
  /** Bandwidth from the model bucket to a replica that the startup budget counts on, MiB/s. @default 50 */
  readonly downloadMiBPerSecond?: number;
  /** Seconds the platform may take to bring a machine for a new replica. @default - 900 with a GPU, else 180 */
  readonly provisioningSeconds?: number;

  /** Longest time a request may take in a replica, waiting included. @default 30 */
  readonly requestDeadlineSeconds?: number;
  /** How long a load balancer may still send requests to a replica that is going away. @default 10 */
  readonly deregistrationLagSeconds?: number;
  /**
   * Seconds between SIGTERM and SIGKILL. Must be at least lag + request deadline + 5, on Fargate at most 120.
   * @default - just that sum
   */
  readonly stopTimeoutSeconds?: number;
  /** Idle timeout of the load balancer, 1 to 4000. @default - 60, or the request deadline + 5 where that is more */
  readonly idleTimeoutSeconds?: number;

  /**
   * Whether hooks that were published with models are run: code of the model's author, with the rights of the replica.
   * Of a model whose files are known to have some, it must be said; false serves such a model bare, unless its
   * configuration names the hooks, for then it is not ready.
   * @default false
   */
  readonly hooks?: boolean;
  /**
   * Whether replicas refuse a version without a golden proof and an evaluation of its very files that passed its gates: such a
   * replica is not ready and says why. Needs an image of contract 3.
   * @default false
   */
  readonly requireEvidence?: boolean;
  /**
   * Public keys in PEM, one block after the other, of which one must have signed the manifest of each version. Needs an image of
   * contract 3.
   * @default - a version needs no signature
   */
  readonly modelSigningKeys?: string;

  /** Rows one model may hold waiting before it answers 429. @default - four batches' worth */
  readonly queueDepthRows?: number;
  /** Largest request body. @default 64 */
  readonly maxBodyMiB?: number;
}

/**
 * The author's decisions, with what an engine knows from the things around the service. Nobody writes these by hand: a
 * queue, a schedule or another container brings them.
 */
export interface EngineServiceSpec extends InferenceServiceSpec {
  /** What containers beside the server take of a replica's vCPUs and memory. @default - there are none */
  readonly companions?: CompanionSpec;
  /** What starts a replica when there is none. @default - nothing, so minReplicas is at least 1 */
  readonly wakeSource?: WakeSource;
  /** Machines that replicas land on, as far as they are known. @default - nothing is known */
  readonly machines?: MachineFacts;
}

/** What a placement says about the machines behind it. */
export interface MachineFacts {
  /** @default - unknown */
  readonly instanceTypes?: readonly string[];
  /** Most GPUs that they can have together. @default - nobody knows */
  readonly maxGpus?: number;
  /** Pods that one GPU is offered to. @default 1 */
  readonly sharesPerGpu?: number;
  /** Memory of one share. @default - the GPU's, divided by the shares */
  readonly gpuMemoryMiB?: number;
}
