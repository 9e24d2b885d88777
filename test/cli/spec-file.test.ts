import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readServiceFile } from '../../runtime/cli/spec-file';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { MANIFEST_SCHEMA, serializeManifest } from '../../runtime/spec';

const DIGITS = path.join(__dirname, '../../models/digits/model.onnx');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-spec-'));
  const { facts, files } = readOnnxModel(DIGITS);
  const manifest = {
    schema: MANIFEST_SCHEMA,
    name: 'digits',
    version: 3,
    facts,
    files: files.map(({ path: name, bytes, sha256 }) => ({ path: name, bytes, sha256 })),
  } as const;
  writeFileSync(path.join(folder, 'manifest.json'), serializeManifest(manifest));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('a model in a spec file', () => {
  test('is known completely from its manifest, whose own digest is part of it', () => {
    const { spec } = readServiceFile(write('service.yaml', 'name: digits\nmodels:\n  - manifest: manifest.json\n'));
    const model = spec.models[0]!;
    expect([model.name, model.version]).toEqual(['digits', 3]);
    expect(model.facts).toEqual(readOnnxModel(DIGITS).facts);
    const manifest = readFileSync(path.join(folder, 'manifest.json'));
    expect(model.files!.find((file) => file.path === 'manifest.json')).toEqual({
      path: 'manifest.json',
      bytes: manifest.byteLength,
      sha256: createHash('sha256').update(manifest).digest('hex'),
    });
  });

  test('is known from its ONNX file, its name and version from where the file lies', () => {
    const { spec } = readServiceFile(
      write('service.json', JSON.stringify({ name: 'digits', models: [{ file: DIGITS }] })),
    );
    expect(spec.models[0]).toMatchObject({ name: 'digits', version: 1, facts: readOnnxModel(DIGITS).facts });
  });

  test('may be only named when nothing is known of it', () => {
    const { spec } = readServiceFile(
      write('named.yaml', 'name: x\nmodels: [{ name: resnet, version: 7, maxBatchSize: 4 }]'),
    );
    expect(spec.models).toEqual([{ name: 'resnet', version: 7, maxBatchSize: 4 }]);
  });
});

describe('a spec file that cannot be used says what it holds and what would work', () => {
  test.each([
    ['name: x\nmodels: []\nminReplica: 2\n', 'minReplica is not a known field, the nearest one is minReplicas'],
    [
      'name: x\nmodels:\n  - { naem: digits, version: 1 }\n',
      'models[0].naem is not a known field, the nearest one is models[0].name',
    ],
    ['name: x\nmodels: []\nminReplicas: two\n', 'minReplicas must be a number, got "two"'],
    ['name: x\nmodels: []\npreset: prod\n', `preset must be 'production' or 'development', got "prod"`],
    ['name: x\nmodels: []\ninstanceTypes: g6.xlarge\n', 'instanceTypes must be a list of strings, got "g6.xlarge"'],
    ['name: x\nmodels: []\nspareReplica: 1\n', 'spareReplica must be true or false, got 1'],
    ['name: x\n', 'models is missing'],
    ['models: []\n', 'name is missing'],
    ['- 1\n', 'must be an object with name and models, got [1]'],
    ['name: x\nmodels:\n  - { version: 1 }\n', 'models[0] must have manifest, file, or name and version'],
    ['name: x\nmodels:\n  - { manifest: a, file: b }\n', 'models[0] has both manifest and file'],
    [
      'name: x\nmodels:\n  - { manifest: manifest.json, version: 4 }\n',
      'models[0].version is 4, the manifest is of digits version 3',
    ],
    ['name: x\nmodels:\n  - { manifest: nowhere.json }\n', 'nowhere.json: does not exist'],
    ['name: x\nmodels:\n  - { file: nowhere.onnx }\n', 'nowhere.onnx: does not exist'],
    ['name: x\nname: y\nmodels: []\n', 'name is there twice, the second time at line 2; keep one of them'],
    ['name: x\n"a b": 1\n"a b": 2\nmodels: []\n', 'a b is there twice, the second time at line 3'],
    ['name: [x\n', 'at line'],
    ['name: x\nmodels: []\nreplica: 2\n', 'the nearest ones are minReplicas, maxReplicas, spareReplica'],
    ['name: x\nmodels:\n\t- file: a\n', 'has a tab at line 3; YAML is indented with spaces'],
    ['', 'is empty; a service has at least name and models'],
    ['# nothing yet\n', 'is empty; a service has at least name and models'],
    ['name: x\n---\nname: y\n', 'must be one service, got several documents'],
    ['a: &a [x]\nb: *nowhere\n', 'nowhere'],
  ])('%j is refused', (text, message) => {
    const file = write('broken.yaml', text);
    expect(() => readServiceFile(file)).toThrow(message);
  });

  test('a file that is not there is named', () => {
    expect(() => readServiceFile('nowhere.yaml')).toThrow('nowhere.yaml: does not exist');
  });

  test.each(['{ // why\n "name": "x" }', '{\n "name": "x", // why\n}', '{ /* why */ "name": "x" }'])(
    'JSON has no comments: %j',
    (text) => {
      const line = text.startsWith('{\n') ? 2 : 1;
      expect(() => readServiceFile(write('service.json', text))).toThrow(
        `JSON has no comments, got one at line ${line}; `,
      );
    },
  );

  test('an address in JSON is no comment', () => {
    const text = '{ "name": "x", "$schema": "https://example.com/*.json", "models": "none" }';
    expect(() => readServiceFile(write('service.json', text))).toThrow('models must be a list of objects');
  });

  test('a folder and what is no text are called so', () => {
    expect(() => readServiceFile(folder)).toThrow(`${folder}: is a folder; name the spec file in it`);
    const file = path.join(folder, 'utf16.yaml');
    writeFileSync(file, Buffer.from([0xff, 0xfe, 0x6e, 0x00]));
    expect(() => readServiceFile(file)).toThrow('is no text in UTF-8; save it as such');
  });
});
