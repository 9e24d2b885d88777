import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { readOnnxModel } from '../../runtime/onnx/read-onnx-model';
import { planInferenceService, readEnvironment } from '../../runtime/spec';
import { slipway } from './terminal';

const DIGITS = path.join(__dirname, '../../models/digits/model.onnx');
let folder: string;
let specFile: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-plan-'));
  specFile = write('service.yaml', { name: 'reader', models: [{ file: DIGITS, name: 'digits' }] });
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, spec: unknown): string {
  const file = path.join(folder, name);
  writeFileSync(file, JSON.stringify(spec));
  return file;
}

test('plan shows every decided number with where it comes from, within the width of the terminal', async () => {
  const { status, stdout, stderr } = await slipway('plan', specFile);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatchSnapshot();
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
});

test('plan says which numbers the author gave', async () => {
  const spec = {
    name: 'reader',
    models: [{ file: DIGITS, name: 'digits', maxBatchSize: 8 }],
    instanceTypes: ['g6.xlarge'],
    minReplicas: 3,
    stopTimeoutSeconds: 300,
  };
  const { stdout } = await slipway('plan', write('gpu.yaml', spec));
  for (const line of [/instance +g6\.xlarge +given/, /batch +up to 8 rows +given/, /min replicas +3 +given/]) {
    expect(stdout).toMatch(line);
  }
  expect(stdout).toMatch(/stop timeout +300 s +given/);
  expect(stdout).toMatch(/GPU memory needed +\d+ MiB/);
  expect(stdout).toMatch(/max replicas +12 +4 × min replicas/);
});

test('plan says what the machines cost, by the list or by the prices that are given', async () => {
  const file = write('cost.yaml', {
    name: 'reader',
    models: [{ file: DIGITS, name: 'digits' }],
    instanceTypes: ['g6.xlarge'],
  });
  const { stdout } = await slipway('plan', file);
  expect(stdout.slice(stdout.indexOf('Cost'))).toMatchInlineSnapshot(`
    "Cost
      at min replicas        1.61 USD an hour          machines alone; list of us-east-1 of 2026-02-09
        on spot              0.80 to 0.88 USD an hour  where spot machines are to be had
      at max replicas        6.44 USD an hour          the same
        on spot              3.21 to 3.51 USD an hour  where spot machines are to be had
      idle                   38.63 USD a day           24 hours at min replicas
      scale to zero          saves 38.63 USD a day     a day without requests, were min replicas 0
    "
  `);
  const paid = (await slipway('plan', file, '--price', 'g6.xlarge=0.5')).stdout;
  expect(paid).toMatch(/at max replicas +4\.00 USD an hour/);
  expect(paid).toContain('prices as given');
});

test('plan makes no price up', async () => {
  const models = [{ file: DIGITS, name: 'digits' }];
  const file = write('tencent.yaml', { name: 'reader', models, instanceTypes: ['GN7.2XLARGE32'] });
  expect((await slipway('plan', file)).stdout).toMatch(
    /machines +no price known +no price known for GN7\.2XLARGE32; say --price/,
  );
  expect((await slipway('plan', file, '--price', 'GN7.2XLARGE32=0.5')).stdout).toMatch(/idle +24\.00 USD a day/);
});

test.each([
  ['g6.xlarge', "error: --price must be an instance type and USD an hour, as in g6.xlarge=0.61, got 'g6.xlarge'\n"],
  [
    'g6.xlarge=-1',
    "error: --price must be an instance type and USD an hour, as in g6.xlarge=0.61, got 'g6.xlarge=-1'\n",
  ],
  ['g6.tiny=1', "error: UNKNOWN_INSTANCE_TYPE --price: got 'g6.tiny', known: g6.xlarge"],
])('plan refuses --price %s', async (price, sentence) => {
  expect((await slipway('plan', specFile, '--price', price)).stderr).toContain(sentence);
});

test('plan --json prints the plan itself', async () => {
  const { facts, files } = readOnnxModel(DIGITS);
  const listed = files.map(({ path: name, bytes, sha256 }) => ({ path: name, bytes, sha256 }));
  const plan = planInferenceService({ name: 'reader', models: [{ name: 'digits', version: 1, facts, files: listed }] });
  const { stdout } = await slipway('plan', specFile, '--json');
  expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(plan)));
});

test('plan refuses a contradiction with its code, its field and the two numbers', async () => {
  const spec = { name: 'reader', models: [{ file: DIGITS, name: 'digits' }], minReplicas: 3, maxReplicas: 2 };
  expect(await slipway('plan', write('contradiction.yaml', spec))).toEqual({
    status: 1,
    stdout: '',
    stderr: 'error: REPLICA_RANGE maxReplicas: must be at least minReplicas (3), got 2\n',
  });
});

test('a file that is not ONNX is one line that names the file', async () => {
  const file = path.join(folder, 'note.onnx');
  writeFileSync(file, 'not a model');
  const { status, stderr } = await slipway('model', 'inspect', file);
  expect(status).toBe(3);
  expect(stderr).toMatch(/^error: [A-Z_]+ .*note\.onnx: .+\n$/);
});

test('model inspect shows inputs, outputs, opset, weights, operators and the digest', async () => {
  const { stdout } = await slipway('model', 'inspect', DIGITS);
  for (const line of [
    /input +image FP32 \[batch, 1, 8, 8\]/,
    /output +probabilities FP32 \[batch, 10\]/,
    /opset +ai\.onnx 17/,
    /weights +101\.0 KiB/,
    /operators +Conv × 3/,
    /sha256 +[0-9a-f]{64} +model\.onnx/,
  ]) {
    expect(stdout).toMatch(line);
  }
  const facts = JSON.parse((await slipway('model', 'inspect', DIGITS, '--json')).stdout);
  expect(facts).toMatchObject({ facts: readOnnxModel(DIGITS).facts, files: [{ path: 'model.onnx' }] });
});

test('render prints the Kubernetes objects in the order in which they are applied', async () => {
  const { status, stdout } = await slipway(
    ...['render', specFile, '--image', 'registry.example/slipway@sha256:0', '--model-repository', 's3://models/team'],
    ...['--namespace', 'vision', '--cluster-name', 'east', '--client-namespace', 'web', '--client-namespace', 'batch'],
    ...['--service-account-annotation', 'eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/reader'],
  );
  expect(status).toBe(0);
  const objects = parseAllDocuments(stdout).map((document) => document.toJS());
  expect(objects.map(({ kind }) => kind)).toEqual([
    'ServiceAccount',
    'NetworkPolicy',
    'Deployment',
    'Service',
    'PodDisruptionBudget',
    'HorizontalPodAutoscaler',
  ]);
  expect(new Set(objects.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['vision']));
  expect(objects[0].metadata.annotations).toEqual({
    'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/reader',
  });
  expect(objects[1].spec.ingress[0].from).toHaveLength(2);

  const container = objects[2].spec.template.spec.containers[0];
  expect(container.image).toBe('registry.example/slipway@sha256:0');
  const settings = readEnvironment(
    Object.fromEntries(container.env.map((row: { name: string; value: string }) => [row.name, row.value])),
  );
  expect(settings).toMatchObject({ serviceName: 'reader', clusterName: 'east', startupBudgetSeconds: 60 });
  expect(JSON.parse(settings.models!)[0].files[0].uri).toBe('s3://models/team/digits/1/model.onnx');
});

test('an annotation without a value is refused', async () => {
  const { status, stderr } = await slipway(
    ...['render', specFile, '--image', 'x', '--model-repository', 's3://m', '--service-account-annotation', 'role'],
  );
  expect([status, stderr]).toEqual([2, "error: --service-account-annotation must be key=value, got 'role'\n"]);
});
