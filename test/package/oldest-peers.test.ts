import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { binary, install, makeScratch, packSlipway, removeScratch, ROOT, run } from './packed-package';

/** The lowest version of each engine package that package.json says is good enough. */
const { exports, peerDependencies } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
const OLDEST = Object.entries<string>(peerDependencies)
  .filter(([name]) => /pulumi|cdk|constructs/.test(name))
  .map(([name, range]) => `${name}@${/^\^(\d+\.\d+\.\d+)$/.exec(range)![1]}`);
let scratch: string;
let project: string;
let unreachable: string | undefined;

beforeAll(() => {
  scratch = makeScratch();
  project = path.join(scratch, 'project');
  mkdirSync(project);
  const { tarball } = packSlipway(scratch);
  unreachable = install(project, [tarball, ...OLDEST, 'typescript@5.9', '@types/node@20']);
  cpSync(path.join(ROOT, 'models/digits/model.onnx'), path.join(project, 'models/digits/model.onnx'));
  cpSync(path.join(ROOT, 'pulumi/examples/aws-gpu'), path.join(project, 'aws-gpu'), { recursive: true });
  cpSync(path.join(__dirname, 'projects/pulumi/run.mjs'), path.join(project, 'run.mjs'));
  const subPaths = Object.keys(exports).filter((name) => !name.endsWith('.json'));
  const imports = subPaths.map((name, i) => `export * as m${i} from '${name.replace('.', 'slipway')}';\n`);
  writeFileSync(path.join(project, 'every-sub-path.ts'), imports.join(''));
  cpSync(path.join(__dirname, 'projects/cdk/esm'), path.join(project, 'esm'), { recursive: true });
}, 600_000);
afterAll(() => removeScratch(scratch));
beforeEach((context) => {
  if (unreachable !== undefined) context.skip(unreachable);
});

test('a Pulumi example type-checks and previews with the oldest packages that are declared good enough', () => {
  const config = { clusterName: 'platform', subnetIds: '["subnet-a"]', imageDigest: `sha256:${'ab'.repeat(32)}` };
  const options = JSON.stringify({ preview: true, config });
  const { status, stdout, stderr } = run(process.execPath, ['run.mjs', 'aws-gpu', options], project);
  expect(status, stderr).toBe(0);
  expect(JSON.parse(stdout).types).toEqual(
    expect.arrayContaining(['aws:eks/nodeGroup:NodeGroup', 'kubernetes:keda.sh/v1alpha1:ScaledObject']),
  );
}, 120_000);

test('a CDK app type-checks and runs with the oldest packages that are declared good enough', () => {
  const esm = path.join(project, 'esm');
  const checked = run(binary(project, 'tsc'), ['-p', '.'], esm);
  expect(checked.status, checked.stdout).toBe(0);
  const { status, stdout, stderr } = run(process.execPath, ['build/app.js'], esm);
  expect(status, stderr).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ esm: true, same: true, scrubbed: true });
}, 120_000);

test('the declarations of every sub-path pass a library check', () => {
  // By the native compiler: it reads all of @pulumi/aws, which takes the other one half a minute.
  const compiler = path.join(ROOT, 'node_modules/@typescript/native/bin/tsc');
  const options = ['--module', 'nodenext', '--skipLibCheck', 'false', '--strict', '--noEmit', '--types', 'node'];
  const { stdout } = run(process.execPath, [compiler, ...options, '--pretty', 'false', 'every-sub-path.ts'], project);
  // @pulumi/policy 1.21.0 exports two names that its own declarations leave out: nobody's program passes with it.
  const errors = stdout.split('\n').filter((line) => /error TS/.test(line) && !/@pulumi\/policy\/index/.test(line));
  expect(errors).toEqual([]);
}, 120_000);
