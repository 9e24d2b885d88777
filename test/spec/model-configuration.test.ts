import { describe, expect, test } from 'vitest';
import { checkConfiguration, writeModelConfigurationJson } from '../../runtime/spec/model-configuration';
import type { TensorSignature } from '../../runtime/spec/model-facts';
import { expectRefused, read } from './configuration-refusal';

const RESNET = `
# A configuration as people write it.
name: "resnet"
backend: "onnxruntime"
max_batch_size: 8
input [
  {
    name: "input"   # trailing
    data_type: TYPE_FP32
    format: FORMAT_NCHW
    dims: [ 3, 224, 224 ]
  }
]
output { name: "out" 'put' data_type: TYPE_FP32; dims: 1000, label_filename: "labels.txt" }
version_policy: { specific: { versions: 1 versions: 3 } }
instance_group [ { count: 2 kind: KIND_GPU gpus: [ 0, 1 ] } ]
dynamic_batching {
  preferred_batch_size: [ 8, 4 ]
  max_queue_delay_microseconds: 100
  priority_levels: 2
  default_priority_level: 2
  default_queue_policy < timeout_action: DELAY max_queue_size: 0x10 >
  priority_queue_policy { key: 1 value: { default_timeout_microseconds: 5000 allow_timeout_override: true } }
}
parameters { key: "intra_op_thread_count" value { string_value: "2" } }
parameters: { key: "cudnn_conv_algo_search" value: { string_value: "1" } }
parameters { key: "threshold" value { string_value: "0.5" } }
optimization { graph { level: 1 } execution_accelerators {
  gpu_execution_accelerator: [ { name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } } ] } }
model_warmup { name: "zeros" batch_size: 2 inputs { key: "input" value {
  data_type: TYPE_FP32 dims: [ 3, 224, 224 ] zero_data: true } } }
response_cache { enable: true }
version_labels { key: "stable" value: 1 }
version_labels { key: "canary" value: 3 }
weights { key: "stable" value: 95 }
weights { key: "canary" value: 5 }
allowed_batch_sizes: [ 1, 8, 4 ]
hooks: "hooks.mjs"
`;

const GRAPH = {
  inputs: [{ name: 'input', datatype: 'FP32', shape: ['batch', 3, 'height', 'width'] }],
  outputs: [{ name: 'output', datatype: 'FP32', shape: ['batch', 1000] }],
} as const satisfies { inputs: TensorSignature[]; outputs: TensorSignature[] };

describe('reading', () => {
  test('every field of a config.pbtxt arrives under its own name', () => {
    const configuration = read(RESNET);
    expect(configuration).toMatchObject({
      name: 'resnet',
      platform: 'onnxruntime_onnx',
      maxBatchSize: 8,
      inputs: [{ name: 'input', datatype: 'FP32', dims: [3, 224, 224], format: 'FORMAT_NCHW' }],
      outputs: [{ name: 'output', datatype: 'FP32', dims: [1000], labelFilename: 'labels.txt' }],
      versionPolicy: { kind: 'specific', versions: [1, 3] },
      instanceGroups: [{ kind: 'KIND_GPU', count: 2, gpus: [0, 1] }],
      dynamicBatching: {
        preferredBatchSizes: [4, 8],
        maxQueueDelayMicroseconds: 100,
        preserveOrdering: false,
        priorityLevels: 2,
        defaultPriorityLevel: 2,
        defaultQueuePolicy: { timeoutAction: 'DELAY', maxQueueSize: 16, defaultTimeoutMicroseconds: 0 },
      },
      sessionParameters: { intraOpThreadCount: 2, cudnnConvAlgoSearch: 'HEURISTIC' },
      optimization: { graphLevel: 'extended', gpuAccelerators: [{ name: 'tensorrt' }] },
      responseCache: true,
      allowedBatchSizes: [1, 4, 8],
      hooks: 'hooks.mjs',
    });
    expect(configuration.dynamicBatching?.priorityQueuePolicies.get(1)).toMatchObject({
      defaultTimeoutMicroseconds: 5000,
      allowTimeoutOverride: true,
      timeoutAction: 'REJECT',
    });
    expect([...configuration.versionLabels]).toEqual([
      ['stable', 1],
      ['canary', 3],
    ]);
    expect([...configuration.weights]).toEqual([
      ['stable', 95],
      ['canary', 5],
    ]);
    expect(configuration.parameters.get('threshold')).toBe('0.5');
    expect(configuration.warmup[0]?.inputs.get('input')).toEqual({
      datatype: 'FP32',
      dims: [3, 224, 224],
      data: { kind: 'zero' },
    });
    expect(Object.isFrozen(configuration)).toBe(true);
    expect(() => Object.assign(configuration.inputs[0]!, { name: 'other' })).toThrow(TypeError);
  });

  test('the JSON form means the same as the text form, 64-bit integers as numbers or as strings', () => {
    const json = {
      name: 'm',
      max_batch_size: 4,
      input: [{ name: 'x', data_type: 'TYPE_INT64', dims: ['-1', 3] }],
      dynamic_batching: { max_queue_delay_microseconds: '250', priority_levels: 1, default_priority_level: '1' },
      priorityless: null,
      parameters: { a: { string_value: 'b' } },
      version_policy: { latest: { num_versions: 2 } },
    };
    const text = `name: "m" max_batch_size: 4 input { name: "x" data_type: TYPE_INT64 dims: [-1, 3] }
      dynamic_batching { max_queue_delay_microseconds: 250 priority_levels: 1 default_priority_level: 1 }
      parameters { key: "a" value { string_value: "b" } } version_policy { latest { num_versions: 2 } }`;
    expect(read(JSON.stringify(json))).toEqual(read(text));
    expect(read('{"maxBatchSize": 4}').maxBatchSize).toBe(4);
  });

  test('strings keep their escapes, and bytes that are written out must be UTF-8', () => {
    const value = (written: string): string | undefined =>
      read(`parameters { key: "k" value { string_value: ${written} } }`).parameters.get('k');
    expect(value(String.raw`"a\n\t\"\'\\\303\274\xc3\xbc\u00fc\U0001F600"`)).toBe('a\n\t"\'\\üüü😀');
    expect(value(`'it''s' "both"`)).toBe('itsboth');
    expect(value('"# no comment"')).toBe('# no comment');
    expectRefused(
      String.raw`name: "\xff"`,
      'MODEL_CONFIGURATION_SYNTAX',
      'config.pbtxt:1: a string must be UTF-8, and the escapes of this one are not',
    );
    expectRefused(
      String.raw`name: "\q"`,
      'MODEL_CONFIGURATION_SYNTAX',
      String.raw`config.pbtxt:1: '\q' is no escape sequence`,
    );
  });

  test('an empty file is a configuration that leaves everything to the graph', () => {
    expect(read('')).toMatchObject({ name: undefined, maxBatchSize: undefined, inputs: [], notes: [] });
    expect(read('# nothing\n{}'.slice(10))).toMatchObject({ maxBatchSize: undefined });
  });

  test('a field that changes nothing here is accepted and said to', () => {
    const { notes, metricTags } = read(
      'metric_tags { key: "team" value: "a" }\ninstance_group { rate_limiter { priority: 2 } }',
    );
    expect(metricTags.get('team')).toBe('a');
    expect(notes).toEqual([
      'metric_tags (line 1) is without effect: the labels of metrics are a closed set',
      'instance_group[0].rate_limiter (line 2) is without effect: all models share the machine in turn',
    ]);
  });

  test('names that objects have by birth are names like any other', () => {
    const text = '__proto__ { } parameters { key: "constructor" value { string_value: "x" } }';
    expectRefused(text, 'MODEL_CONFIGURATION_UNSUPPORTED', /config\.pbtxt:1: __proto__ is no field/);
    const parameters = read(text.slice(14)).parameters;
    expect([...parameters]).toEqual([['constructor', 'x']]);
    expectRefused('{"__proto__": {"a": 1}}', 'MODEL_CONFIGURATION_UNSUPPORTED', /__proto__ is no field/);
    expect(read('{"parameters": {"__proto__": {"string_value": "x"}}}').parameters.get('__proto__')).toBe('x');
  });
});

describe('against the graph', () => {
  test('dims of the configuration narrow free dimensions of the graph', () => {
    expect(checkConfiguration(read(RESNET), GRAPH)).toEqual({
      inputs: [{ name: 'input', datatype: 'FP32', shape: ['batch', 3, 224, 224] }],
      outputs: [{ name: 'output', datatype: 'FP32', shape: ['batch', 1000] }],
      takesRows: true,
    });
  });

  test('a reshape shows clients the dims and the model its own', () => {
    const scalars = {
      inputs: [{ name: 'x', datatype: 'FP32' as const, shape: ['n'] }],
      outputs: [{ name: 'y', datatype: 'FP32' as const, shape: ['n'] }],
    };
    const text = 'max_batch_size: 4 input { name: "x" dims: [ 1 ] reshape: { shape: [ ] } }';
    expect(checkConfiguration(read(text), scalars).inputs).toEqual([{ name: 'x', datatype: 'FP32', shape: ['n', 1] }]);
    expect(checkConfiguration(read(text), scalars).outputs).toEqual(scalars.outputs);
  });

  test('without max_batch_size the rank of the dims tells whether they leave the batch dimension out', () => {
    const whole = read('input { name: "input" dims: [ -1, 3, 32, 32 ] }');
    const rows = read('input { name: "input" dims: [ 3, 32, 32 ] }');
    expect(checkConfiguration(whole, GRAPH)).toMatchObject({
      inputs: [{ shape: ['batch', 3, 32, 32] }],
      takesRows: undefined,
    });
    expect(checkConfiguration(rows, GRAPH)).toEqual(checkConfiguration(whole, GRAPH));
    expect(checkConfiguration(read('max_batch_size: 0'), GRAPH).takesRows).toBe(false);
  });

  test.each([
    ['input { name: "image" }', "input 'image': the model has no such input, it has 'input'"],
    ['output { name: "label" }', "output 'label': the model has no such output, it has 'output'"],
    [
      'input { name: "input" data_type: TYPE_UINT8 }',
      "input 'input': data_type is TYPE_UINT8, the model has TYPE_FP32",
    ],
    [
      'max_batch_size: 8 input { name: "input" dims: [ 1, 224, 224 ] }',
      "input 'input': dims are [1, 224, 224], the model has [3, -1, -1] behind the batch dimension, which max_batch_size above 0 leaves out",
    ],
    [
      'max_batch_size: 8 output { name: "output" dims: [ -1, 1000 ] }',
      "output 'output': dims are [-1, 1000], the model has [1000] behind the batch dimension, which max_batch_size above 0 leaves out",
    ],
    [
      'max_batch_size: 0 output { name: "output" dims: [ 1000 ] }',
      "output 'output': dims are [1000], the model has [-1, 1000]",
    ],
    [
      'max_batch_size: 8 model_warmup { name: "w" inputs { key: "x" value { data_type: TYPE_FP32 dims: 1 zero_data: true } } }',
      "model_warmup 'w': the model has no input 'x'",
    ],
    ['max_batch_size: 8 model_warmup { name: "w" }', "model_warmup 'w': input 'input' is missing"],
  ])('%s does not fit', (text, message) => {
    expect(() => checkConfiguration(read(text), GRAPH)).toThrow(
      `MODEL_CONFIGURATION_MISMATCH config.pbtxt: ${message}`,
    );
  });

  test('max_batch_size for a graph whose first dimension is fixed names the tensor', () => {
    const fixed = { ...GRAPH, outputs: [{ name: 'output', datatype: 'FP32' as const, shape: [1, 1000] }] };
    expect(() => checkConfiguration(read('max_batch_size: 8'), fixed)).toThrow(
      "max_batch_size: must be 0, got 8: 'output' has the fixed first dimension 1, so requests cannot be joined; export the model with a free first dimension",
    );
    expect(checkConfiguration(read('max_batch_size: 0'), fixed).takesRows).toBe(false);
  });
});

describe('showing', () => {
  const served = { name: 'resnet', ...GRAPH, maxBatchSize: 32, executors: 2, executionProvider: 'cpu' } as const;

  test('a model without a configuration file shows what its graph says', () => {
    expect(writeModelConfigurationJson(undefined, served)).toMatchObject({
      name: 'resnet',
      platform: 'onnxruntime_onnx',
      backend: 'onnxruntime',
      version_policy: { latest: { num_versions: 1 } },
      max_batch_size: 32,
      input: [{ name: 'input', data_type: 'TYPE_FP32', dims: [3, -1, -1] }],
      output: [{ name: 'output', data_type: 'TYPE_FP32', dims: [1000] }],
      dynamic_batching: { max_queue_delay_microseconds: 0 },
      instance_group: [{ name: 'resnet_0', kind: 'KIND_CPU', count: 2, gpus: [] }],
      default_model_filename: 'model.onnx',
    });
  });

  test('a model that takes no rows shows its whole shapes and no batching', () => {
    const json = writeModelConfigurationJson(undefined, { ...served, maxBatchSize: 0 });
    expect(json).toMatchObject({ max_batch_size: 0, input: [{ dims: [-1, 3, -1, -1] }] });
    expect(json).not.toHaveProperty('dynamic_batching');
  });

  test('what is shown reads back as the same configuration', () => {
    const configuration = read(RESNET);
    const { inputs, outputs } = checkConfiguration(configuration, GRAPH);
    const facts = { ...served, inputs, outputs, maxBatchSize: 8 };
    const json = JSON.stringify(writeModelConfigurationJson(configuration, facts));
    const back = read(json);
    expect({ ...back, parameters: undefined, instanceGroups: undefined }).toEqual({
      ...configuration,
      parameters: undefined,
      instanceGroups: undefined,
      defaultModelFilename: 'model.onnx',
      // Ours are shown as parameters, which no client refuses.
      versionLabels: new Map(),
      weights: new Map(),
      allowedBatchSizes: [],
      hooks: undefined,
    });
    expect(back.parameters.get('slipway.version_labels')).toBe('stable=1,canary=3');
    expect(back.parameters.get('slipway.weights')).toBe('stable=95,canary=5');
    expect(back.parameters.get('slipway.allowed_batch_sizes')).toBe('1,4,8');
  });
});
