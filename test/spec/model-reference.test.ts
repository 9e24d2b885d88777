import fc from 'fast-check';
import { isRelativePath, parseModelReferences, parseVersionFolder, SpecError, versionPrefix } from 'slipway';
import { describe, expect, test } from 'vitest';

const file = { path: 'model.onnx', uri: 's3://b/m/1/model.onnx', bytes: 3, sha256: 'a'.repeat(64) };

test('a list of references is read as it was written', () => {
  const list = [
    { name: 'a', version: 1, files: [file], maxBatchSize: 8 },
    { name: 'b', version: 2, folder: 's3://models/b/2/' },
  ];
  expect(parseModelReferences(JSON.stringify(list))).toEqual(list);
});

describe('a list of references is refused when', () => {
  test.each<[string, unknown, string]>([
    ['it is empty', [], 'SLIPWAY_MODELS: must be a list of at least one model'],
    ['an entry is nothing', [null], 'SLIPWAY_MODELS[0]: must be an object, got null'],
    [
      'an entry names neither files nor a folder',
      [{ name: 'a', version: 1 }],
      "SLIPWAY_MODELS[0]: needs either 'files' or 'folder'",
    ],
    [
      'an entry names both',
      [{ name: 'a', version: 1, folder: 's3://x/', files: [file] }],
      "needs either 'files' or 'folder'",
    ],
    ['a folder has no end', [{ name: 'a', version: 1, folder: 's3://x' }], "folder must be a URI that ends in '/'"],
    [
      'a file leaves its folder',
      [{ name: 'a', version: 1, files: [{ ...file, path: '../x' }] }],
      'files must be a list of',
    ],
    [
      'a version is listed twice',
      [
        { name: 'a', version: 1, folder: 's3://x/' },
        { name: 'a', version: 1, folder: 's3://y/' },
      ],
      "model 'a' version 1 is listed twice",
    ],
    [
      'a batch size is zero',
      [{ name: 'a', version: 1, folder: 's3://x/', maxBatchSize: 0 }],
      'maxBatchSize must be a whole number from 1 up, got 0',
    ],
  ])('%s', (_name, list, message) => {
    expect(() => parseModelReferences(JSON.stringify(list))).toThrow(message);
  });

  test('it is not JSON', () => {
    expect(() => parseModelReferences('[{')).toThrow('MODEL_REFERENCE_INVALID SLIPWAY_MODELS: must be JSON');
  });
});

test('whatever the text, reading references gives references or a SpecError', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.array(fc.object()).map((list) => JSON.stringify(list)),
      ),
      (text) => {
        try {
          parseModelReferences(text);
        } catch (error) {
          expect(SpecError.is(error)).toBe(true);
        }
      },
    ),
  );
});

test('a path that a manifest names never leaves its folder', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('..', '.', '', 'a', 'b.onnx', '\\', '..\\x')).map((parts) => parts.join('/')),
      (path) => {
        if (isRelativePath(path)) expect(new URL(path, 'file:///models/m/1/').pathname).toBe(`/models/m/1/${path}`);
      },
    ),
  );
});

test('a version folder is a positive whole number in its plain form', () => {
  expect(['1', '12', '012', '0', '-1', '1.5', 'v1', '1e3', '99999999999999999999'].map(parseVersionFolder)).toEqual([
    1,
    12,
    ...Array<undefined>(7).fill(undefined),
  ]);
  expect(versionPrefix('resnet50', 3)).toBe('resnet50/3/');
});
