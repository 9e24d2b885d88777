import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directoryModelStore } from '../../runtime/model/directory-model-store';
import type { StoredFile } from '../../runtime/model/model-store';
import { PublishError, type PublishErrorCode } from '../../runtime/model/publish-error';
import { publishModel, type PublishOptions } from '../../runtime/model/publish-model';
import { readManifestFile } from '../../runtime/model/read-manifest-file';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { decodeTensorData } from '../../runtime/onnx/tensor-encoding';
import { parseManifest, SpecError } from '../../runtime/spec';
import {
  buildModel,
  externalDataModel,
  identityModel,
  lookupModel,
  node,
  noisyModel,
  pickyModel,
  twoInputsModel,
  value,
} from '../support/onnx-models';

const DIGITS = 'models/digits/model.onnx';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-publish-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const emptyFolder = () => mkdtempSync(join(folder, 'case-'));

function written(bytes: Uint8Array | string, name = 'model.onnx'): string {
  const path = join(emptyFolder(), name);
  writeFileSync(path, bytes);
  return path;
}

async function refusal(publishing: Promise<unknown>): Promise<PublishError> {
  const error = await publishing.then(
    () => new Error('it was published'),
    (reason: unknown) => reason,
  );
  if (!PublishError.is(error)) throw error;
  return error;
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

describe('a published model version', () => {
  test('holds the model, the golden proof and a manifest that lists every file with its true digest', async () => {
    const repository = emptyFolder();
    const published = await publishModel({ source: DIGITS, name: 'digits', repository });
    expect(published.uri).toBe(`${pathToFileURL(repository).href}/digits/1/`);
    expect(filesBelow(repository)).toEqual([
      'digits/1/golden/input-0.bin',
      'digits/1/golden/output-0.bin',
      'digits/1/manifest.json',
      'digits/1/model.onnx',
    ]);

    const version = fileURLToPath(published.uri);
    const text = readFileSync(join(version, 'manifest.json'));
    expect(createHash('sha256').update(text).digest('hex')).toBe(published.manifestSha256);
    const manifest = parseManifest(text.toString(), 'manifest.json');
    expect(manifest).toEqual(published.manifest);
    expect(manifest).toMatchObject({ name: 'digits', version: 1, facts: readOnnxModel(DIGITS).facts });
    for (const { path, bytes, sha256 } of manifest.files) {
      const content = readFileSync(join(version, path));
      expect(content.byteLength).toBe(bytes);
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
    }
    expect(manifest.files).toHaveLength(3);
  });

  test('carries a golden proof of two rows whose output the model really gives', async () => {
    const { manifest, uri } = await publishModel({ source: DIGITS, name: 'digits', repository: emptyFolder() });
    const [output] = manifest.golden!.outputs;
    expect(manifest.golden!.inputs).toEqual([
      { name: 'image', datatype: 'FP32', shape: [2, 1, 8, 8], path: 'golden/input-0.bin' },
    ]);
    expect(output).toEqual({
      name: 'probabilities',
      datatype: 'FP32',
      shape: [2, 10],
      path: 'golden/output-0.bin',
      tolerance: { kind: 'elementwise', absolute: 1e-3, relative: 1e-2 },
    });
    const bytes = readFileSync(join(fileURLToPath(uri), 'golden/output-0.bin'));
    const probabilities = decodeTensorData('FP32', [2, 10], bytes) as Float32Array;
    for (const row of [0, 1]) {
      const sum = probabilities.subarray(row * 10, row * 10 + 10).reduce((total, p) => total + p, 0);
      expect(sum).toBeCloseTo(1, 5);
    }
  });

  test('is the same, byte for byte, when the same model is published elsewhere', async () => {
    const [one, other] = [emptyFolder(), emptyFolder()];
    const first = await publishModel({ source: DIGITS, name: 'digits', repository: one });
    const second = await publishModel({ source: DIGITS, name: 'digits', repository: other });
    expect(second.manifestSha256).toBe(first.manifestSha256);
  });

  test('keeps external data beside the model, under the name that the model knows', async () => {
    const { model, weights } = externalDataModel({ location: 'data/weights.bin' });
    const source = written(model, 'adder.onnx');
    mkdirSync(join(dirname(source), 'data'));
    writeFileSync(join(dirname(source), 'data/weights.bin'), weights);
    const { manifest, uri } = await publishModel({ source, name: 'adder', repository: emptyFolder() });
    expect(manifest.files.map(({ path }) => path).slice(0, 2)).toEqual(['model.onnx', 'data/weights.bin']);
    expect(readOnnxModel(join(fileURLToPath(uri), 'model.onnx')).facts).toEqual(manifest.facts);
  });

  test('numbers itself after the highest that is there, whatever else lies in the folder', async () => {
    const repository = emptyFolder();
    const publish = (version?: number) =>
      publishModel({
        source: DIGITS,
        name: 'digits',
        repository,
        golden: false,
        ...(version === undefined ? {} : { version }),
      });
    expect((await publish()).manifest.version).toBe(1);
    expect((await publish(7)).manifest.version).toBe(7);
    mkdirSync(join(repository, 'digits', 'notes'));
    mkdirSync(join(repository, 'digits', '0099'));
    expect((await publish()).manifest.version).toBe(8);
    expect((await publish(3)).manifest.version).toBe(3);
  });

  test('is never replaced', async () => {
    const repository = emptyFolder();
    const options: PublishOptions = { source: DIGITS, name: 'digits', repository, version: 1, golden: false };
    const { uri } = await publishModel(options);
    const before = readFileSync(join(fileURLToPath(uri), 'manifest.json'));
    const error = await refusal(publishModel({ ...options, source: written(identityModel()) }));
    expect(error.message).toBe(
      `VERSION_EXISTS ${uri}: is there already, and a version never changes: leave the version out to publish the next one`,
    );
    expect(readFileSync(join(fileURLToPath(uri), 'manifest.json'))).toEqual(before);
  });

  test('can go without a golden proof', async () => {
    const { manifest } = await publishModel({
      source: written(noisyModel()),
      name: 'noise',
      repository: pathToFileURL(emptyFolder()).href,
      golden: false,
    });
    expect(manifest.golden).toBeUndefined();
    expect(manifest.files.map(({ path }) => path)).toEqual(['model.onnx']);
  });

  test('leaves its manifest beside the infrastructure program when asked to', async () => {
    const manifestFile = join(emptyFolder(), 'infra', 'digits.manifest.json');
    const published = await publishModel({
      source: DIGITS,
      name: 'digits',
      repository: emptyFolder(),
      manifestFile,
    });
    const { manifest, sha256, files } = readManifestFile(manifestFile);
    expect(manifest).toEqual(published.manifest);
    expect(sha256).toBe(published.manifestSha256);
    expect(files[0]).toEqual({ path: 'manifest.json', bytes: readFileSync(manifestFile).byteLength, sha256 });
    expect(files.slice(1)).toEqual(manifest.files);
  });
});

describe('publishing to a directory', () => {
  const stored = (path: string, content: Uint8Array): StoredFile => ({
    path,
    bytes: content.byteLength,
    sha256: createHash('sha256').update(content).digest('hex'),
    content,
  });
  const manifest = stored('manifest.json', Buffer.from('{}'));

  test('leaves nothing behind, above all no manifest, when a file changes on the way', async () => {
    const repository = emptyFolder();
    const { path, bytes, sha256 } = stored('weights.bin', Buffer.from('as it was'));
    const changed: StoredFile = { path, bytes, sha256, localPath: written('as it is!') };
    const store = directoryModelStore(repository);
    const error = await refusal(store.write('m', 1, [stored('model.onnx', Buffer.from('model')), changed], manifest));
    expect(error.code).toBe<PublishErrorCode>('FILE_CHANGED');
    expect(readdirSync(join(repository, 'm'))).toEqual([]);
  });

  test('lets exactly one of several publishers have a version', async () => {
    const repository = emptyFolder();
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) =>
        directoryModelStore(repository).write('m', 1, [stored('model.onnx', Buffer.from(`model ${i}`))], manifest),
      ),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(7);
    expect(refused.every(({ reason }) => PublishError.is(reason) && reason.code === 'VERSION_EXISTS')).toBe(true);
    expect(readdirSync(join(repository, 'm'))).toEqual(['1']);
  });

  test('says so when the directory cannot be written', async () => {
    const file = written('a file, no folder');
    const error = await refusal(publishModel({ source: DIGITS, name: 'digits', repository: file, golden: false }));
    expect(error.code).toBe<PublishErrorCode>('REPOSITORY_UNREACHABLE');
    expect(error.message).toContain('ENOTDIR');
  });
});

describe('the golden proof', () => {
  const publish = (source: string, options: Partial<PublishOptions> = {}) =>
    publishModel({ source, name: 'm', repository: emptyFolder(), ...options });
  const request = (inputs: unknown) => written(JSON.stringify({ inputs }), 'golden.json');

  test('asks for an input when a generated one does not run', async () => {
    const source = written(pickyModel());
    const error = await refusal(publish(source));
    expect(error.code).toBe<PublishErrorCode>('GOLDEN_RUN_FAILED');
    expect(error.message).toContain(
      `${source}: does not run on an input made from its signature; give one that works with --golden <file>: `,
    );
  });

  test('is not asked of a model that ONNX Runtime cannot load', async () => {
    const source = written(
      buildModel({ node: [node('NoSuchOperator', ['x'], ['y'])], input: [value('x', 'FP32', [1])] }),
    );
    const error = await refusal(publish(source));
    expect(error.message).toMatch(
      /^MODEL_NOT_LOADED .*model\.onnx: ONNX Runtime 1\.30\.0 cannot load it: .*NoSuchOperator/,
    );
    expect(error.message).not.toContain('\n');
  });

  test('is made from the given input', async () => {
    const goldenFile = request([{ name: 'input', datatype: 'FP32', shape: [21], data: Array(21).fill(0.5) }]);
    const { manifest, uri } = await publish(written(pickyModel()), { goldenFile });
    expect(manifest.golden?.outputs[0]?.shape).toEqual([3, 7]);
    const output = readFileSync(join(fileURLToPath(uri), 'golden/output-0.bin'));
    expect(decodeTensorData('FP32', [21], output)).toEqual(new Float32Array(21).fill(0.5));
  });

  test('names the given file when the model does not run on it', async () => {
    const goldenFile = request([{ name: 'index', datatype: 'INT64', shape: [1], data: [10] }]);
    const error = await refusal(publish(written(lookupModel()), { goldenFile }));
    expect(error.code).toBe<PublishErrorCode>('GOLDEN_RUN_FAILED');
    expect(error.message).toContain(`${goldenFile}: the model does not run on it: `);
    expect(error.message).toContain('idx=10 must be within the inclusive range [-10,9]');
  });

  test('is refused to a model that gives another output the second time', async () => {
    const error = await refusal(publish(written(noisyModel())));
    expect(error.code).toBe<PublishErrorCode>('MODEL_NOT_DETERMINISTIC');
    expect(error.message).toContain("two runs on one input disagree in output 'output' (element 0 is ");
  });

  test('demands equality of everything that is not floating point, and takes the tolerance that the author names', async () => {
    const source = written(twoInputsModel());
    const tolerance = async (options: Partial<PublishOptions>) =>
      (await publish(source, options)).manifest.golden?.outputs.map((output) => output.tolerance.kind);
    expect(await tolerance({})).toEqual(['elementwise', 'exact']);
    expect(await tolerance({ tolerances: { sum: { kind: 'top1' } } })).toEqual(['top1', 'exact']);
    const error = await refusal(publish(source, { tolerances: { total: { kind: 'top1' } } }));
    expect(error.message).toBe(
      "TOLERANCE_INVALID tolerances.total: must be an output of the model (sum, larger), got 'total'",
    );
  });

  test.each([
    'BOOL',
    'UINT8',
    'UINT16',
    'UINT32',
    'UINT64',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP16',
    'FP32',
    'FP64',
    'BYTES',
  ] as const)('of a model that repeats its %s input has equal input and output', async (datatype) => {
    const { uri, manifest } = await publish(written(identityModel({ datatype, shape: ['batch', 2, 'length'] })));
    expect(manifest.golden?.inputs[0]?.shape).toEqual([2, 2, 1]);
    const [input, output] = ['input', 'output'].map((side) =>
      readFileSync(join(fileURLToPath(uri), `golden/${side}-0.bin`)),
    );
    expect(output).toEqual(input);
    expect(input!.byteLength).toBeGreaterThan(0);
  });

  test.each([
    ['not JSON', '{', 'must be JSON: '],
    ['no list of inputs', '{"input": []}', 'must be an object with a list of inputs'],
    ['an unknown input', '{"inputs": [{"name": "x"}]}', "has an input 'x', the model has index"],
    ['no input', '{"inputs": []}', "lacks the input 'index'"],
    [
      'another datatype',
      '{"inputs": [{"name": "index", "datatype": "FP32", "shape": [1], "data": [1]}]}',
      `input 'index' must be INT64, got "FP32"`,
    ],
    [
      'another rank',
      '{"inputs": [{"name": "index", "datatype": "INT64", "shape": [1, 1], "data": [1]}]}',
      "input 'index' must have the shape [batch], got [1,1]",
    ],
    [
      'too few elements',
      '{"inputs": [{"name": "index", "datatype": "INT64", "shape": [2], "data": [1]}]}',
      "input 'index' has wrong data: data of shape [2] must hold 2 elements, got 1",
    ],
  ])('refuses a file with %s', async (_, text, message) => {
    const goldenFile = written(text, 'golden.json');
    const error = await refusal(publish(written(lookupModel()), { goldenFile }));
    expect(error.code).toBe<PublishErrorCode>('GOLDEN_FILE_INVALID');
    expect(error.message).toContain(`${goldenFile}: ${message}`);
  });

  test('keeps its folder to itself', async () => {
    const { model, weights } = externalDataModel({ location: 'golden/weights.bin' });
    const source = written(model);
    mkdirSync(join(dirname(source), 'golden'));
    writeFileSync(join(dirname(source), 'golden/weights.bin'), weights);
    expect((await refusal(publish(source))).code).toBe<PublishErrorCode>('FILE_NAME_RESERVED');
  });
});

describe('what cannot be published', () => {
  test.each(['gs://bucket/models', 'https://example.com/models'])(
    'to %s, whose scheme is not supported',
    async (repository) => {
      const error = await refusal(publishModel({ source: DIGITS, name: 'digits', repository }));
      const scheme = repository.slice(0, repository.indexOf(':'));
      expect(error.message).toBe(
        `REPOSITORY_INVALID ${repository}: must be a directory, file:// or s3://, got the scheme '${scheme}'`,
      );
    },
  );

  test.each(['s3://', 's3:///x', 's3://Bad_Bucket'])('to %s, which names no bucket', async (repository) => {
    const error = await refusal(publishModel({ source: DIGITS, name: 'digits', repository }));
    expect(error.message).toBe(`REPOSITORY_INVALID ${repository}: must be s3://<bucket> or s3://<bucket>/<prefix>`);
  });

  test('under a name or version that the model repository cannot have', async () => {
    const repository = join(emptyFolder(), 'untouched');
    for (const options of [{ name: '../escape' }, { name: 'digits', version: 0 }]) {
      const error: unknown = await publishModel({ source: DIGITS, repository, golden: false, ...options }).catch(
        (e: unknown) => e,
      );
      expect(SpecError.is(error)).toBe(true);
    }
    expect(existsSync(repository)).toBe(false);
  });
});

describe('a manifest file', () => {
  test('that is not there is named, with what puts it there', () => {
    const path = join(folder, 'none.json');
    expect(() => readManifestFile(path)).toThrow(
      `MANIFEST_INVALID ${path}: does not exist: publish the model with a manifest file there`,
    );
  });

  test('that is no manifest is refused with the field', () => {
    cpSync('package.json', join(folder, 'package.json'));
    expect(() => readManifestFile(join(folder, 'package.json'))).toThrow(
      "schema must be 'slipway.dev/model-manifest/v1'",
    );
  });
});
