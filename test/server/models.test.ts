import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import { parseManifest, serializeManifest, type ModelManifest } from '../../runtime/spec/model-manifest';
import {
  addOneModel,
  buildModel,
  externalDataModel,
  identityModel,
  matmulModel,
  noisyModel,
  node,
  pickyModel,
  value,
} from '../support/onnx-models';
import { plainRepository, publishedRepository, temporaryFolder } from './harness/model-repository';
import { floats, startServer, type RunningServer } from './harness/running-server';

const GOOD = floats('input', [1, 4], [1, 2, 3, 4]);

async function reasonOf({ post, get, log }: RunningServer): Promise<string> {
  const index = await post('/v2/repository/index', '');
  const [{ state, reason }] = index.json as [{ state: string; reason: string }];
  expect(state).toBe('UNAVAILABLE');
  expect((await get('/readyz')).status).toBe(503);
  expect(log.find(({ msg }) => msg === 'model cannot be served')?.['reason']).toBe(reason);
  return reason;
}

function edit(manifestFile: string, change: (manifest: ModelManifest) => ModelManifest): void {
  writeFileSync(
    manifestFile,
    serializeManifest(change(parseManifest(readFileSync(manifestFile, 'utf8'), manifestFile))),
  );
}

test('a published model is checked, proven and served', async () => {
  const repository = await publishedRepository('matmul', matmulModel());
  const server = await startServer({ modelRepository: repository });
  expect((await server.get('/readyz')).status).toBe(200);
  expect(server.log.find(({ msg }) => msg === 'model proven and warm')).toMatchObject({ golden: true });
  expect((await server.infer('matmul', GOOD)).status).toBe(200);
});

test('a model file that was changed after it was published is not loaded, and the replica not ready', async () => {
  const repository = await publishedRepository('addone', addOneModel());
  const file = path.join(repository, 'addone', '1', 'model.onnx');
  const published = createHash('sha256').update(readFileSync(file)).digest('hex');
  const bytes = readFileSync(file);
  bytes[bytes.length - 20]! ^= 1;
  writeFileSync(file, bytes);
  const found = createHash('sha256').update(bytes).digest('hex');
  const server = await startServer({ modelRepository: repository });
  expect(await reasonOf(server)).toBe(
    `file 'model.onnx' has SHA-256 ${found}, expected ${published}: it is not what was published`,
  );
  expect((await server.infer('addone', GOOD)).status).toBe(503);
});

test('a model file of another length is not loaded', async () => {
  const repository = await publishedRepository('addone', addOneModel());
  appendFileSync(path.join(repository, 'addone', '1', 'model.onnx'), 'x');
  expect(await reasonOf(await startServer({ modelRepository: repository }))).toMatch(
    /^file 'model\.onnx' is \d+ bytes, expected \d+: it is not what was published$/,
  );
});

test('a file that the manifest lists and that is not there is named', async () => {
  const repository = await publishedRepository('addone', addOneModel());
  rmSync(path.join(repository, 'addone', '1', 'golden', 'output-0.bin'));
  expect(await reasonOf(await startServer({ modelRepository: repository }))).toMatch(
    /^file 'golden\/output-0\.bin' is missing at file:/,
  );
});

test('a model that does not repeat its golden output is not served, and the reason names output, element and values', async () => {
  const repository = await publishedRepository('addone', addOneModel());
  const folder = path.join(repository, 'addone', '1');
  const golden = path.join(folder, 'golden', 'output-0.bin');
  const bytes = readFileSync(golden);
  bytes.writeFloatLE(bytes.readFloatLE(4) + 100, 4);
  writeFileSync(golden, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  edit(path.join(folder, 'manifest.json'), (manifest) => ({
    ...manifest,
    files: manifest.files.map((file) => (file.path === 'golden/output-0.bin' ? { ...file, sha256 } : file)),
  }));
  expect(await reasonOf(await startServer({ modelRepository: repository }))).toMatch(
    /^golden proof failed: output 'output': element 1 is [\d.]+, expected 10[\d.]+ ± /,
  );
});

test('a manifest of another model, or one that cannot be read, is refused', async () => {
  const repository = await publishedRepository('addone', addOneModel());
  renameSync(path.join(repository, 'addone'), path.join(repository, 'renamed'));
  expect(await reasonOf(await startServer({ modelRepository: repository }))).toBe(
    "its manifest is of model 'addone' version 1, expected 'renamed' version 1",
  );
  writeFileSync(path.join(repository, 'renamed', '1', 'manifest.json'), '{');
  expect(await reasonOf(await startServer({ modelRepository: repository }))).toMatch(
    /^MANIFEST_INVALID .* must be JSON/,
  );
});

test('what is no ONNX model is refused with the file named', async () => {
  const repository = plainRepository({ broken: Buffer.from('not a model') });
  expect(await reasonOf(await startServer({ modelRepository: repository }))).toMatch(
    /broken\/1\/model\.onnx.*parsing failed/,
  );
});

test('a model whose output is no tensor is refused with the reason', async () => {
  const sequence = buildModel({
    node: [node('SequenceConstruct', ['input'], ['output'])],
    input: [value('input', 'FP32', ['batch', 4])],
    output: [
      {
        name: 'output',
        type: {
          value: {
            case: 'sequenceType',
            value: { elemType: { value: { case: 'tensorType', value: { elemType: 1 } } } },
          },
        },
      },
    ],
  });
  expect(await reasonOf(await startServer({ modelRepository: plainRepository({ sequence }) }))).toBe(
    "output 'output' is a sequence, and a request carries tensors only; for a scikit-learn classifier export with zipmap=False: slipway model convert MODEL.skops -o MODEL.onnx",
  );
});

test('CUDA that is not there is a reason not to be ready, never a silent run on the CPU', async () => {
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel() }),
    executionProvider: 'cuda',
  });
  expect(await reasonOf(server)).toMatch(/cuda/i);
});

test('serves the newest version of every model of a repository', async () => {
  const repository = temporaryFolder();
  const source = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(source, identityModel());
  for (const version of [1, 2, 10]) await publishModel({ source, name: 'm', repository, version });
  mkdirSync(path.join(repository, 'm', '011'));
  mkdirSync(path.join(repository, 'm', 'latest'));
  for (const name of ['.hidden', 'lost+found']) mkdirSync(path.join(repository, name, '1'), { recursive: true });
  for (const name of ['.hidden', 'lost+found']) copyFileSync(source, path.join(repository, name, '1', 'model.onnx'));
  writeFileSync(path.join(repository, 'README.md'), 'not a model');
  const server = await startServer({ modelRepository: repository });
  expect((await server.get('/v2/models/m')).json.versions).toEqual(['10']);
  expect((await server.get('/v2/models')).json).toEqual({ models: ['m'] });
});

test.each(['with space', 'per%20cent', 'ha#sh', 'ques?tion', 'ümlaut 模型'])(
  'serves a repository and external data from a folder called %j',
  async (name) => {
    const folder = path.join(temporaryFolder(), name);
    const version = path.join(folder, 'ext', '1');
    mkdirSync(version, { recursive: true });
    const { model, weights } = externalDataModel({ location: `${name}.bin` });
    writeFileSync(path.join(version, 'model.onnx'), model);
    writeFileSync(path.join(version, `${name}.bin`), weights);
    for (const modelRepository of [folder, pathToFileURL(folder).href]) {
      const server = await startServer({ modelRepository });
      expect((await server.get('/readyz')).json).toEqual({ ready: true });
    }
    const repository = await publishedRepository('ext', path.join(version, 'model.onnx'));
    const server = await startServer({ modelRepository: repository });
    expect((await server.get('/readyz')).json).toEqual({ ready: true });
  },
);

test('a version that is still being written is not taken for a model without a manifest', async () => {
  const repository = await publishedRepository('m', identityModel());
  mkdirSync(path.join(repository, 'm', '2'));
  writeFileSync(path.join(repository, 'm', '2', 'model.onnx'), identityModel());
  const server = await startServer({ modelRepository: repository });
  expect((await server.get('/v2/models/m')).json.versions).toEqual(['1']);
});

test('serves exactly the versions that references name, the newest where a request names none', async () => {
  const repository = temporaryFolder();
  const source = path.join(temporaryFolder(), 'model.onnx');
  writeFileSync(source, addOneModel());
  await publishModel({ source, name: 'm', repository });
  writeFileSync(source, identityModel());
  await publishModel({ source, name: 'm', repository });
  const folder = (version: number): string => pathToFileURL(path.join(repository, 'm', `${version}/`)).href;
  const references = [1, 2].map((version) => ({ name: 'm', version, folder: folder(version) }));
  const file = path.join(temporaryFolder(), 'models.json');
  writeFileSync(file, JSON.stringify(references));
  const server = await startServer({ models: pathToFileURL(file).href });
  expect((await server.get('/v2/models/m')).json.versions).toEqual(['2', '1']);
  expect((await server.infer('m', GOOD)).json).toMatchObject({ model_version: '2', outputs: [{ data: [1, 2, 3, 4] }] });
  expect((await server.post('/v2/models/m/versions/1/infer', GOOD)).json.outputs[0].data).toEqual([2, 3, 4, 5]);
});

test('brings files that lie apart together, checks each against its reference, and keeps them', async () => {
  const bytes = addOneModel();
  const uri = pathToFileURL(path.join(temporaryFolder(), 'asset.f00d')).href;
  writeFileSync(new URL(uri), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const models = JSON.stringify([
    { name: 'm', version: 3, files: [{ path: 'model.onnx', uri, bytes: bytes.byteLength, sha256 }], maxBatchSize: 2 },
  ]);
  const cacheDirectory = temporaryFolder();
  const first = await startServer({ models, cacheDirectory });
  expect((await first.infer('m', GOOD)).json).toMatchObject({ model_version: '3', outputs: [{ data: [2, 3, 4, 5] }] });
  expect((await first.infer('m', floats('input', [3, 4], new Array<number>(12).fill(0)))).json.error).toContain(
    'at most 2 rows',
  );

  rmSync(new URL(uri));
  const second = await startServer({ models, cacheDirectory });
  expect((await second.get('/readyz')).status).toBe(200);

  const wrong = await startServer({ models: models.replace(sha256, 'b'.repeat(64)) });
  expect(await reasonOf(wrong)).toMatch(/asset\.f00d does not exist$/);
});

test('a generated warm-up input that the model cannot run is a warning', async () => {
  const server = await startServer({ modelRepository: plainRepository({ picky: pickyModel() }) });
  expect((await server.get('/readyz')).status).toBe(200);
  expect(server.log.filter(({ level, msg }) => level === 'warn' && msg.includes('warm-up input'))).not.toHaveLength(0);
  expect((await server.infer('picky', floats('input', [21], new Array<number>(21).fill(1)))).status).toBe(200);
  expect((await server.infer('picky', floats('input', [4], [1, 2, 3, 4]))).status).toBe(400);
});

test('a model whose rows depend on each other is served without joining requests', async () => {
  // Subtracts the mean over the rows: the first dimension is free, but it is no batch.
  const centring = buildModel({
    node: [
      node('ReduceMean', ['input'], ['mean'], [{ name: 'axes', type: 7, ints: [0n] }]),
      node('Sub', ['input', 'mean'], ['output']),
    ],
    input: [value('input', 'FP32', ['n', 4])],
    output: [value('output', 'FP32', ['n', 4])],
  });
  const server = await startServer({
    modelRepository: plainRepository({ centring, noisy: noisyModel(), addone: addOneModel() }),
  });
  const warned = server.log.filter(({ msg }) => msg.includes('requests are not joined')).map(({ model }) => model);
  expect(warned.toSorted()).toEqual(['centring', 'noisy']);
  const rows = [1, 2, 3, 4].map((row) => floats('input', [1, 4], new Array<number>(4).fill(row)));
  const answers = await Promise.all(rows.map((row) => server.infer('centring', row)));
  for (const answer of answers) expect(answer.json.outputs[0].data).toEqual([0, 0, 0, 0]);
  const many = await server.infer('centring', floats('input', [40, 4], new Array<number>(160).fill(1)));
  expect(many.status).toBe(200);
});
