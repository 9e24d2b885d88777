import { SpecError } from '../errors';
import { readDynamicBatching } from './read-dynamic-batching';
import { readEnsemble } from './read-ensemble';
import { MessageReader } from './message-reader';
import type { InstanceGroup, ModelConfiguration, VersionPolicy } from './model-configuration';
import { LIMITS } from './limits';
import { readJsonForm } from './read-json-form';
import { readOptimization } from './read-optimization';
import { readSessionParameters } from './read-session-parameters';
import { readInput, readOutput } from './read-tensors';
import { readTextFormat } from './read-text-format';
import { readWarmup } from './read-warmup';

const LABEL = /^[a-zA-Z0-9_]{1,64}$/;
const HOOKS_FILE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.mjs$/;

/**
 * Reads a model configuration in Triton's text form (`config.pbtxt`) or in its JSON form, which is told by its opening
 * brace. A field that is unknown here, or that this server cannot honour, is an error that names it.
 * @param file What errors call the text: `config.pbtxt`.
 * @throws SpecError MODEL_CONFIGURATION_SYNTAX, MODEL_CONFIGURATION_UNSUPPORTED or MODEL_CONFIGURATION_INVALID, with the
 * line where the text has lines.
 */
export function readModelConfiguration(text: string, file: string): ModelConfiguration {
  if (text.length > LIMITS.configurationCharacters) {
    const message = `must have at most ${LIMITS.configurationCharacters} characters, got ${text.length}`;
    throw new SpecError('MODEL_CONFIGURATION_INVALID', file, message);
  }
  const message = /^\s*\{/.test(text) ? readJsonForm(text, file) : readTextFormat(text, file);
  const notes: string[] = [];
  const reader = new MessageReader(message, '', { file, notes });
  refuseUnsupported(reader);
  const platform = readPlatform(reader);
  const parameters = reader.map('parameters', (entry) =>
    entry.child('value', (value) => value.finish({ text: value.string('string_value') ?? '' })),
  );
  const written = new Map([...parameters].map(([key, value]) => [key, value?.text ?? '']));
  const versionLabels = readVersionLabels(reader);
  const configuration: ModelConfiguration = {
    name: reader.text('name'),
    platform,
    defaultModelFilename: reader.relativePath('default_model_filename'),
    maxBatchSize: reader.integer('max_batch_size', 0, LIMITS.rows),
    inputs: reader.children('input', readInput),
    outputs: reader.children('output', readOutput),
    versionPolicy: reader.child('version_policy', readVersionPolicy),
    versionLabels,
    weights: readWeights(reader, versionLabels),
    allowedBatchSizes: readSizes(reader, 'allowed_batch_sizes'),
    dynamicBatching: reader.child('dynamic_batching', readDynamicBatching),
    instanceGroups: reader.children('instance_group', readInstanceGroup),
    optimization: readOptimization(reader),
    parameters: written,
    sessionParameters: readSessionParameters(reader, written),
    warmup: readWarmup(reader),
    responseCache: reader.child('response_cache', (cache) => cache.finish({ enable: cache.boolean('enable') ?? false }))
      ?.enable,
    metricTags: reader.strings('metric_tags'),
    ensemble: readEnsemble(reader),
    hooks: readHooks(reader),
    notes,
  };
  checkWhole(configuration, reader);
  return reader.finish(configuration);
}

function refuseUnsupported(reader: MessageReader): void {
  reader.refuse('sequence_batching', 'is not supported: keep the state in the client and send it as an input');
  reader.child('model_transaction_policy', (policy) => {
    policy.refuse('decoupled', 'is not supported: a model must give one answer to each request');
    return policy.finish({});
  });
  reader.refuse(
    'model_repository_agents',
    'is not supported: every file is checked against the manifest that `slipway model publish` writes',
  );
  reader.refuse('batch_input', 'is not supported: make the tensor an input of the model');
  reader.refuse('batch_output', 'is not supported: every output is cut by rows');
  reader.refuse('model_operations', 'is not supported: libraries of custom operators are not loaded');
  reader.refuse('cc_model_filenames', 'is not supported: name one file in default_model_filename');
  reader.refuse('runtime', 'is not supported: the server brings its own onnxruntime');
  reader.withoutEffect('metric_tags', 'the labels of metrics are a closed set');
  reader.withoutEffect('model_metrics', 'the buckets of histograms are the same for all models');
}

function readPlatform(reader: MessageReader): ModelConfiguration['platform'] {
  const platform = reader.text('platform');
  const backend = reader.text('backend');
  const advice = 'is not supported: this server runs onnxruntime; export the model to ONNX';
  if (platform !== undefined && platform !== 'onnxruntime_onnx' && platform !== 'ensemble') {
    throw reader.unsupported('platform', `'${platform.slice(0, 60)}' ${advice}`);
  }
  if (backend === undefined) return platform;
  if (backend !== 'onnxruntime') throw reader.unsupported('backend', `'${backend.slice(0, 60)}' ${advice}`);
  if (platform === 'ensemble') throw reader.invalid('backend', `must not be given: an ensemble has none`);
  return 'onnxruntime_onnx';
}

function readVersionPolicy(reader: MessageReader): VersionPolicy {
  const given = ['latest', 'all', 'specific'].filter((choice) => reader.has(choice));
  if (given.length !== 1) {
    const got = given.length === 0 ? 'none' : given.join(' and ');
    throw reader.invalid(given[1] ?? 'latest', `or 'all' or 'specific' must be given, exactly one of them; got ${got}`);
  }
  const latest = reader.child('latest', (policy) =>
    policy.finish({ count: policy.integer('num_versions', 0, LIMITS.versions) ?? 1 }),
  );
  reader.child('all', (policy) => policy.finish({}));
  const specific = reader.child('specific', (policy) => {
    const versions = policy.integers('versions', 1, Number.MAX_SAFE_INTEGER);
    if (versions.length === 0) throw policy.invalid('versions', 'must name at least one version');
    return policy.finish({ versions });
  });
  if (specific !== undefined) return reader.finish({ kind: 'specific', versions: specific.versions });
  if (latest === undefined) return reader.finish({ kind: 'all' });
  // Zero is how protocol buffers write "not given", and the default is one.
  return reader.finish({ kind: 'latest', count: Math.max(1, latest.count) });
}

function readVersionLabels(reader: MessageReader): ReadonlyMap<string, number> {
  return reader.map('version_labels', (entry, label) => {
    if (!LABEL.test(label)) {
      throw reader.invalid(
        'version_labels',
        `must have labels of 1 to 64 letters, digits and '_', got '${label.slice(0, 80)}'`,
      );
    }
    const version = entry.integer('value', 1, Number.MAX_SAFE_INTEGER);
    if (version === undefined) throw reader.invalid('version_labels', `gives label '${label}' no version`);
    return version;
  });
}

function readWeights(reader: MessageReader, labels: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const weights = reader.map('weights', (entry, label) => {
    if (!labels.has(label)) {
      throw reader.invalid('weights', `names '${label.slice(0, 80)}', which is no label of version_labels`);
    }
    return entry.integer('value', 0, 100) ?? 0;
  });
  const sum = [...weights.values()].reduce((total, weight) => total + weight, 0);
  if (weights.size > 0 && sum !== 100) throw reader.invalid('weights', `must sum to 100, got ${sum}`);
  return weights;
}

function readInstanceGroup(reader: MessageReader): InstanceGroup {
  const kind = reader.choice('kind', { KIND_AUTO: 0, KIND_GPU: 1, KIND_CPU: 2, KIND_MODEL: 3 }) ?? 'KIND_AUTO';
  const gpus = reader.integers('gpus', 0, LIMITS.gpus);
  if (gpus.length > 0 && (kind === 'KIND_CPU' || kind === 'KIND_MODEL')) {
    throw reader.invalid('gpus', `must not be given with ${kind}`);
  }
  reader.refuse('secondary_devices', 'is not supported: executors run on a CPU or a GPU');
  reader.refuse('profile', 'is not supported: profiles belong to TensorRT plans');
  reader.refuse('passive', 'is not supported: every executor takes requests');
  reader.refuse('host_policy', 'is not supported: executors are not bound to a node of the machine');
  reader.withoutEffect('rate_limiter', 'all models share the machine in turn');
  return reader.finish({
    name: reader.text('name'),
    kind,
    count: reader.integer('count', 1, LIMITS.executors) ?? 1,
    gpus,
  });
}

function readSizes(reader: MessageReader, name: string): readonly number[] {
  return Object.freeze([...new Set(reader.integers(name, 1, LIMITS.rows))].sort((a, b) => a - b));
}

function readHooks(reader: MessageReader): string | undefined {
  const file = reader.text('hooks');
  if (file === undefined || HOOKS_FILE.test(file)) return file;
  throw reader.invalid(
    'hooks',
    `must name an ES module beside the model, such as 'hooks.mjs', got '${file.slice(0, 80)}'`,
  );
}

/** What must hold between fields. */
function checkWhole(configuration: ModelConfiguration, reader: MessageReader): void {
  const { maxBatchSize, allowedBatchSizes, dynamicBatching, ensemble, platform, inputs, outputs } = configuration;
  for (const [side, tensors] of [
    ['input', inputs],
    ['output', outputs],
  ] as const) {
    const names = tensors.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw reader.invalid(side, `names '${twice}' twice`);
  }
  const largest = allowedBatchSizes.at(-1);
  if (largest !== undefined && maxBatchSize !== undefined && largest !== maxBatchSize) {
    throw reader.invalid('allowed_batch_sizes', `must end with max_batch_size (${maxBatchSize}), got ${largest}`);
  }
  const preferred = dynamicBatching?.preferredBatchSizes.at(-1) ?? 0;
  const most = maxBatchSize ?? largest ?? LIMITS.rows;
  if (preferred > most) {
    throw reader.invalid(
      'dynamic_batching',
      `must have preferred_batch_size up to max_batch_size (${most}), got ${preferred}`,
    );
  }
  const sample = configuration.warmup.find(({ batchSize }) => batchSize > Math.max(1, most));
  if (sample !== undefined) {
    throw reader.invalid(
      'model_warmup',
      `'${sample.name}' has batch_size ${sample.batchSize}, more than max_batch_size (${most})`,
    );
  }
  checkEnsemble(platform, ensemble, configuration, reader);
}

function checkEnsemble(
  platform: ModelConfiguration['platform'],
  ensemble: ModelConfiguration['ensemble'],
  configuration: ModelConfiguration,
  reader: MessageReader,
): void {
  if (ensemble === undefined) {
    if (platform === 'ensemble') throw reader.invalid('platform', "'ensemble' needs ensemble_scheduling");
    return;
  }
  if (platform !== 'ensemble') throw reader.invalid('ensemble_scheduling', "needs platform: 'ensemble'");
  for (const field of ['dynamic_batching', 'allowed_batch_sizes', 'instance_group', 'model_warmup', 'hooks']) {
    reader.refuse(field, "does not belong to an ensemble: write it into the configuration of a step's model");
  }
  for (const [side, tensors] of [
    ['input', configuration.inputs],
    ['output', configuration.outputs],
  ] as const) {
    if (tensors.length === 0) throw reader.invalid(side, 'must be given: an ensemble has no graph to read it from');
    const incomplete = tensors.find(({ datatype, dims }) => datatype === undefined || dims === undefined);
    if (incomplete !== undefined) {
      throw reader.invalid(
        side,
        `'${incomplete.name}' needs data_type and dims: an ensemble has no graph to read them from`,
      );
    }
  }
}
