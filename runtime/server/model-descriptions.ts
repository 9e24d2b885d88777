import { version as serverVersion } from '../../package.json';
import type { ServerSettings } from '../spec/environment';
import { writeModelConfigurationJson, type ModelConfigurationJson } from '../spec/model-configuration';
import type { TensorSignature } from '../spec/model-facts';
import { findingProperties } from './model-findings';
import type { StatisticDuration } from './model-statistics';
import { parseVersionPolicy } from './repository/version-policy';
import type { Servable } from './servable';
import type { ServedModels } from './served-models';

// What a client can ask about the server and its models, as the JSON of the Open Inference Protocol and of Triton's
// extensions. Their gRPC messages have the same fields by the same names.

/** Extensions of the protocol that are honoured, by Triton's names for them. */
const EXTENSIONS = [
  'binary_tensor_data',
  'classification',
  'model_configuration',
  'model_repository',
  'parameters',
  'schedule_policy',
  'statistics',
] as const;

export const SERVER_METADATA = { name: 'slipway', version: serverVersion, extensions: EXTENSIONS } as const;

/** @throws ServerError MODEL_NOT_READY for a model that was never opened. */
export function describeModel(model: Servable, versions: readonly Pick<Servable, 'version'>[]): object {
  const { inputs, outputs } = model.target ?? model.assertReady().target;
  return {
    name: model.name,
    versions: versions.map(({ version }) => String(version)),
    platform: model.configuration?.ensemble === undefined ? 'onnx_onnxv1' : 'ensemble',
    inputs: inputs.map(describeTensor),
    outputs: outputs.map(describeTensor),
    properties: {
      ...dimensionProperties([...inputs, ...outputs]),
      ...findingProperties(model.findings ?? []),
      ...model.evidence,
    },
  };
}

/** What the model calls its free dimensions, which are -1 in shapes: `batch,3,height,width`. */
function dimensionProperties(tensors: readonly TensorSignature[]): Readonly<Record<string, string>> {
  const named = tensors.filter(({ shape }) => shape.some((size) => typeof size === 'string' && size !== ''));
  return Object.fromEntries(
    named.map(({ name, shape }) => [
      `slipway.dimensions.${name}`,
      shape.map((size) => (size === '' ? '-1' : String(size))).join(','),
    ]),
  );
}

function describeTensor({ name, datatype, shape }: TensorSignature): object {
  return { name, datatype, shape: shape.map((size) => (typeof size === 'string' ? -1 : size)) };
}

/** @throws ServerError MODEL_NOT_READY for a model that was never opened. */
export function describeConfiguration(
  model: Servable,
  {
    executors,
    executionProvider,
    versionPolicy,
  }: Pick<ServerSettings, 'executors' | 'executionProvider' | 'versionPolicy'>,
): ModelConfigurationJson {
  const { inputs, outputs, maxRows } = model.target ?? model.assertReady().target;
  return writeModelConfigurationJson(model.configuration, {
    name: model.name,
    inputs,
    outputs,
    maxBatchSize: maxRows ?? 0,
    executors,
    executionProvider,
    versionPolicy: parseVersionPolicy(versionPolicy),
  });
}

/** One element of `model_stats`. Laying a batch out and handing its rows back is part of `compute_infer` here. */
export function describeStatistics({ name, version, statistics }: Servable): object {
  const nothing = { count: 0, ns: 0 };
  return {
    name,
    version: String(version),
    last_inference: Math.round(statistics.lastInferenceMs),
    inference_count: statistics.rows,
    execution_count: statistics.executions,
    inference_stats: {
      success: describeDuration(statistics.success),
      fail: describeDuration(statistics.fail),
      queue: describeDuration(statistics.queue),
      compute_input: nothing,
      compute_infer: describeDuration(statistics.run),
      compute_output: nothing,
      cache_hit: describeDuration(statistics.cacheHit),
      cache_miss: describeDuration(statistics.cacheMiss),
    },
    batch_stats: statistics.batches.map(({ rows, run }) => ({
      batch_size: rows,
      compute_input: nothing,
      compute_infer: describeDuration(run),
      compute_output: nothing,
    })),
    memory_usage: [],
    response_stats: {},
  };
}

function describeDuration({ count, seconds }: StatisticDuration): object {
  return { count, ns: Math.round(seconds * 1e9) };
}

/** The repository index: every version that is known, or those that are ready. */
export function describeIndex({ index }: Pick<ServedModels, 'index'>, readyOnly: boolean): readonly object[] {
  return index
    .filter(({ state }) => state === 'READY' || !readyOnly)
    .map(({ name, version, state, reason }) => ({ name, version: String(version), state, reason }));
}
