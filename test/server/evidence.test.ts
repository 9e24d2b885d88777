import { createHash, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { digestPreprocessing, readPreprocessingFile } from '../../runtime/model/preprocessing-file';
import { publishModel } from '../../runtime/model/publish-model';
import { writeProvenance } from '../../runtime/model/provenance';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import type { EvaluationEvidence } from '../../runtime/spec/evaluation-evidence';
import { addOneModel, externalDataModel } from '../support/onnx-models';
import { startFileServer } from '../support/file-server';
import { startServer, type RunningServer } from './harness/running-server';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const MODEL = addOneModel();

function evidence(change: Partial<EvaluationEvidence> = {}): EvaluationEvidence {
  const gates = [{ metric: 'accuracy', bound: 'min', limit: 0.9, value: 0.93, passed: true }] as const;
  return {
    model: [{ path: 'model.onnx', sha256: sha256(MODEL) }],
    dataset: { name: 'rows.npz', sha256: 'd'.repeat(64), rows: 300 },
    task: 'classification',
    metrics: { accuracy: 0.93 },
    gates,
    passed: gates.every(({ passed }) => passed),
    evaluatedAt: '2026-01-02T03:04:05.000Z',
    tools: { slipway: '0.1.0' },
    ...change,
  };
}

/** A published version; what its publisher would not write is written into the manifest afterwards. */
async function publish(options: {
  readonly evaluation?: EvaluationEvidence;
  readonly golden?: boolean;
  readonly change?: (manifest: any) => void;
}): Promise<{ repository: string; version: string }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-evidence-'));
  const source = path.join(folder, 'source.onnx');
  writeFileSync(source, MODEL);
  const evaluationFile = path.join(folder, 'report.json');
  writeFileSync(evaluationFile, JSON.stringify(options.evaluation ?? {}));
  const repository = path.join(folder, 'repository');
  await publishModel({
    source,
    name: 'adder',
    repository,
    ...(options.golden === undefined ? {} : { golden: options.golden }),
    ...(options.evaluation === undefined ? {} : { evaluationFile }),
    licence: 'apache-2.0',
  });
  const version = path.join(repository, 'adder/1');
  const manifest = path.join(version, 'manifest.json');
  if (options.change !== undefined) {
    const json = JSON.parse(readFileSync(manifest, 'utf8'));
    options.change(json);
    writeFileSync(manifest, JSON.stringify(json));
  }
  return { repository, version };
}

const readiness = async (server: RunningServer): Promise<string> => {
  const { status, text } = await server.get('/readyz');
  return `${status} ${text}`;
};

describe('a server that requires evidence', () => {
  const serve = async (published: { repository: string }, requireEvidence = true): Promise<string> =>
    readiness(await startServer({ modelRepository: published.repository, requireEvidence }));

  test('serves a version with a golden proof and a passed evaluation of its very files', async () => {
    expect(await serve(await publish({ evaluation: evidence() }))).toMatch(/^200/);
  });

  test('is not ready with any other, and says what is missing', async () => {
    expect(await serve(await publish({}))).toMatch(/^503 .*nobody evaluated it/);
    expect(await serve(await publish({ evaluation: evidence(), golden: false }))).toMatch(
      /^503 .*without a golden proof/,
    );
    expect(await serve(await publish({ evaluation: evidence({ gates: [] }) }))).toMatch(/^503 .*held to no gate/);
    const failed = { metric: 'accuracy', bound: 'min', limit: 0.99, value: 0.93, passed: false };
    const change = (manifest: any): void => {
      manifest.evaluation.gates = [failed];
      manifest.evaluation.passed = false;
    };
    expect(await serve(await publish({ evaluation: evidence(), change }))).toMatch(
      /^503 .*its evaluation failed: accuracy is 0.93, the limit is 0.99/,
    );
    const bare = await publish({});
    rmSync(path.join(bare.version, 'manifest.json'));
    expect(await serve(bare)).toMatch(/^503 .*the version has no manifest/);
    // Who asks for nothing is served as before.
    expect(await serve(await publish({}), false)).toMatch(/^200/);
  });

  test('takes no evaluation of other bytes for evidence', async () => {
    const other = { evaluation: evidence(), change: (m: any) => (m.evaluation.model[0].sha256 = 'e'.repeat(64)) };
    expect(await serve(await publish(other))).toMatch(/^503 .*evaluation.model must be of the files of this version/);
    // Weights beside the model are the model, too: evidence of the graph alone says nothing of them.
    const folder = mkdtempSync(path.join(tmpdir(), 'slipway-evidence-'));
    const { model, weights } = externalDataModel();
    writeFileSync(path.join(folder, 'm.onnx'), model);
    writeFileSync(path.join(folder, 'weights.bin'), weights);
    const repository = path.join(folder, 'repository');
    await publishModel({ source: path.join(folder, 'm.onnx'), name: 'split', repository });
    const manifest = path.join(repository, 'split/1/manifest.json');
    const json = JSON.parse(readFileSync(manifest, 'utf8'));
    json.evaluation = evidence({ model: [{ path: 'model.onnx', sha256: sha256(model) }] });
    writeFileSync(manifest, JSON.stringify(json));
    expect(await serve({ repository })).toMatch(/^503 .*not of every file of this model/);
    json.evaluation.model.push({ path: 'weights.bin', sha256: sha256(weights) });
    writeFileSync(manifest, JSON.stringify(json));
    expect(await serve({ repository })).toMatch(/^200/);
  });
});

describe('a server that requires evidence of a version with preprocessing', () => {
  const columns = { kind: 'columns', columns: ['a', 'b', 'c', 'd'].map((name) => ({ name, mean: 1 })) };

  /** Published with an evaluation, and changed afterwards as no publisher of this version would do it. */
  async function ready(change: (manifest: any) => void, requireEvidence = true): Promise<string> {
    const folder = mkdtempSync(path.join(tmpdir(), 'slipway-evidence-'));
    const source = path.join(folder, 'source.onnx');
    writeFileSync(source, MODEL);
    const preprocessingFile = path.join(folder, 'p.json');
    writeFileSync(preprocessingFile, JSON.stringify(columns));
    const preprocessing = await readPreprocessingFile(preprocessingFile, readOnnxModel(source).facts);
    const evaluationFile = path.join(folder, 'report.json');
    writeFileSync(
      evaluationFile,
      JSON.stringify(evidence({ preprocessing: { sha256: await digestPreprocessing(preprocessing) } })),
    );
    const repository = path.join(folder, 'repository');
    await publishModel({ source, name: 'adder', repository, preprocessingFile, evaluationFile });
    const manifest = path.join(repository, 'adder/1/manifest.json');
    const json = JSON.parse(readFileSync(manifest, 'utf8'));
    change(json);
    writeFileSync(manifest, JSON.stringify(json));
    return readiness(await startServer({ modelRepository: repository, requireEvidence }));
  }

  test('serves it where it was measured with that preprocessing', async () => {
    expect(await ready(() => {})).toMatch(/^200/);
  });

  test('does not where it was measured with another one, or with none', async () => {
    const other = (manifest: any): void => void (manifest.preprocessing.input.columns[0].mean = 2);
    expect(await ready(other)).toMatch(/^503 .*its evaluation was measured with another preprocessing/);
    expect(await ready((manifest) => delete manifest.preprocessing)).toMatch(/^503 .*with another preprocessing/);
    // As versions were published before evidence named it: they are read, and evidence they are not.
    const older = (manifest: any): void => void delete manifest.evaluation.preprocessing;
    expect(await ready(older)).toMatch(/^503 .*its evaluation was not measured with its preprocessing/);
    expect(await ready(older, false)).toMatch(/^200/);
  });
});

describe('a server that knows keys', () => {
  const pair = (): { publicKey: KeyObject; privateKey: KeyObject } =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ours = pair();
  const pem = ours.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const sign = (version: string, key: KeyObject): void => {
    const signature = createSign('sha256')
      .update(readFileSync(path.join(version, 'manifest.json')))
      .sign(key, 'base64');
    writeFileSync(path.join(version, 'manifest.json.sig'), signature);
  };

  test('serves what one of them has signed, from a folder and from a web server, and says by which', async () => {
    const { repository, version } = await publish({});
    sign(version, ours.privateKey);
    const local = await startServer({ modelRepository: repository, modelSigningKeys: pem });
    expect(await readiness(local)).toMatch(/^200/);
    const { properties } = (await local.get('/v2/models/adder')).json;
    expect(properties['slipway.signature']).toMatch(/^verified by key sha256:[0-9a-f]{64}$/);
    const keyFile = path.join(repository, 'release.pub');
    writeFileSync(keyFile, pem);
    const web = await startFileServer();
    for (const name of [
      'manifest.json',
      'manifest.json.sig',
      'model.onnx',
      'golden/input-0.bin',
      'golden/output-0.bin',
    ]) {
      web.files.set(`/adder/1/${name}`, readFileSync(path.join(version, name)));
    }
    const models = JSON.stringify([{ name: 'adder', version: 1, folder: `${web.url}/adder/1/` }]);
    const remote = await startServer({ models, modelSigningKeys: pathToFileURL(keyFile).href });
    expect(await readiness(remote)).toMatch(/^200/);
  });

  test('is not ready with a version that is not signed, by another key, or changed since', async () => {
    const serve = async ({ repository }: { repository: string }): Promise<string> =>
      readiness(await startServer({ modelRepository: repository, modelSigningKeys: pem }));
    const unsigned = await publish({});
    expect(await serve(unsigned)).toMatch(/^503 .*SIGNATURE_MISSING/);
    sign(unsigned.version, pair().privateKey);
    expect(await serve(unsigned)).toMatch(/^503 .*SIGNATURE_WRONG/);
    sign(unsigned.version, ours.privateKey);
    const manifest = path.join(unsigned.version, 'manifest.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('Apache-2.0', 'MIT'));
    expect(await serve(unsigned)).toMatch(/^503 .*SIGNATURE_WRONG/);
    rmSync(manifest);
    expect(await serve(unsigned)).toMatch(/^503 .*no manifest.json that could be signed/);
  });

  test('holds files that a deployment names by digest to the manifest that is signed', async () => {
    const { version } = await publish({});
    sign(version, ours.privateKey);
    const files = ['model.onnx', 'manifest.json'].map((name) => {
      const bytes = readFileSync(path.join(version, name));
      return {
        path: name,
        uri: pathToFileURL(path.join(version, name)).href,
        bytes: bytes.length,
        sha256: sha256(bytes),
      };
    });
    const serve = async (): Promise<string> => {
      const models = JSON.stringify([{ name: 'adder', version: 1, files }]);
      return readiness(await startServer({ models, modelSigningKeys: pem }));
    };
    const golden = JSON.parse(readFileSync(path.join(version, 'manifest.json'), 'utf8')).files.slice(1);
    files.push(...golden.map((each: any) => ({ ...each, uri: pathToFileURL(path.join(version, each.path)).href })));
    expect(await serve()).toMatch(/^200/);
    const other = addOneModel({ shape: ['batch', 3] });
    writeFileSync(path.join(version, 'model.onnx'), other);
    files[0] = { ...files[0]!, bytes: other.byteLength, sha256: sha256(other) };
    expect(await serve()).toMatch(/^503 .*its manifest lists 'model.onnx' with/);
  });

  test('does not start with keys that it cannot read', async () => {
    const { repository } = await publish({});
    const start = (modelSigningKeys: string): Promise<unknown> =>
      startServer({ modelRepository: repository, modelSigningKeys });
    await expect(start('file:///nowhere/release.pub')).rejects.toThrow('SLIPWAY_MODEL_SIGNING_KEYS cannot be read');
    await expect(start('release.pub')).rejects.toMatchObject({ code: 'SIGNING_KEYS_UNREADABLE' });
  });
});

test('metadata show what the manifest says, as text by name', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-evidence-'));
  const source = path.join(folder, 'source.onnx');
  writeFileSync(source, MODEL);
  const trained = path.join(folder, 'net.pt');
  writeFileSync(trained, 'weights');
  await writeProvenance({
    command: 'slipway model convert net.pt',
    tools: { torch: '2.15.0' },
    inputs: [trained],
    outputs: [source],
  });
  const evaluationFile = path.join(folder, 'report.json');
  writeFileSync(evaluationFile, JSON.stringify({ rows: [], evidence: evidence() }));
  const repository = path.join(folder, 'repository');
  await publishModel({ source, name: 'adder', repository, evaluationFile, licence: 'mit OR apache-2.0' });
  const server = await startServer({ modelRepository: repository });
  const { properties } = (await server.get('/v2/models/adder')).json;
  expect(properties).toMatchObject({
    'slipway.golden': 'proven',
    'slipway.licence': 'MIT OR Apache-2.0',
    'slipway.evaluation': 'passed',
    'slipway.provenance': expect.stringMatching(/^[0-9a-f]{64}$/),
    'slipway.provenance.source': sha256(Buffer.from('weights')),
  });
  expect(JSON.parse(properties['slipway.evaluation.report'])).toMatchObject({ metrics: { accuracy: 0.93 } });
});
