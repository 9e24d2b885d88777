import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readModelConfiguration, writeModelConfigurationJson } from '../../runtime/spec/model-configuration';
import { isDatatype, type Datatype } from '../../runtime/spec/datatypes';
import { toolOnPath } from '../support/tools';
import { writePbtxt } from './write-pbtxt';

// A configuration is generated in Triton's JSON form, written as text by a writer of its own, and must read back.

const name = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9_]{0,12}$/),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
);
const dims = fc.array(fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 4096 })), { minLength: 1, maxLength: 4 });
const dataType = fc.constantFrom('TYPE_FP32', 'TYPE_STRING', 'TYPE_BOOL', 'TYPE_UINT64', 'TYPE_INT8', 'TYPE_FP16');
const texts = (key = name) =>
  fc.uniqueArray(fc.tuple(key, fc.string({ unit: 'binary', maxLength: 12 })), { selector: ([k]) => k, maxLength: 3 });
const microseconds = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

const queuePolicy = fc.record({
  timeout_action: fc.constantFrom('REJECT', 'DELAY'),
  default_timeout_microseconds: microseconds,
  allow_timeout_override: fc.boolean(),
  max_queue_size: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

const configurations = fc
  .record({
    name,
    maxBatchSize: fc.integer({ min: 1, max: 64 }),
    inputs: fc.uniqueArray(fc.record({ name, data_type: dataType, dims }), {
      selector: (t) => t.name,
      minLength: 1,
      maxLength: 3,
    }),
    outputs: fc.uniqueArray(fc.record({ name, data_type: dataType, dims }), {
      selector: (t) => t.name,
      minLength: 1,
      maxLength: 3,
    }),
    versions: fc.array(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), { minLength: 1, maxLength: 3 }),
    preferred: fc.uniqueArray(fc.integer({ min: 1, max: 64 }), { maxLength: 3 }),
    delay: microseconds,
    ordering: fc.boolean(),
    defaultPolicy: queuePolicy,
    policies: fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 5 }), queuePolicy), {
      selector: ([level]) => level,
      maxLength: 2,
    }),
    groups: fc.array(
      fc.record({
        name,
        kind: fc.constantFrom('KIND_AUTO', 'KIND_GPU'),
        count: fc.integer({ min: 1, max: 8 }),
        gpus: fc.array(fc.nat(7), { maxLength: 2 }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    level: fc.constantFrom(undefined, -1, 1, 2),
    warmups: fc.array(fc.record({ name, count: fc.integer({ min: 1, max: 9 }), random: fc.boolean() }), {
      maxLength: 2,
    }),
    cached: fc.boolean(),
    tags: texts(),
    parameters: texts(fc.stringMatching(/^[a-z]{1,3}$/)),
  })
  .map((given) => ({
    given,
    json: {
      name: given.name,
      platform: 'onnxruntime_onnx',
      backend: 'onnxruntime',
      version_policy: { specific: { versions: given.versions } },
      max_batch_size: given.maxBatchSize,
      input: given.inputs.map((input) => ({
        name: input.name,
        data_type: input.data_type,
        format: 'FORMAT_NONE',
        dims: input.dims,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        optional: false,
      })),
      output: given.outputs.map((output) => ({ ...output, label_filename: 'labels.txt', is_shape_tensor: false })),
      optimization: given.level === undefined ? {} : { graph: { level: given.level } },
      dynamic_batching: {
        preferred_batch_size: given.preferred.filter((size) => size <= given.maxBatchSize).sort((a, b) => a - b),
        max_queue_delay_microseconds: given.delay,
        preserve_ordering: given.ordering,
        priority_levels: 5,
        default_priority_level: 2,
        default_queue_policy: given.defaultPolicy,
        priority_queue_policy: Object.fromEntries(given.policies),
      },
      instance_group: given.groups,
      default_model_filename: 'net.onnx',
      model_warmup: given.warmups.map(({ name: sample, count, random }) => ({
        name: sample,
        batch_size: 1,
        count,
        inputs: {
          [given.inputs[0]!.name]: {
            data_type: 'TYPE_FP32',
            dims: [3],
            ...(random ? { random_data: true } : { zero_data: true }),
          },
        },
      })),
      response_cache: { enable: given.cached },
      metric_tags: Object.fromEntries(given.tags),
      parameters: Object.fromEntries(given.parameters.map(([key, text]) => [key, { string_value: text }])),
    },
  }));

type Given = typeof configurations extends fc.Arbitrary<infer T> ? T : never;

test('a random configuration reads back the same from text, from JSON, and from what the server shows', () => {
  fc.assert(
    fc.property(configurations, fc.infiniteStream(fc.nat(99)), ({ given, json }, styles) => {
      const text = writePbtxt(json, () => styles.next().value ?? 0);
      const configuration = readModelConfiguration(text, 'config.pbtxt');
      // Notes tell lines, which JSON has none of.
      const fromJson = readModelConfiguration(JSON.stringify(json), 'config.json');
      expect({ ...fromJson, notes: [] }).toEqual({ ...configuration, notes: [] });
      expect(writeModelConfigurationJson(configuration, servedAs(given))).toEqual(json);
    }),
    { numRuns: 300 },
  );
});

test('no text makes the reader throw anything but a named error', () => {
  const mark = fc.constantFrom('{', '}', '[', ']', '<', '>', ':', ',', ';', '-', '"', "'", '#', '\n', ' ', '\\', '0x');
  const word = fc.constantFrom('input', 'dims', 'parameters', 'key', 'value', 'max_batch_size', '1', '-1', 'TYPE_FP32');
  fc.assert(
    fc.property(fc.array(fc.oneof(mark, word, fc.string({ maxLength: 3 })), { maxLength: 30 }), (parts) => {
      try {
        readModelConfiguration(parts.join(''), 'config.pbtxt');
      } catch (error) {
        expect((error as Error).message).toMatch(/^MODEL_CONFIGURATION_(SYNTAX|UNSUPPORTED|INVALID) config\.pbtxt/);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("Google's own text format writes what this reader reads, and accepts what the server shows", (ctx) => {
  const python = toolOnPath('python3');
  if (python === undefined || !hasTritonClient(python))
    return ctx.skip('no python3 with tritonclient[grpc] on the PATH');
  const samples = fc.sample(configurations, { numRuns: 100, seed: 7 });
  const input = JSON.stringify(samples.map(({ json }) => json));
  const printed = JSON.parse(
    execFileSync(python, ['-c', REFEREE], { input, maxBuffer: 2 ** 28 }).toString(),
  ) as Printed[];
  expect(printed).toHaveLength(samples.length);
  for (const [i, { text, json }] of printed.entries()) {
    const { given, json: sample } = samples[i]!;
    const configuration = readModelConfiguration(text, 'config.pbtxt');
    expect(writeModelConfigurationJson(configuration, servedAs(given))).toEqual(sample);
    const fromJson = readModelConfiguration(json, 'config.json');
    expect({ ...fromJson, notes: [] }).toEqual({ ...configuration, notes: [] });
  }
});

interface Printed {
  readonly text: string;
  readonly json: string;
}

/** Parses each configuration with Triton's own message, which refuses unknown fields, and prints it both ways. */
const REFEREE = `
import json, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig
out = []
for sample in json.load(sys.stdin):
    message = json_format.ParseDict(sample, ModelConfig())
    out.append({
        'text': text_format.MessageToString(message),
        'json': json_format.MessageToJson(message, preserving_proto_field_name=True),
    })
json.dump(out, sys.stdout)
`;

function hasTritonClient(python: string): boolean {
  try {
    execFileSync(python, ['-c', 'import tritonclient.grpc.model_config_pb2'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The facts under which the server shows exactly what was written. */
function servedAs(given: Given['given']): Parameters<typeof writeModelConfigurationJson>[1] {
  const tensor = (t: { name: string; data_type: string; dims: readonly number[] }) => ({
    name: t.name,
    datatype: datatypeOf(t.data_type),
    shape: ['batch', ...t.dims],
  });
  return {
    name: given.name,
    inputs: given.inputs.map(tensor),
    outputs: given.outputs.map(tensor),
    maxBatchSize: given.maxBatchSize,
    executors: 1,
    executionProvider: 'cpu',
  };
}

function datatypeOf(type: string): Datatype {
  const datatype = type === 'TYPE_STRING' ? 'BYTES' : type.slice(5);
  if (isDatatype(datatype)) return datatype;
  throw new Error(`no datatype ${type}`);
}
