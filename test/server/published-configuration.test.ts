import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { publishModel, type PublishOptions } from '../../runtime/model/publish-model';
import { readManifestFile } from '../../runtime/onnx/read-manifest-file';
import { PLAIN } from '../../runtime/spec/late-bound';
import { modelReferences } from '../../runtime/spec/model-reference';
import type { ServerSettings } from '../../runtime/spec/environment';
import { identityModel } from '../support/onnx-models';
import { temporaryFolder } from './harness/model-repository';
import { floats, startServer, type RunningServer } from './harness/running-server';

const DOUBLING = `export const preprocess = ({ inputs: { input } }) => ({
  inputs: { input: { ...input, data: input.data.map((value) => 2 * value) } } });`;
const ONE_ROW = floats('input', [1, 4], [1, 2, 3, 4]);

interface Files {
  readonly config?: string;
  readonly hooks?: string;
  readonly labels?: string;
}

async function published({ config, hooks, labels }: Files): Promise<string> {
  const folder = temporaryFolder();
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  writeFileSync(path.join(folder, 'model.onnx'), identityModel());
  const options: PublishOptions = {
    source: path.join(folder, 'model.onnx'),
    name: 'm',
    repository: path.join(folder, 'models'),
    ...(config === undefined ? {} : { configFile: file('config.pbtxt', config) }),
    ...(hooks === undefined ? {} : { hooksFile: file('hooks.mjs', hooks) }),
    ...(labels === undefined ? {} : { labelsFile: file('labels.txt', labels) }),
  };
  await publishModel(options);
  return options.repository;
}

/** As a deployment names a model: every file with its digest. */
async function deploy(
  files: Files,
  settings: Partial<ServerSettings> = {},
  maxBatchSize = 8,
): Promise<{ server: RunningServer; repository: string }> {
  const repository = await published(files);
  const { files: listed } = readManifestFile(path.join(repository, 'm', '1', 'manifest.json'));
  const folder = `${pathToFileURL(path.join(repository, 'm', '1')).href}/`;
  const models = modelReferences([{ name: 'm', version: 1, files: listed, maxBatchSize }], { m: { folder } }, PLAIN);
  return { server: await startServer({ models, ...settings }), repository };
}

test('a deployment honours the configuration and the labels that were published with its model', async () => {
  const config =
    'max_batch_size: 2 output { name: "output" label_filename: "labels.txt" } parameters { key: "a" value { string_value: "b" } }';
  const { server } = await deploy({ config, labels: 'one\ntwo\nthree\nfour\n' });
  const { json } = await server.get('/v2/models/m/config');
  expect(json).toMatchObject({ max_batch_size: 2, parameters: { a: { string_value: 'b' } } });
  const asked = { inputs: [{ name: 'input', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }] };
  const answer = await server.infer('m', {
    ...asked,
    outputs: [{ name: 'output', parameters: { classification: 1 } }],
  });
  expect(answer.json.outputs[0].data).toEqual(['4.000000:3:four']);
});

test('batches are the smaller of what the plan and what the configuration allow, and none where it says 0', async () => {
  const rowsOf = async (config: string, planned: number): Promise<unknown> =>
    (await (await deploy({ config }, {}, planned)).server.get('/v2/models/m/config')).json.max_batch_size;
  expect(await rowsOf('max_batch_size: 4', 8)).toBe(4);
  expect(await rowsOf('max_batch_size: 4', 2)).toBe(2);
  expect(await rowsOf('max_batch_size: 0', 8)).toBe(0);
});

test('hooks of a deployment run only where SLIPWAY_HOOKS is set, and the log says that they do not', async () => {
  const { server: off } = await deploy({ hooks: DOUBLING });
  expect((await off.infer('m', ONE_ROW)).json.outputs[0].data).toEqual([1, 2, 3, 4]);
  expect(off.log.some(({ msg }) => msg.startsWith('hooks were published with the model and are not run'))).toBe(true);
  const { server: on } = await deploy({ hooks: DOUBLING }, { hooks: true });
  expect((await on.infer('m', ONE_ROW)).json.outputs[0].data).toEqual([2, 4, 6, 8]);
});

test('a published configuration that names hooks needs SLIPWAY_HOOKS, or the model is not ready', async () => {
  const files = { config: 'hooks: "hooks.mjs"', hooks: DOUBLING };
  const { server: off } = await deploy(files);
  expect((await off.get('/readyz')).json.reason).toBe(
    "model 'm' version 1: its published configuration names hooks 'hooks.mjs', which run only with SLIPWAY_HOOKS=true",
  );
  const { server: on } = await deploy(files, { hooks: true });
  expect((await on.infer('m', ONE_ROW)).json.outputs[0].data).toEqual([2, 4, 6, 8]);
});

test('a published configuration that was changed afterwards is not honoured, and the model not served', async () => {
  const repository = await published({ config: 'max_batch_size: 2' });
  writeFileSync(path.join(repository, 'm', '1', 'config.pbtxt'), 'max_batch_size: 3');
  const server = await startServer({ modelRepository: repository });
  expect((await server.get('/readyz')).json.reason).toMatch(/config\.pbtxt.*SHA-256/);
});

test('in a repository by hand the configuration beside the versions takes the place of the published one', async () => {
  const repository = await published({ config: 'max_batch_size: 2' });
  const before = await startServer({ modelRepository: repository });
  expect((await before.get('/v2/models/m/config')).json.max_batch_size).toBe(2);
  writeFileSync(path.join(repository, 'm', 'config.pbtxt'), 'max_batch_size: 3');
  const after = await startServer({ modelRepository: repository });
  expect((await after.get('/v2/models/m/config')).json.max_batch_size).toBe(3);
  expect(after.log.some(({ msg }) => msg.startsWith('the configuration that was published'))).toBe(true);
});

test('a file that the manifest does not list configures nothing', async () => {
  const repository = await published({});
  writeFileSync(path.join(repository, 'm', '1', 'config.pbtxt'), 'sequence_batching { }');
  const server = await startServer({ modelRepository: repository });
  expect((await server.infer('m', ONE_ROW)).status).toBe(200);
  expect(readFileSync(path.join(repository, 'm', '1', 'manifest.json'), 'utf8')).not.toContain('config.pbtxt');
});
