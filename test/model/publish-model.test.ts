import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { publishModel, type PublishOptions } from '../../runtime/model/publish-model';
import { readManifestFile } from '../../runtime/onnx/read-manifest-file';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { decodeTensorData } from '../../runtime/onnx/tensor-encoding';
import { SpecError, parseManifest } from '../../runtime/spec';
import { externalDataModel, identityModel, noisyModel } from '../support/onnx-models';
import { emptyFolder, written } from '../support/written-files';
import { refusal } from './refusal';

const DIGITS = 'models/digits/model.onnx';

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
    expect(files).toEqual([
      ...manifest.files,
      { path: 'manifest.json', bytes: readFileSync(manifestFile).byteLength, sha256 },
    ]);
  });

  test('is out even where its manifest cannot be left, and the error says so', async () => {
    const repository = emptyFolder();
    const manifestFile = join(written('a file, no folder'), 'digits.manifest.json');
    const publishing = publishModel({ source: DIGITS, name: 'digits', repository, golden: false, manifestFile });
    const { code, where, message } = await refusal(publishing);
    expect([code, where]).toEqual(['MANIFEST_FILE_UNWRITABLE', manifestFile]);
    expect(message).toContain(`${pathToFileURL(repository).href}/digits/1/ is published, copy its manifest.json`);
    expect(existsSync(join(repository, 'digits/1/manifest.json'))).toBe(true);
  });
});

describe('what cannot be published', () => {
  test.each(['ftp://bucket/models', 'https://example.com/models'])(
    'to %s, whose scheme is not supported',
    async (repository) => {
      const error = await refusal(publishModel({ source: DIGITS, name: 'digits', repository }));
      const scheme = repository.slice(0, repository.indexOf(':'));
      expect(error.message).toBe(
        `REPOSITORY_INVALID ${repository}: must be a directory, file://, s3://, gs://, az://, oss://, cos:// or oci://, got the scheme '${scheme}'`,
      );
    },
  );

  test('to a file URI that ends before its path does', async () => {
    const repository = `${pathToFileURL(emptyFolder()).href}/models?2`;
    const error = await refusal(publishModel({ source: DIGITS, name: 'digits', repository }));
    expect(error.message).toBe(
      `REPOSITORY_INVALID ${repository}: must be file:///<absolute path>: '?' must be written as %3F`,
    );
  });

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
    const path = join(emptyFolder(), 'none.json');
    expect(() => readManifestFile(path)).toThrow(
      `MANIFEST_INVALID ${path}: does not exist; slipway model publish writes it`,
    );
  });

  test('that is no manifest is refused with the field', () => {
    expect(() => readManifestFile('package.json')).toThrow("schema must be 'slipway.dev/model-manifest/v1'");
  });
});

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
