import { describe, test } from 'vitest';
import { expectRefused } from './configuration-refusal';

describe('refusing', () => {
  test.each([
    [
      'preferred_size',
      'dynamic_batching {\n preferred_batch_sise: 4 }',
      2,
      "dynamic_batching.preferred_batch_sise is no field of dynamic_batching that this server knows; did you mean 'preferred_batch_size'?",
    ],
    [
      'sequence',
      'sequence_batching { }',
      1,
      'sequence_batching is not supported: keep the state in the client and send it as an input',
    ],
    [
      'decoupled',
      '\nmodel_transaction_policy { decoupled: true }',
      2,
      'model_transaction_policy.decoupled is not supported: a model must give one answer to each request',
    ],
    [
      'agents',
      'model_repository_agents { agents { name: "checksum" } }',
      1,
      'model_repository_agents is not supported: every file is checked against the manifest that `slipway model publish` writes',
    ],
    [
      'backend',
      'backend: "python"',
      1,
      "backend 'python' is not supported: this server runs onnxruntime; export the model to ONNX",
    ],
    [
      'platform',
      'platform: "tensorrt_plan"',
      1,
      "platform 'tensorrt_plan' is not supported: this server runs onnxruntime; export the model to ONNX",
    ],
    [
      'BF16',
      'input { name: "x" data_type: TYPE_BF16 dims: 1 }',
      1,
      'input[0].data_type TYPE_BF16 cannot be carried by the runtime: cast it inside the model',
    ],
    [
      'ragged',
      'input { name: "x" allow_ragged_batch: true }',
      1,
      'input[0].allow_ragged_batch is not supported: requests of one shape are joined, others run on their own',
    ],
    [
      'openvino',
      'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }',
      1,
      'optimization.execution_accelerators.cpu_execution_accelerator is not supported: onnxruntime runs on its own CPU provider',
    ],
  ])('%s is not supported, and the error names the field and its line', (_, text, line, message) => {
    expectRefused(text, 'MODEL_CONFIGURATION_UNSUPPORTED', `config.pbtxt:${line}: ${message}`);
  });

  test.each([
    ['a negative size', 'max_batch_size: -1', 'max_batch_size must be a whole number from 0 to 65536, got -1'],
    ['a fraction', 'max_batch_size: 1.5', 'max_batch_size must be a whole number from 0 to 65536, got 1.5'],
    [
      'a number beyond 2^53',
      'version_policy { specific { versions: 9007199254740993 } }',
      'version_policy.specific.versions must be a whole number from 1 up, got 9007199254740993',
    ],
    ['a field given twice', 'max_batch_size: 1\nmax_batch_size: 2', 'max_batch_size must be given once, not as a list'],
    ['text for a number', 'max_batch_size: "8"', "max_batch_size must be a whole number from 0 to 65536, got '8'"],
    ['a word for a string', 'name: resnet', 'name must be a string in quotes, got resnet'],
    ['a message for a number', 'max_batch_size { }', 'max_batch_size must be a single value, got a message'],
    ['a number for a message', 'dynamic_batching: 3', 'dynamic_batching must be a message in braces, got 3'],
    [
      'an unknown enum',
      'instance_group { kind: KIND_TPU }',
      'instance_group[0].kind must be KIND_AUTO, KIND_GPU, KIND_CPU, KIND_MODEL, got KIND_TPU',
    ],
    [
      'two policies',
      'version_policy { all { } latest { } }',
      "version_policy.all or 'all' or 'specific' must be given, exactly one of them; got latest and all",
    ],
    [
      'a preferred size above the largest',
      'max_batch_size: 4 dynamic_batching { preferred_batch_size: 8 }',
      'dynamic_batching must have preferred_batch_size up to max_batch_size (4), got 8',
    ],
    [
      'allowed sizes that end elsewhere',
      'max_batch_size: 8 allowed_batch_sizes: [1, 4]',
      'allowed_batch_sizes must end with max_batch_size (8), got 4',
    ],
    [
      'a default priority without levels',
      'dynamic_batching { default_priority_level: 1 }',
      'dynamic_batching.default_priority_level needs priority_levels, got 1',
    ],
    [
      'levels without a default',
      'dynamic_batching { priority_levels: 2 }',
      'dynamic_batching.default_priority_level must be from 1 to priority_levels (2), got 0',
    ],
    [
      'a policy for no level',
      'dynamic_batching { priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 3 value { } } }',
      "dynamic_batching.priority_queue_policy must have keys from 1 to 2, got '3'",
    ],
    [
      'a label with a dash',
      'version_labels { key: "blue-green" value: 1 }',
      "version_labels must have labels of 1 to 64 letters, digits and '_', got 'blue-green'",
    ],
    ['a label without a version', 'version_labels { key: "stable" }', "version_labels gives label 'stable' no version"],
    [
      'weights short of 100',
      'version_labels { key: "a" value: 1 } weights { key: "a" value: 99 }',
      'weights must sum to 100, got 99',
    ],
    [
      'a weight of no label',
      'weights { key: "a" value: 100 }',
      "weights names 'a', which is no label of version_labels",
    ],
    ['a map key twice', 'parameters { key: "a" } parameters { key: "a" }', "parameters names 'a' twice"],
    [
      'a dimension of 0',
      'input { name: "x" dims: [ 0 ] }',
      'input[0].dims must be -1 or at least 1 each; write a scalar as dims: [ 1 ] with reshape: { shape: [ ] }',
    ],
    [
      'a reshape to another size',
      'input { name: "x" dims: [ 4, -1 ] reshape { shape: [ 2, -1 ] } }',
      'input[0].reshape must hold as many elements as dims: [2, -1] does not match [4, -1]',
    ],
    ['an input named twice', 'input { name: "x" } input { name: "x" }', "input names 'x' twice"],
    ['an input without a name', 'input { dims: 1 }', 'input[0].name must be given'],
    [
      'labels outside the folder',
      'output { name: "y" label_filename: "../labels.txt" }',
      "output[0].label_filename must be a relative path without '..', got '../labels.txt'",
    ],
    [
      'hooks outside the folder',
      'hooks: "../hooks.mjs"',
      "hooks must name an ES module beside the model, such as 'hooks.mjs', got '../hooks.mjs'",
    ],
    [
      'a parameter out of range',
      'parameters { key: "execution_mode" value { string_value: "2" } }',
      "parameters ['execution_mode'] must be 0 (sequential) or 1 (parallel), got '2'",
    ],
    [
      'GPUs for the CPU',
      'instance_group { kind: KIND_CPU gpus: 0 }',
      'instance_group[0].gpus must not be given with KIND_CPU',
    ],
    [
      'a warm-up larger than a batch',
      'max_batch_size: 2 model_warmup { name: "w" batch_size: 3 }',
      "model_warmup 'w' has batch_size 3, more than max_batch_size (2)",
    ],
    [
      'a warm-up without data',
      'model_warmup { inputs { key: "x" value { data_type: TYPE_FP32 dims: 1 } } }',
      "model_warmup[0].inputs['x'].value.zero_data or 'random_data' or 'input_data_file' must be given, exactly one of them",
    ],
    ['an ensemble without steps', 'platform: "ensemble"', "platform 'ensemble' needs ensemble_scheduling"],
    [
      'steps without an ensemble',
      'ensemble_scheduling { step { model_name: "a" } }',
      "ensemble_scheduling needs platform: 'ensemble'",
    ],
  ])('%s', (_, text, message) => {
    expectRefused(
      text,
      'MODEL_CONFIGURATION_INVALID',
      new RegExp(`^MODEL_CONFIGURATION_INVALID config\\.pbtxt(:\\d+)?: ${escapeRegExp(message)}$`),
    );
  });

  test.each([
    ['name "m"', "config.pbtxt:1: expected ':' or '{' after 'name', got 'm'"],
    ['name: "m', 'config.pbtxt:1: the string that begins here has no closing "'],
    ['input {', 'config.pbtxt:1: expected a field name, got the end of the file'],
    ['a\n}\n', "config.pbtxt:2: expected ':' or '{' after 'a', got '}'"],
    ['dims: [ 1, 2', "config.pbtxt:1: expected ',' or ']', got the end of the file"],
    ['dims [ 1 ]', "config.pbtxt:1: expected ':' after 'dims': only messages do without"],
    ['max_batch_size: 8x', "config.pbtxt:1: '8x' is no number"],
    ['[triton]: 1', "config.pbtxt:1: expected a field name, got '['"],
    ['name: -"a"', "config.pbtxt:1: expected a number after '-', got 'a'"],
    ['@', "config.pbtxt:1: unexpected character '@'"],
    ['a{'.repeat(33), 'config.pbtxt:1: nests deeper than 32 messages'],
  ])('%j is no text format, and the error has the line', (text, message) => {
    expectRefused(text, 'MODEL_CONFIGURATION_SYNTAX', message);
  });

  test('what is no JSON object is refused without its text', () => {
    expectRefused(
      '{"name": }',
      'MODEL_CONFIGURATION_SYNTAX',
      /^MODEL_CONFIGURATION_SYNTAX config\.pbtxt: is no JSON: /,
    );
    expectRefused('{"input": {"name": "x"}}', 'MODEL_CONFIGURATION_INVALID', 'config.pbtxt: input must be a list');
    expectRefused(
      '{"max_batch_size": [1]}',
      'MODEL_CONFIGURATION_INVALID',
      'config.pbtxt: max_batch_size must be given once, not as a list',
    );
  });

  test('a file of a megabyte is refused before it is read', () => {
    expectRefused(
      '#'.repeat(1_048_577),
      'MODEL_CONFIGURATION_INVALID',
      'config.pbtxt: must have at most 1048576 characters, got 1048577',
    );
  });
});

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
