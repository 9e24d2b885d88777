import type { ExecutionProvider } from '../inference-service-spec';
import type { TensorSignature } from '../model-facts';
import type {
  ConfiguredInput,
  ConfiguredOutput,
  ConfiguredTensor,
  DynamicBatching,
  ModelConfiguration,
  QueuePolicy,
  VersionPolicy,
  WarmupSample,
} from './model-configuration';
import { dataTypeName } from './read-tensors';

/** What a server knows about a model that it serves, with or without a configuration file. */
export interface ServedFacts {
  readonly name: string;
  /** As clients send them, batch dimension included. */
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
  /** Most rows of one run; 0 when dimension 0 does not count rows. */
  readonly maxBatchSize: number;
  readonly executors: number;
  readonly executionProvider: ExecutionProvider;
  /** @default - the newest version alone */
  readonly versionPolicy?: VersionPolicy;
}

/** A message of Triton's `model_config.proto` in JSON: its field names, enums by name, 64-bit integers as numbers. */
export type ModelConfigurationJson = Readonly<Record<string, unknown>>;

/**
 * What `GET /v2/models/M/config` and the gRPC call `ModelConfig` answer: the configuration as it is in force, what its
 * file leaves out filled in from the graph. Our own fields are no part of Triton's message, so they are parameters
 * named `slipway.*`, which every client can read.
 */
export function writeModelConfigurationJson(
  configuration: ModelConfiguration | undefined,
  facts: ServedFacts,
): ModelConfigurationJson {
  const isBatched = facts.maxBatchSize > 0;
  const isEnsemble = configuration?.ensemble !== undefined;
  const inputs = facts.inputs.map((tensor) =>
    writeInput(
      tensor,
      configuration?.inputs.find(({ name }) => name === tensor.name),
      isBatched,
    ),
  );
  const outputs = facts.outputs.map((tensor) =>
    writeOutput(
      tensor,
      configuration?.outputs.find(({ name }) => name === tensor.name),
      isBatched,
    ),
  );
  return {
    name: facts.name,
    platform: isEnsemble ? 'ensemble' : 'onnxruntime_onnx',
    backend: isEnsemble ? '' : 'onnxruntime',
    version_policy: writeVersionPolicy(configuration?.versionPolicy ?? facts.versionPolicy),
    max_batch_size: facts.maxBatchSize,
    input: inputs,
    output: outputs,
    ...(isEnsemble
      ? { ensemble_scheduling: { step: configuration.ensemble.steps.map(writeStep) } }
      : {
          optimization: writeOptimization(configuration),
          ...(isBatched ? { dynamic_batching: writeDynamicBatching(configuration?.dynamicBatching) } : {}),
          instance_group: writeInstanceGroups(configuration, facts),
          default_model_filename: configuration?.defaultModelFilename ?? 'model.onnx',
          model_warmup: (configuration?.warmup ?? []).map(writeWarmup),
          response_cache: { enable: configuration?.responseCache ?? false },
        }),
    metric_tags: writeMap(configuration?.metricTags, (text) => text),
    parameters: writeParameters(configuration),
  };
}

function writeInput(tensor: TensorSignature, configured: ConfiguredInput | undefined, isBatched: boolean): object {
  return {
    name: tensor.name,
    data_type: dataTypeName(tensor.datatype),
    format: configured?.format ?? 'FORMAT_NONE',
    ...writeDims(tensor, configured, isBatched),
    is_shape_tensor: false,
    allow_ragged_batch: false,
    optional: false,
  };
}

function writeOutput(tensor: TensorSignature, configured: ConfiguredOutput | undefined, isBatched: boolean): object {
  return {
    name: tensor.name,
    data_type: dataTypeName(tensor.datatype),
    ...writeDims(tensor, configured, isBatched),
    label_filename: configured?.labelFilename ?? '',
    is_shape_tensor: false,
  };
}

function writeDims(tensor: TensorSignature, configured: ConfiguredTensor | undefined, isBatched: boolean): object {
  const { reshape } = configured ?? {};
  const shape = isBatched ? tensor.shape.slice(1) : tensor.shape;
  return {
    dims: shape.map((size) => (typeof size === 'string' ? -1 : size)),
    ...(reshape === undefined ? {} : { reshape: { shape: reshape } }),
  };
}

function writeVersionPolicy(policy: VersionPolicy = { kind: 'latest', count: 1 }): object {
  switch (policy.kind) {
    case 'latest':
      return { latest: { num_versions: policy.count } };
    case 'all':
      return { all: {} };
    case 'specific':
      return { specific: { versions: policy.versions } };
  }
}

function writeDynamicBatching(batching: DynamicBatching | undefined): object {
  const policies = [...(batching?.priorityQueuePolicies ?? [])];
  return {
    preferred_batch_size: batching?.preferredBatchSizes ?? [],
    max_queue_delay_microseconds: batching?.maxQueueDelayMicroseconds ?? 0,
    preserve_ordering: batching?.preserveOrdering ?? false,
    priority_levels: batching?.priorityLevels ?? 0,
    default_priority_level: batching?.defaultPriorityLevel ?? 0,
    ...(batching === undefined ? {} : { default_queue_policy: writeQueuePolicy(batching.defaultQueuePolicy) }),
    priority_queue_policy: Object.fromEntries(
      policies.map(([level, policy]) => [String(level), writeQueuePolicy(policy)]),
    ),
  };
}

function writeQueuePolicy(policy: QueuePolicy): object {
  return {
    timeout_action: policy.timeoutAction,
    default_timeout_microseconds: policy.defaultTimeoutMicroseconds,
    allow_timeout_override: policy.allowTimeoutOverride,
    max_queue_size: policy.maxQueueSize,
  };
}

function writeInstanceGroups(configuration: ModelConfiguration | undefined, facts: ServedFacts): readonly object[] {
  const kind = facts.executionProvider === 'cpu' ? ('KIND_CPU' as const) : ('KIND_GPU' as const);
  const groups = configuration?.instanceGroups ?? [];
  const inForce = groups.length > 0 ? groups : [{ name: undefined, kind, count: facts.executors, gpus: [] }];
  return inForce.map((group, i) => ({
    // Triton's own name for a group that has none.
    name: group.name ?? `${facts.name}_${i}`,
    kind: group.kind,
    count: group.count,
    gpus: group.gpus,
  }));
}

const GRAPH_LEVELS = { basic: -1, all: 0, extended: 1, disabled: 2 } as const;

function writeOptimization(configuration: ModelConfiguration | undefined): object {
  const { graphLevel = 'all', cudaGraphs = false, gpuAccelerators = [] } = configuration?.optimization ?? {};
  return {
    ...(graphLevel === 'all' ? {} : { graph: { level: GRAPH_LEVELS[graphLevel] } }),
    ...(cudaGraphs ? { cuda: { graphs: true } } : {}),
    ...(gpuAccelerators.length === 0
      ? {}
      : {
          execution_accelerators: {
            gpu_execution_accelerator: gpuAccelerators.map(({ name, parameters }) => ({
              name,
              parameters: writeMap(parameters, (text) => text),
            })),
          },
        }),
  };
}

function writeWarmup({ name, batchSize, count, inputs }: WarmupSample): object {
  return {
    name,
    batch_size: batchSize,
    count,
    inputs: writeMap(inputs, ({ datatype, dims, data }) => ({
      data_type: dataTypeName(datatype),
      dims,
      ...(data.kind === 'file' ? { input_data_file: data.file } : { [`${data.kind}_data`]: true }),
    })),
  };
}

function writeStep(step: NonNullable<ModelConfiguration['ensemble']>['steps'][number]): object {
  return {
    model_name: step.modelName,
    model_version: step.modelVersion ?? -1,
    input_map: writeMap(step.inputMap, (text) => text),
    output_map: writeMap(step.outputMap, (text) => text),
  };
}

function writeParameters(configuration: ModelConfiguration | undefined): object {
  if (configuration === undefined) return {};
  const parameters = new Map(configuration.parameters);
  const add = (name: string, text: string): void => {
    if (text !== '') parameters.set(`slipway.${name}`, text);
  };
  const pairs = (map: ReadonlyMap<string, number>): string => [...map].map((pair) => pair.join('=')).join(',');
  add('allowed_batch_sizes', configuration.allowedBatchSizes.join(','));
  add('version_labels', pairs(configuration.versionLabels));
  add('weights', pairs(configuration.weights));
  add('hooks', configuration.hooks ?? '');
  return writeMap(parameters, (text) => ({ string_value: text }));
}

/** Own properties only, whatever the keys are called. */
function writeMap<T>(map: ReadonlyMap<string, T> | undefined, write: (value: T) => unknown): object {
  return Object.fromEntries([...(map ?? [])].map(([key, value]) => [key, write(value)]));
}
