import type { Datatype } from '../datatypes';

/**
 * What a `config.pbtxt` says about a model: the part of Triton's model configuration that this server honours, and a few
 * fields of its own. Frozen. What the file leaves out is undefined or empty; the model's graph fills it in.
 */
export interface ModelConfiguration {
  /** The folder's name in the model repository; a configuration that names another one is refused where it is read. */
  readonly name: string | undefined;
  readonly platform: 'onnxruntime_onnx' | 'ensemble' | undefined;
  /** The file of a version folder that holds the model. @default model.onnx */
  readonly defaultModelFilename: string | undefined;
  /** Most rows of one run. 0 means that dimension 0 is no number of rows. @default - as the graph and a test run allow */
  readonly maxBatchSize: number | undefined;
  readonly inputs: readonly ConfiguredInput[];
  readonly outputs: readonly ConfiguredOutput[];
  /** @default - the server's */
  readonly versionPolicy: VersionPolicy | undefined;
  /** Ours: a name for a version, such as `stable` and `canary`. */
  readonly versionLabels: ReadonlyMap<string, number>;
  /** Ours: how many of 100 requests that name no version go to each label; empty, or they sum to 100. */
  readonly weights: ReadonlyMap<string, number>;
  /** Ours: the only numbers of rows that run, in ascending order; a smaller batch is padded. Empty: every number. */
  readonly allowedBatchSizes: readonly number[];
  readonly dynamicBatching: DynamicBatching | undefined;
  readonly instanceGroups: readonly InstanceGroup[];
  readonly optimization: Optimization;
  /** As written. Those that onnxruntime understands are in `sessionParameters` as well. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly sessionParameters: SessionParameters;
  readonly warmup: readonly WarmupSample[];
  /** @default - the server's */
  readonly responseCache: boolean | undefined;
  readonly metricTags: ReadonlyMap<string, string>;
  readonly ensemble: EnsembleScheduling | undefined;
  /** Ours: the file of a version folder that prepares inputs or outputs (docs/hooks.md). */
  readonly hooks: string | undefined;
  /** Fields that were accepted and change nothing, one sentence each. */
  readonly notes: readonly string[];
}

export interface ConfiguredTensor {
  readonly name: string;
  /** @default - the graph's */
  readonly datatype: Datatype | undefined;
  /** What a client sends or gets, without the batch dimension; -1 is free. @default - the graph's */
  readonly dims: readonly number[] | undefined;
  /** What the model has instead of `dims`, such as none at all for a scalar. */
  readonly reshape: readonly number[] | undefined;
}

export interface ConfiguredInput extends ConfiguredTensor {
  readonly format: InputFormat;
}

export type InputFormat = 'FORMAT_NONE' | 'FORMAT_NHWC' | 'FORMAT_NCHW';

export interface ConfiguredOutput extends ConfiguredTensor {
  /** A file of the model's folder with the name of one class per line. */
  readonly labelFilename: string | undefined;
}

export type VersionPolicy =
  | { readonly kind: 'latest'; readonly count: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'specific'; readonly versions: readonly number[] };

export interface DynamicBatching {
  /** Ascending. A batch of one of these sizes does not wait for more rows. */
  readonly preferredBatchSizes: readonly number[];
  /** How long a batch that has no preferred size waits for more rows. @default 0 */
  readonly maxQueueDelayMicroseconds: number;
  readonly preserveOrdering: boolean;
  /** Levels run from 1, the highest, to this. 0: no priorities. */
  readonly priorityLevels: number;
  /** Of a request that names none; 0 without priorities. */
  readonly defaultPriorityLevel: number;
  readonly defaultQueuePolicy: QueuePolicy;
  readonly priorityQueuePolicies: ReadonlyMap<number, QueuePolicy>;
}

export interface QueuePolicy {
  readonly timeoutAction: 'REJECT' | 'DELAY';
  /** 0: requests have no queue timeout of their own. */
  readonly defaultTimeoutMicroseconds: number;
  /** Whether a request may ask for a shorter one. */
  readonly allowTimeoutOverride: boolean;
  /** In requests. 0: the server's bound alone. */
  readonly maxQueueSize: number;
}

export interface InstanceGroup {
  readonly name: string | undefined;
  readonly kind: InstanceKind;
  /** Executors; with `gpus`, for each of them. */
  readonly count: number;
  readonly gpus: readonly number[];
}

export type InstanceKind = 'KIND_AUTO' | 'KIND_GPU' | 'KIND_CPU' | 'KIND_MODEL';

export interface Optimization {
  /** What onnxruntime may change in the graph. @default all */
  readonly graphLevel: 'all' | 'basic' | 'extended' | 'disabled';
  readonly cudaGraphs: boolean;
  readonly gpuAccelerators: readonly Accelerator[];
}

export interface Accelerator {
  readonly name: 'tensorrt' | 'cuda';
  /** Options of the execution provider, as written. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** What `parameters` say to onnxruntime, under the names of Triton's onnxruntime backend. */
export interface SessionParameters {
  readonly intraOpThreadCount?: number;
  readonly interOpThreadCount?: number;
  /** ONNX Runtime's session entry of that name: weights are used as they lie in the file. @default - the server's */
  readonly disablePrepacking?: boolean;
  readonly executionMode?: 'sequential' | 'parallel';
  readonly enableMemArena?: boolean;
  readonly enableMemPattern?: boolean;
  /** The device list of `memory.enable_memory_arena_shrinkage`, such as `gpu:0`. */
  readonly arenaShrinkage?: string;
  readonly cudnnConvAlgoSearch?: 'EXHAUSTIVE' | 'HEURISTIC' | 'DEFAULT';
  readonly gpuMemoryLimitBytes?: number;
  readonly arenaExtendStrategy?: 'kNextPowerOfTwo' | 'kSameAsRequested';
  readonly doCopyInDefaultStream?: boolean;
}

export interface WarmupSample {
  readonly name: string;
  readonly batchSize: number;
  /** How often the sample is run. */
  readonly count: number;
  readonly inputs: ReadonlyMap<string, WarmupInput>;
}

export interface WarmupInput {
  readonly datatype: Datatype;
  /** Without the batch dimension. */
  readonly dims: readonly number[];
  /** A file is looked for in the folder `warmup` of the model's folder. */
  readonly data: { readonly kind: 'zero' | 'random' } | { readonly kind: 'file'; readonly file: string };
}

export interface EnsembleScheduling {
  readonly steps: readonly EnsembleStep[];
}

export interface EnsembleStep {
  readonly modelName: string;
  /** Undefined: the version that a request without one gets. */
  readonly modelVersion: number | undefined;
  /** From an input of the model to a tensor of the ensemble. */
  readonly inputMap: ReadonlyMap<string, string>;
  /** From an output of the model to a tensor of the ensemble. */
  readonly outputMap: ReadonlyMap<string, string>;
}
