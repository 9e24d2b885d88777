import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  binary,
  install,
  installedPackages,
  makeScratch,
  packSlipway,
  removeScratch,
  ROOT,
  run,
} from './packed-package';

const PROJECTS = path.join(__dirname, 'projects/pulumi');
/** The current TypeScript template of Pulumi, the one before it, and an ES module. */
const PROGRAMS = ['nodenext', 'commonjs', 'esm'];
let scratch: string;
let project: string;
let unreachable: string | undefined;

beforeAll(() => {
  scratch = makeScratch();
  project = path.join(scratch, 'stock');
  mkdirSync(project);
  const { tarball } = packSlipway(scratch);
  // One install for the three: each program is a folder with its own package.json and tsconfig.json below it.
  const development = { '@types/node': '^20', tsx: '^4.23.0', typescript: '^5.9.0' };
  const dependencies = { '@pulumi/aws': '^7.40.0', '@pulumi/kubernetes': '^4.30.0', '@pulumi/pulumi': '^3.200.0' };
  writeFileSync(
    path.join(project, 'package.json'),
    JSON.stringify({ name: 'stock', private: true, dependencies, devDependencies: development }),
  );
  unreachable = install(project, [tarball]);
  cpSync(path.join(ROOT, 'models/digits/model.onnx'), path.join(project, 'model.onnx'));
  cpSync(path.join(PROJECTS, 'run.mjs'), path.join(project, 'run.mjs'));
  for (const program of PROGRAMS) {
    cpSync(path.join(PROJECTS, program), path.join(project, program), { recursive: true });
    cpSync(path.join(PROJECTS, 'index.ts'), path.join(project, program, 'index.ts'));
  }
}, 600_000);
afterAll(() => removeScratch(scratch));
beforeEach((context) => {
  if (unreachable !== undefined) context.skip(unreachable);
});

test("a Pulumi user's install holds no CDK, no other cloud and nothing that only the server loads", () => {
  const installed = installedPackages(project);
  expect(installed).toContain('@pulumi/kubernetes');
  expect(installed.filter((name) => /cdk|^constructs$|onnxruntime|koffi|sharp/.test(name))).toEqual([]);
  expect(installed.filter((name) => /^@pulumi\/(gcp|azure|alicloud|docker-build|policy)/.test(name))).toEqual([]);
});

test.each(PROGRAMS)(
  "a program in the %s shape type-checks and runs, sub-paths included, through slipway/testing's engine",
  (program) => {
    if (program === 'esm') {
      // tsx, which runs this one, does not check types; Pulumi's own loader does for the others.
      const checked = run(binary(project, 'tsc'), ['-p', program, '--noEmit'], project);
      expect(checked.status, checked.stdout).toBe(0);
    }
    const { status, stdout, stderr } = run(process.execPath, ['run.mjs', program], project);
    expect(status, stderr).toBe(0);
    const { types, outputs } = JSON.parse(stdout);
    expect(types).toEqual(
      expect.arrayContaining([
        'aws:s3/bucket:Bucket',
        'kubernetes:apps/v1:Deployment',
        'slipway:index:InferenceService',
      ]),
    );
    expect(outputs).toEqual({ url: 'http://digits.inference.svc:8080', port: 8080 });
  },
  120_000,
);
