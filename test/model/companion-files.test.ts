import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { publishModel, type PublishedModel, type PublishOptions } from '../../runtime/model/publish-model';
import { parseManifest, serializeManifest } from '../../runtime/spec/model-manifest';
import { addOneModel, externalDataModel } from '../support/onnx-models';
import { slipway } from '../cli/terminal';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'slipway-companions-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(path.join(folder, name), content);
  return path.join(folder, name);
}

function publish(options: Partial<PublishOptions>): Promise<PublishedModel> {
  const source = options.source ?? file('model.onnx', addOneModel());
  return publishModel({ name: 'm', repository: path.join(folder, 'models'), golden: false, ...options, source });
}

async function filesOf(options: Partial<PublishOptions>): Promise<string[]> {
  return (await publish(options)).manifest.files.map((each) => each.path);
}

test('configuration, hooks and labels lie in the folder of the version, and its manifest lists them', async () => {
  const source = file('model.onnx', addOneModel());
  const { status } = await slipway(
    ...['model', 'publish', source, path.join(folder, 'models'), '--name', 'm', '--no-golden'],
    ...['--config', file('mine.txt', 'hooks: "around.mjs" output { name: "output" label_filename: "names.txt" }')],
    ...['--hooks', file('my-hooks.mjs', 'export const preprocess = ({ inputs }) => ({ inputs });')],
    ...['--labels', file('names.txt', 'a\nb\n')],
  );
  expect(status).toBe(0);
  const version = path.join(folder, 'models', 'm', '1');
  const { files } = JSON.parse(readFileSync(path.join(version, 'manifest.json'), 'utf8')) as PublishedModel['manifest'];
  expect(files.map((each) => each.path)).toEqual(['model.onnx', 'config.pbtxt', 'around.mjs', 'names.txt']);
  expect(readFileSync(path.join(version, 'names.txt'), 'utf8')).toBe('a\nb\n');
  expect(readFileSync(path.join(version, 'around.mjs'), 'utf8')).toContain('preprocess');
});

test('a configuration in JSON is called so, and hooks without one have the name that servers look for', async () => {
  expect(await filesOf({ configFile: file('c', '{"max_batch_size": 4}') })).toEqual(['model.onnx', 'config.json']);
  expect(await filesOf({ hooksFile: file('h.mjs', '') })).toEqual(['model.onnx', 'hooks.mjs']);
});

test('the manifest says how many executors the configuration asks for, so that a deployment has memory for them', async () => {
  const configFile = file('config.pbtxt', 'instance_group [{ count: 3 }, { count: 1 kind: KIND_CPU }]');
  const { manifest } = await publish({ configFile });
  expect(manifest.facts.executors).toEqual({ all: 4, perGpu: 3, onCpu: 1, needGpu: false });
  expect(parseManifest(serializeManifest(manifest), 'manifest.json')).toEqual(manifest);
  const other = await publish({ configFile: file('config.pbtxt', 'max_batch_size: 4') });
  expect(other.manifest.facts).not.toHaveProperty('executors');
});

describe('refuses', () => {
  const NEEDED = 'CONFIGURATION_UNFIT';
  test.each<[string, string, string]>([
    ['name: "other"', NEEDED, "must be the model's, 'm', or left out; got 'other'"],
    [
      'platform: "ensemble" input { name: "a" data_type: TYPE_FP32 dims: 1 } output { name: "b" data_type: TYPE_FP32 dims: 1 } ' +
        'ensemble_scheduling { step { model_name: "n" input_map { key: "x" value: "a" } output_map { key: "y" value: "b" } } }',
      NEEDED,
      'an ensemble has no model file to publish',
    ],
    ['version_policy { all { } }', NEEDED, 'belong to all versions'],
    ['default_model_filename: "net.onnx"', NEEDED, "must be 'model.onnx', got 'net.onnx'"],
    ['instance_group [{ count: 60 }, { count: 5 }]', NEEDED, 'asks for 65 executors, at most 64 are started'],
    ['hooks: "around.mjs"', NEEDED, "names hooks 'around.mjs': give them with --hooks"],
    ['output { name: "output" label_filename: "names.txt" }', NEEDED, 'give a file of this name with --labels'],
    ['input { name: "nothing" }', 'MODEL_CONFIGURATION_MISMATCH', "the model has no such input, it has 'input'"],
    ['max_batch_size: many', 'MODEL_CONFIGURATION_', 'max_batch_size'],
    ['sequence_batching { }', 'MODEL_CONFIGURATION_UNSUPPORTED', 'sequence_batching'],
  ])('the configuration %s', async (text, code, message) => {
    const refused = expect(publish({ configFile: file('config.pbtxt', text) })).rejects;
    await refused.toThrow(code);
    await refused.toThrow(message);
  });

  test('labels that no output names', async () => {
    await expect(publish({ labelsFile: file('names.txt', 'a') })).rejects.toThrow('LABELS_UNCLEAR');
  });

  test('a file that is not there, by its name', async () => {
    await expect(publish({ hooksFile: path.join(folder, 'none.mjs') })).rejects.toThrow(/FILE_UNREADABLE .*none\.mjs/);
  });

  test('labels that are called like another file', async () => {
    const configFile = file('config.pbtxt', 'output { name: "output" label_filename: "manifest.json" }');
    await expect(publish({ configFile, labelsFile: file('manifest.json', 'a') })).rejects.toThrow(
      "two files of the version would be called 'manifest.json'",
    );
  });

  test.each(['config.pbtxt', 'config.json', 'hooks.mjs'])(
    'weights that are called %s, which a server would take for another file',
    async (location) => {
      const { model, weights } = externalDataModel({ location });
      file(location, weights);
      await expect(publish({ source: file('model.onnx', model) })).rejects.toThrow(
        `FILE_NAME_RESERVED ${path.join(folder, 'model.onnx')}: keeps weights in '${location}'`,
      );
    },
  );
});
