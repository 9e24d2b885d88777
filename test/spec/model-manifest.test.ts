import fc from 'fast-check';
import { MANIFEST_SCHEMA, parseManifest, serializeManifest, SpecError, type ModelManifest } from 'slipway';
import { describe, expect, test } from 'vitest';
import { CLASSIFIER_FACTS } from '../support/specs';

const manifest: ModelManifest = {
  schema: MANIFEST_SCHEMA,
  name: 'resnet50',
  version: 3,
  files: [
    { path: 'model.onnx', bytes: 10, sha256: 'a'.repeat(64) },
    { path: 'golden/input-0.bin', bytes: 4, sha256: 'b'.repeat(64) },
    { path: 'golden/output-0.bin', bytes: 4, sha256: 'c'.repeat(64) },
  ],
  facts: CLASSIFIER_FACTS,
  golden: {
    inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 1], path: 'golden/input-0.bin' }],
    outputs: [
      {
        name: 'probabilities',
        datatype: 'FP32',
        shape: [1, 1],
        path: 'golden/output-0.bin',
        tolerance: { kind: 'elementwise', absolute: 1e-4, relative: 1e-3 },
      },
    ],
  },
};

const refusal = (change: (copy: any) => void): string => {
  const copy = structuredClone(manifest);
  change(copy);
  try {
    parseManifest(JSON.stringify(copy), 'manifest.json');
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
};

test('a manifest survives being written and read', () => {
  expect(parseManifest(serializeManifest(manifest), 'manifest.json')).toEqual(manifest);
});

describe('a manifest is refused, by field, when', () => {
  test.each<[string, (copy: any) => void, string]>([
    ['it is of another kind', (m) => (m.schema = 'v2'), 'schema must be \'slipway.dev/model-manifest/v1\', got "v2"'],
    [
      'a file leaves the folder',
      (m) => (m.files[0].path = '../secret'),
      'files[0].path must be a relative path without ..',
    ],
    ['a file is absolute', (m) => (m.files[0].path = '/etc/passwd'), 'files[0].path'],
    [
      'a digest is not one',
      (m) => (m.files[1].sha256 = 'ABC'),
      'files[1].sha256 must be 64 lower-case hexadecimal digits',
    ],
    ['a size is negative', (m) => (m.files[1].bytes = -1), 'files[1].bytes'],
    ['it has no facts', (m) => delete m.facts, 'facts must be an object, got nothing'],
    ['a datatype is unknown', (m) => (m.facts.inputs[0].datatype = 'BF16'), 'facts.inputs[0].datatype'],
    ['a shape is no list', (m) => (m.facts.outputs[0].shape = 3), 'facts.outputs[0].shape'],
    [
      'the golden input is not listed',
      (m) => (m.golden.inputs[0].path = 'other.bin'),
      'golden.inputs[0].path must be one of the listed files',
    ],
    [
      'a tolerance is unknown',
      (m) => (m.golden.outputs[0].tolerance = { kind: 'close' }),
      "golden.outputs[0].tolerance must be of kind 'elementwise', 'top1' or 'exact'",
    ],
    [
      'executors are more than a server starts',
      (m) => (m.facts.executors = { all: 65, perGpu: 65, onCpu: 0, needGpu: false }),
      'facts.executors must be whole numbers all (1 to 64), perGpu and onCpu, and needGpu',
    ],
    ['executors are a word', (m) => (m.facts.executors = 'many'), 'facts.executors must be'],
    ['the version is a word', (m) => (m.version = 'three'), 'version must be a number'],
  ])('%s', (_name, change, message) => {
    expect(refusal(change)).toContain(message);
  });
});

test('whatever the bytes, reading a manifest gives a manifest or a SpecError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      try {
        parseManifest(text, 'manifest.json');
      } catch (error) {
        expect(SpecError.is(error)).toBe(true);
      }
    }),
  );
});
