import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseManifest } from '../../runtime/spec';
import { slipway } from './terminal';

const DIGITS = path.join(__dirname, '../../models/digits/model.onnx');
let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'slipway-publish-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function manifestOf(version: number, name = 'digits') {
  const file = path.join(folder, 'models', name, String(version), 'manifest.json');
  return parseManifest(readFileSync(file, 'utf8'), file);
}

test('publishes under the name of the folder, as the next version, and prints where', async () => {
  const repository = path.join(folder, 'models');
  const first = await slipway('model', 'publish', DIGITS, repository);
  const second = await slipway('model', 'publish', DIGITS, pathToFileURL(repository).href);
  expect(first).toMatchObject({ status: 0, stdout: `${pathToFileURL(repository).href}/digits/1/\n` });
  expect(second).toMatchObject({ status: 0, stdout: `${pathToFileURL(repository).href}/digits/2/\n` });
  expect(manifestOf(2).golden).toBeDefined();
});

test('with --json, prints what was published and nothing else', async () => {
  const { stdout, status } = await slipway('model', 'publish', DIGITS, path.join(folder, 'models'), '--json');
  expect(status).toBe(0);
  const { name, files } = manifestOf(1);
  expect(JSON.parse(stdout)).toEqual({
    uri: `${pathToFileURL(folder).href}/models/digits/1/`,
    name,
    version: 1,
    manifestSha256: createHash('sha256')
      .update(readFileSync(path.join(folder, 'models/digits/1/manifest.json')))
      .digest('hex'),
    files,
  });
});

test('leaves a copy of the manifest where the infrastructure program looks for it', async () => {
  const copy = path.join(folder, 'infra', 'digits.manifest.json');
  await slipway(...['model', 'publish', DIGITS, path.join(folder, 'models'), '--manifest-file', copy]);
  expect(readFileSync(copy)).toEqual(readFileSync(path.join(folder, 'models/digits/1/manifest.json')));
});

test('takes name, version, golden input and tolerance from the flags', async () => {
  const request = { inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 1, 8, 8], data: Array(64).fill(3) }] };
  const golden = path.join(folder, 'request.json');
  writeFileSync(golden, JSON.stringify(request));
  const { status } = await slipway(
    ...['model', 'publish', DIGITS, path.join(folder, 'models'), '--name', 'reader', '--version', '7'],
    ...['--golden', golden, '--tolerance', 'probabilities=0.002,0.02'],
  );
  expect(status).toBe(0);
  const { golden: proof } = manifestOf(7, 'reader');
  expect(proof!.inputs[0]!.shape).toEqual([1, 1, 8, 8]);
  expect(proof!.outputs[0]!.tolerance).toEqual({ kind: 'elementwise', absolute: 0.002, relative: 0.02 });
});

test('a folder whose name cannot be that of a model is refused with the flag to give', async () => {
  const source = path.join(folder, 'my app', 'model.onnx');
  mkdirSync(path.dirname(source));
  copyFileSync(DIGITS, source);
  const { status, stderr } = await slipway('model', 'publish', source, path.join(folder, 'models'));
  expect(status).toBe(3);
  expect(stderr).toMatch(/^error: MODEL_NAME_INVALID --name, .+ place of the file: must be .+, got 'my app'\n$/);
  expect((await slipway('model', 'publish', source, path.join(folder, 'models'), '--name', 'app')).status).toBe(0);
});

test('--no-golden leaves the proof out', async () => {
  await slipway('model', 'publish', DIGITS, path.join(folder, 'models'), '--no-golden');
  expect(manifestOf(1).golden).toBeUndefined();
});

test('refuses to publish a version twice, in one line', async () => {
  const publish = ['model', 'publish', DIGITS, path.join(folder, 'models'), '--version', '1', '--no-golden'];
  await slipway(...publish);
  const { status, stderr } = await slipway(...publish);
  expect(status).toBe(3);
  expect(stderr).toMatch(/^error: VERSION_EXISTS file:.+\/digits\/1\/: is there already.+\n$/);
});

test.each([
  [['--version', '0'], "--version must be a whole number from 1 up, got '0'"],
  [['--tolerance', 'probabilities=close'], '--tolerance must be <output>=top1, <output>=exact or'],
  [['--golden', 'request.json', '--no-golden'], '--golden and --no-golden contradict each other'],
])('%j is refused before anything is read', async (flags, message) => {
  const { status, stderr } = await slipway('model', 'publish', 'nowhere.onnx', folder, ...flags);
  expect(status).toBe(2);
  expect(stderr).toContain(`error: ${message}`);
});
