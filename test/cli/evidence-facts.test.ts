import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import type { EvaluationEvidence } from '../../runtime/spec/evaluation-evidence';
import { slipway } from './terminal';

const DIGITS = path.join(__dirname, '../../models/digits/model.onnx');
const folder = mkdtempSync(path.join(tmpdir(), 'slipway-evidence-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const repository = path.join(folder, 'repository');
const EVALUATION: EvaluationEvidence = {
  model: [{ path: 'model.onnx', sha256: createHash('sha256').update(readFileSync(DIGITS)).digest('hex') }],
  dataset: { name: 'rows.npz', sha256: 'd'.repeat(64), rows: 300 },
  task: 'classification',
  metrics: { accuracy: 0.93 },
  gates: [{ metric: 'accuracy', bound: 'min', limit: 0.9, value: 0.93, passed: true }],
  passed: true,
  evaluatedAt: '2026-01-02T03:04:05Z',
  tools: { slipway: '0.1.0' },
};
const file = (name: string, content: unknown): string => {
  writeFileSync(path.join(folder, name), JSON.stringify(content));
  return path.join(folder, name);
};

/** Version 1 has evidence, version 2 has none. */
beforeAll(async () => {
  const source = { source: DIGITS, name: 'digits', repository };
  await publishModel({ ...source, evaluationFile: file('evaluation.json', EVALUATION) });
  await publishModel({ ...source, manifestFile: path.join(folder, 'two.json') });
});

afterEach(() => vi.unstubAllEnvs());

const spec = (model: object, more: object = {}): string =>
  file('service.json', {
    name: 'reader',
    requireEvidence: true,
    memoryMiB: 2048,
    executionProvider: 'cpu',
    startupBudgetSeconds: 60,
    models: [model],
    kubernetes: { modelRepository: pathToFileURL(repository).href },
    ...more,
  });

test('plan says before anything is deployed that a version has no evidence, and what makes it', async () => {
  const named = await slipway('plan', spec({ name: 'digits', version: 2 }));
  expect(named.status, named.stderr).toBe(0);
  expect(named.stdout).toMatch(/evidence +required +given/);
  expect(named.stderr).toContain(
    "warning: requireEvidence: version 2 of model 'digits' will not be served: nobody evaluated it",
  );
  expect(named.stderr).toMatch(
    /→ slipway model evaluate MODEL\.onnx .* then slipway model publish .*--name digits --eval/,
  );
  // The copy of the manifest beside the program says the same, wherever the model lies.
  const copied = await slipway('plan', spec({ manifest: 'two.json' }, { kubernetes: {} }));
  expect(copied.stderr).toContain("version 2 of model 'digits' will not be served");
  expect((await slipway('plan', spec({ manifest: 'two.json' }), '--json')).stderr).toContain('will not be served');

  expect((await slipway('plan', spec({ name: 'digits', version: 1 }))).stderr).toBe('');
  expect((await slipway('plan', spec({ name: 'digits', version: 2 }, { requireEvidence: false }))).stderr).toBe('');
  // What only an account can tell is not asked for.
  const bucket = { kubernetes: { modelRepository: 's3://no-such-bucket/models' } };
  expect((await slipway('plan', spec({ name: 'digits', version: 2 }, bucket))).stderr).toBe('');
});

test('doctor says it of every place that it can read, without a cluster', async () => {
  const missing = await slipway('doctor', spec({ name: 'digits', version: 2 }));
  expect(missing.status, missing.stderr).toBe(1);
  expect(missing.stderr).toContain('no cluster is looked at');
  expect(missing.stdout).toMatch(/^error +version 2 of model 'digits' has not the evidence .*\(model-evidence\)$/m);
  expect(missing.stdout).toContain('digits/2/manifest.json: nobody evaluated it');
  const there = await slipway('doctor', spec({ name: 'digits', version: 1 }), '--json');
  const found = JSON.parse(there.stdout) as { code: string; severity: string }[];
  expect(found.find(({ code }) => code === 'model-evidence')).toMatchObject({ severity: 'ok' });
  const gone = await slipway('doctor', spec({ name: 'digits', version: 7 }));
  expect(gone.stdout).toContain('the version has no manifest: publish it with slipway model publish');
  // Both tracks are served.
  const shadow = { percent: 10, models: [{ name: 'digits', version: 2 }] };
  const kubernetes = {
    modelRepository: pathToFileURL(repository).href,
    shadow,
    route: { gateway: { name: 'web', namespace: 'gateways' }, hostnames: ['digits.example.com'] },
  };
  const tracks = await slipway('doctor', spec({ name: 'digits', version: 1 }, { kubernetes }));
  expect(tracks.stdout, tracks.stderr).toMatch(/^error +version 2 of model/m);
  const anything = await slipway('doctor', spec({ name: 'digits', version: 2 }, { requireEvidence: false }));
  expect(anything).toMatchObject({ status: 2, stderr: expect.stringContaining('name the cluster by --context') });
});

test('a place that nobody can read is a warning, and not an answer', async () => {
  vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:1');
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'none');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'none');
  vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
  const bucket = { kubernetes: { modelRepository: 's3://models' } };
  const refused = await slipway('doctor', spec({ name: 'digits', version: 2 }, bucket));
  expect(refused.stdout).toMatch(/^warning +nobody can tell whether version 2 of model 'digits' has the evidence/m);
  expect(refused.stdout).toContain('s3://models/digits/2/manifest.json: ');
  const nowhere = await slipway('doctor', spec({ file: DIGITS, name: 'digits' }, { kubernetes: {} }));
  expect(nowhere.stdout).toContain('nobody says where it lies: give models[].manifest, or a model repository');
  const broken = path.join(repository, 'digits/2/manifest.json');
  rmSync(broken);
  writeFileSync(broken, '{');
  const damaged = await slipway('doctor', spec({ name: 'digits', version: 2 }));
  expect(damaged.stdout).toMatch(/^warning[^\n]*\n +\S+digits\/2\/manifest\.json: MANIFEST_INVALID/m);
});
