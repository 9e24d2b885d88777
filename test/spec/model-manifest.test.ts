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

const described: ModelManifest = {
  ...manifest,
  labels: { probabilities: ['cat', 'dog'] },
  preprocessing: {
    image: {
      kind: 'image',
      width: 224,
      height: 224,
      resize: 'crop',
      shorterSide: 256,
      channels: 'rgb',
      layout: 'NCHW',
      scale: 1 / 255,
      mean: [0.485, 0.456, 0.406],
      deviation: [0.229, 0.224, 0.225],
    },
  },
  evaluation: {
    model: [{ path: 'model.onnx', sha256: 'a'.repeat(64) }],
    dataset: { name: 'rows', sha256: 'd'.repeat(64), rows: 10 },
    task: 'classification',
    metrics: { accuracy: 0.9 },
    gates: [{ metric: 'accuracy', bound: 'min', limit: 0.8, value: 0.9, passed: true }],
    passed: true,
    evaluatedAt: '2026-01-02T03:04:05Z',
    tools: { slipway: '0.1.0' },
  },
  provenance: { source: [{ path: 'net.pt', sha256: 'e'.repeat(64) }], steps: [] },
  licence: 'Apache-2.0',
};

describe('what a manifest says beyond digests', () => {
  const refused = (change: (copy: any) => void): string => {
    const copy = structuredClone(described);
    change(copy);
    try {
      parseManifest(JSON.stringify(copy), 'manifest.json');
    } catch (error) {
      return (error as Error).message;
    }
    return 'accepted';
  };

  test('survives being written and read', () => {
    expect(parseManifest(serializeManifest(described), 'manifest.json')).toEqual(described);
  });

  test.each<[string, (copy: any) => void, string]>([
    [
      'labels of no output',
      (m) => (m.labels = { image: ['a'] }),
      'labels.image must be named like an output of the model',
    ],
    [
      'labels in a file that is not here',
      (m) => (m.labels.probabilities = { file: 'l.txt' }),
      'labels.probabilities must be',
    ],
    [
      'preprocessing of another size',
      (m) => (m.preprocessing.image.width = 225),
      'preprocessing.image must be such that',
    ],
    [
      'a shorter side that is too short',
      (m) => (m.preprocessing.image.shorterSide = 200),
      'shorterSide must be left out, or with crop',
    ],
    [
      'four means',
      (m) => m.preprocessing.image.mean.push(0),
      'preprocessing.image.mean must be a list of one or three numbers',
    ],
    ['a number that is none', (m) => (m.preprocessing.image.scale = 'half'), 'preprocessing.image.scale'],
    ['an input that nothing makes', (m) => (m.preprocessing = {}), 'none for image'],
    [
      'preprocessing of what every object has',
      (m) => (m.preprocessing = JSON.parse('{"__proto__": {}}')),
      'named like an input',
    ],
    [
      'an evaluation of other bytes',
      (m) => (m.evaluation.model[0].sha256 = 'f'.repeat(64)),
      'evaluation.model must be of the files',
    ],
    [
      'an evaluation of no model',
      (m) => (m.evaluation.model[0] = { path: 'golden/input-0.bin', sha256: 'b'.repeat(64) }),
      'of model.onnx too',
    ],
    [
      'a gate that contradicts itself',
      (m) => (m.evaluation.gates[0].value = 0.7),
      'gates[0].passed must be false, as its numbers say',
    ],
    ['no rows', (m) => (m.evaluation.dataset.rows = 0), 'evaluation.dataset.rows must be a whole number from 1 up'],
    [
      'a day for a time',
      (m) => (m.evaluation.evaluatedAt = 'yesterday'),
      'evaluation.evaluatedAt must be a time in UTC',
    ],
    ['a history without a source', (m) => (m.provenance.source = []), 'provenance.source must be a list of files'],
    ['a step without a command', (m) => (m.provenance.steps = [{}]), 'provenance.steps[0].command must be a command'],
    ['a licence that is none', (m) => (m.licence = ''), 'licence must be an SPDX licence expression'],
  ])('is refused, by field: %s', (_name, change, message) => {
    expect(refused(change)).toContain(message);
  });
});

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
    ['a path holds what moves a cursor', (m) => (m.files[0].path = 'model\u001b[2J.onnx'), 'files[0].path'],
    ['a path is longer than any', (m) => (m.files[0].path = 'a/'.repeat(513) + 'a'), 'files[0].path'],
    [
      'a file is listed twice',
      (m) => m.files.push({ ...m.files[0], sha256: 'd'.repeat(64) }),
      'files[3].path must be a path that is listed once, got "model.onnx"',
    ],
    [
      'a file lies where another one needs a folder',
      (m) => m.files.push({ ...m.files[0], path: 'model.onnx/weights.bin' }),
      "files must be without a file where 'model.onnx/weights.bin' needs a folder",
    ],
    [
      'it lists itself',
      (m) => (m.files[0].path = 'manifest.json'),
      'files[0].path must be of another file than the manifest',
    ],
    [
      'it is of a later form',
      (m) => (m.schema = 'slipway.dev/model-manifest/v2'),
      'was written by a later Slipway, as "slipway.dev/model-manifest/v2"; this one reads \'slipway.dev/model-manifest/v1\'',
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
      "golden.outputs[0].tolerance must be of kind 'elementwise' with absolute and relative from 0 up, 'top1' or 'exact'",
    ],
    [
      'a tolerance is below nothing',
      (m) => (m.golden.outputs[0].tolerance = { kind: 'elementwise', absolute: -1, relative: 0 }),
      "golden.outputs[0].tolerance must be of kind 'elementwise' with absolute and relative from 0 up, 'top1' or 'exact'",
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
