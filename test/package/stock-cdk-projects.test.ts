import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  binary,
  install,
  installedPackages,
  makeScratch,
  npm,
  packSlipway,
  removeScratch,
  ROOT,
  run,
} from './packed-package';

const PROJECTS = path.join(__dirname, 'projects/cdk');
let scratch: string;
let project: string;
let unreachable: string | undefined;

beforeAll(() => {
  scratch = makeScratch();
  project = path.join(scratch, 'stock');
  mkdirSync(project);
  const { tarball } = packSlipway(scratch);
  const made = run(binary(ROOT, 'cdk'), ['init', 'app', '--language', 'typescript', '--generate-only'], project);
  if (made.status !== 0) throw new Error(`cdk init failed: ${made.stderr}`);
  unreachable = install(project, [tarball]);
  cpSync(path.join(ROOT, 'models/digits/model.onnx'), path.join(project, 'models/digits/model.onnx'));
  cpSync(path.join(PROJECTS, 'lib'), path.join(project, 'lib'), { recursive: true });
  cpSync(path.join(PROJECTS, 'stock.jest.ts'), path.join(project, 'test/stock.test.ts'));
  cpSync(path.join(PROJECTS, 'esm'), path.join(project, 'esm'), { recursive: true });
}, 600_000);
afterAll(() => removeScratch(scratch));
beforeEach((context) => {
  if (unreachable !== undefined) context.skip(unreachable);
});

test("a CDK user's install holds no Pulumi and nothing that only the server loads", () => {
  const installed = installedPackages(project);
  expect(installed).toContain('aws-cdk-lib');
  expect(installed.filter((name) => /pulumi|onnxruntime|koffi|sharp/.test(name))).toEqual([]);
});

test("the jest tests of cdk init's project pass", () => {
  const { status, stderr } = npm(['test'], project);
  expect(stderr).toContain('5 passed');
  expect(status).toBe(0);
});

test("cdk synth works in cdk init's project, type check included", () => {
  const { status, stderr } = run(binary(project, 'cdk'), ['synth', '--quiet'], project);
  expect(status, stderr).toBe(0);
  const template = JSON.parse(readFileSync(path.join(project, 'cdk.out/StockStack.template.json'), 'utf8'));
  const types = Object.values<{ Type: string }>(template.Resources).map(({ Type }) => Type);
  expect(types).toEqual(expect.arrayContaining(['AWS::ECS::Service', 'AWS::S3::Bucket']));
});

test('the image is built from what the package brings, not from a checkout', () => {
  const { files, dockerImages } = JSON.parse(
    readFileSync(path.join(project, 'cdk.out/StockStack.assets.json'), 'utf8'),
  );
  expect(Object.keys(files).length).toBeGreaterThan(0);
  const [image] = Object.values<{ source: { directory: string } }>(dockerImages);
  const context = path.join(project, 'cdk.out', image!.source.directory);
  for (const name of ['Dockerfile', 'server.mjs', 'package-lock.json']) {
    expect(existsSync(path.join(context, name)), name).toBe(true);
  }
});

test('an ESM CDK app type-checks and runs', () => {
  const esm = path.join(project, 'esm');
  const checked = run(binary(project, 'tsc'), ['-p', '.'], esm);
  expect(checked.status, checked.stdout).toBe(0);
  const { status, stdout, stderr } = run(process.execPath, ['build/app.js'], esm);
  expect(status, stderr).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ esm: true, same: true, scrubbed: true });
});

test('slipway serve says which package is missing and how to get it', () => {
  const { status, stderr } = run(binary(project, 'slipway'), ['serve', '--model-repository', 'models'], project);
  expect([status, stderr]).toEqual([
    1,
    'error: serving needs onnxruntime-node, which is not installed; run npm install --ignore-scripts onnxruntime-node@1.30.0 (its script downloads 400 MB of CUDA)\n',
  ]);
});
