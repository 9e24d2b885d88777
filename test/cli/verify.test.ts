import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startCluster, whyNoCluster, type TestCluster } from '../support/kubernetes-cluster';
import { toolOnPath } from '../support/tools';
import { slipway, type CommandResult } from './terminal';

// Programs, servers and the CDK's command line run in processes of their own.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 200_000 });

const root = path.join(__dirname, '../..');
const DIGITS = path.join(root, 'models/digits/model.onnx');
const IMAGE = `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`;

let folder: string;
let spec: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-verify-'));
  spec = path.join(folder, 'service.yaml');
  vi.stubEnv('TEST_KUBECONFIG', undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const write = (kubernetes: object = {}, more: object = {}) =>
  writeFileSync(
    spec,
    JSON.stringify({
      name: 'digits',
      preset: 'development',
      models: [{ file: DIGITS }],
      kubernetes: { image: IMAGE, modelRepository: 's3://team-models', ...kubernetes },
      ...more,
    }),
  );

/** Outcome and reason of each step, as they are printed. */
function steps({ stdout }: CommandResult): Record<string, string> {
  const lines = stdout.split('\n').filter((line) => /^[a-z]/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, 12).trim(), line.slice(12)]));
}

describe('a spec file', () => {
  test('is previewed, held against the rules, and its model predicts; what cannot be done here says why', async () => {
    write();
    const result = await slipway('verify', spec);
    expect(result.status, result.stdout + result.stderr).toBe(0);
    expect(steps(result)).toEqual({
      program: 'passed   preview and up declare the same 6 resources',
      rules: 'passed   6 resources, 0 errors, 0 warnings',
      cluster: 'skipped  no test cluster is named; give --kubeconfig, or set TEST_KUBECONFIG',
      emulator: 'skipped  only CloudFormation can be deployed to the emulator, and this is no CDK app',
      image: expect.stringMatching(/^skipped {2}/),
      prediction: 'passed   the golden input gives the golden output: digits version 1',
    });
  });

  test('that breaks a rule fails, and the line says which rule and where; with --except it does not', async () => {
    write({ image: 'registry.example.com/slipway:latest' });
    const broken = await slipway('verify', spec, '--only', 'rules');
    expect(broken.status).toBe(1);
    expect(broken.stderr).toBe('error: failed: rules\n');
    expect(broken.stdout).toMatch(/^rules {7}failed {3}6 resources, 1 errors/);
    expect(broken.stdout).toContain('            error image-by-digest: ');
    const excepted = await slipway('verify', spec, '--only', 'rules', '--except', 'image-by-digest');
    expect([excepted.status, excepted.stdout]).toEqual([0, 'rules       passed   6 resources, 0 errors, 0 warnings\n']);
  });

  test('that contradicts itself fails with the sentence of slipway up, and what needs its objects is skipped', async () => {
    write({}, { minReplicas: 3, maxReplicas: 2 });
    const result = await slipway('verify', spec, '--only', 'program', '--only', 'rules');
    expect(result.status).toBe(1);
    expect(steps(result)).toEqual({
      program: expect.stringMatching(/^failed {3}.*maxReplicas/),
      rules: 'skipped  the program does not run',
    });
  });

  test('as JSON says the same', async () => {
    write();
    const { stdout, status } = await slipway('verify', spec, '--json', '--only', 'emulator', '--only', 'cluster');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).steps.map(({ step, state }: any) => `${step} ${state}`)).toEqual([
      'cluster skipped',
      'emulator skipped',
    ]);
  });
});

describe('the prediction', () => {
  test('fails where the model no longer gives what was proven', async () => {
    const repository = path.join(folder, 'models');
    await slipway('model', 'publish', DIGITS, repository);
    const version = path.join(repository, 'digits/1');
    const manifest = JSON.parse(readFileSync(path.join(version, 'manifest.json'), 'utf8'));
    // Another golden output, entered with its digest: a proof that this model cannot give.
    const { createHash } = await import('node:crypto');
    const golden = path.join(version, manifest.golden.outputs[0].path);
    const content = readFileSync(golden);
    content.writeFloatLE(0.5, 0);
    writeFileSync(golden, content);
    const entry = manifest.files.find((file: any) => file.path === manifest.golden.outputs[0].path);
    entry.sha256 = createHash('sha256').update(content).digest('hex');
    writeFileSync(path.join(version, 'manifest.json'), JSON.stringify(manifest));
    write({}, { models: [{ manifest: path.join(version, 'manifest.json') }] });
    const result = await slipway('verify', spec, '--only', 'prediction');
    expect(result.status).toBe(1);
    expect(result.stdout).toMatch(/^prediction {2}failed/);
    expect(result.stdout).toContain('golden');
  });

  test('of a model whose files lie elsewhere is skipped, and says how to do it', async () => {
    await slipway(
      'model',
      'publish',
      DIGITS,
      path.join(folder, 'models'),
      '--manifest-file',
      path.join(folder, 'm.json'),
    );
    write({}, { models: [{ manifest: 'm.json' }] });
    const result = await slipway('verify', spec, '--only', 'prediction');
    expect(steps(result)['prediction']).toBe(
      'skipped  digits version 1: model.onnx is not beside its manifest; give its file with --model',
    );
    const named = await slipway('verify', spec, '--only', 'prediction', '--model', DIGITS);
    expect(named.status).toBe(0);
    expect(steps(named)['prediction']).toBe('passed   the golden input gives the golden output: digits version 1');
  });
});

describe('a Pulumi program', () => {
  function program(source: string): string {
    writeFileSync(path.join(folder, 'Pulumi.yaml'), 'name: team\nruntime: nodejs\n');
    writeFileSync(
      path.join(folder, 'tsconfig.json'),
      '{ "compilerOptions": { "module": "nodenext", "strict": true } }',
    );
    writeFileSync(path.join(folder, 'package.json'), '{ "main": "index.ts" }');
    symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
    writeFileSync(path.join(folder, 'index.ts'), source);
    return folder;
  }

  test('is run with the configuration of its stack and the answers that were given', async () => {
    program(`
      import * as pulumi from '@pulumi/pulumi';
      import * as k8s from '@pulumi/kubernetes';
      import * as aws from '@pulumi/aws';
      const config = new pulumi.Config();
      const region = aws.ssm.getParameterOutput({ name: 'region' });
      const bucket = new aws.s3.Bucket('models');
      new k8s.core.v1.ConfigMap(config.require('name'), {
        data: { region: region.value, arn: bucket.arn, key: config.requireSecret('key').apply((key) => key.toUpperCase()) },
      });
    `);
    writeFileSync(
      path.join(folder, 'Pulumi.test.yaml'),
      'config:\n  team:name: settings\n  team:key:\n    secure: v1:abc\n',
    );
    const answers = path.join(folder, 'answers.yaml');
    writeFileSync(
      answers,
      'functions:\n  aws:ssm/getParameter:getParameter: { value: eu-west-1 }\nresources:\n  aws:s3/bucket:Bucket: { arn: "arn:aws:s3:::models" }\n',
    );
    const only = ['--only', 'program', '--stack', 'test'];
    const alone = await slipway('verify', folder, ...only);
    expect(alone.status).toBe(1);
    expect(alone.stdout).toContain('aws:ssm/getParameter:getParameter');
    const answered = await slipway('verify', folder, ...only, '--answers', answers);
    expect(answered.stdout).toBe('program     passed   preview and up declare the same 2 resources\n');
  });

  test('that makes a resource inside apply fails: a preview would not have shown it', async () => {
    program(`
      import * as k8s from '@pulumi/kubernetes';
      const one = new k8s.core.v1.ConfigMap('one', {});
      one.id.apply((id) => new k8s.core.v1.ConfigMap('two', { data: { id } }));
    `);
    const result = await slipway('verify', folder, '--only', 'program');
    expect(result.status).toBe(1);
    expect(steps(result)['program']).toMatch(/^failed {3}made by up, not shown by preview: .*ConfigMap::two$/);
  });

  test('with a bucket that may become public breaks a rule of the policy pack', async () => {
    program("import * as aws from '@pulumi/aws';\nnew aws.s3.Bucket('models');\n");
    const result = await slipway('verify', folder, '--only', 'rules');
    expect(result.status).toBe(1);
    expect(result.stdout).toContain(
      'error bucket-not-public: aws:s3/bucket:Bucket models: has no BucketPublicAccessBlock',
    );
  });
});

describe('an API server', () => {
  const missing = whyNoCluster();
  /** Somebody may have installed KEDA. */
  const notAlone = whyNoCluster({ alone: true });
  let cluster: TestCluster | undefined;
  beforeAll(async () => {
    if (missing === undefined) cluster = await startCluster();
  });
  afterAll(() => cluster?.stop());

  test('takes every object without storing one, of a namespace that is not there too', async (ctx) => {
    if (cluster === undefined) return ctx.skip(missing);
    write({ namespace: 'slipway-test-nobody', createNamespace: true });
    const before = await cluster.kubectl('get', 'all,sa,networkpolicies,ns', '-A', '-o', 'name');
    const result = await slipway('verify', spec, '--only', 'cluster', '--kubeconfig', cluster.kubeconfig);
    expect(result.stdout).toBe(
      'cluster     passed   the API server takes all 7 objects\n' +
        '            namespace slipway-test-nobody is not there yet; its objects were asked for in default\n',
    );
    expect(await cluster.kubectl('get', 'all,sa,networkpolicies,ns', '-A', '-o', 'name')).toBe(before);
  });

  test('that has no such kind, or no such field, fails the step with its own words', async (ctx) => {
    if (cluster === undefined || notAlone !== undefined) return ctx.skip(missing ?? notAlone);
    write({}, { metricsFrom: 'keda' });
    vi.stubEnv('TEST_KUBECONFIG', cluster.kubeconfig);
    const keda = await slipway('verify', spec, '--only', 'cluster');
    expect(keda.status).toBe(1);
    expect(keda.stdout).toContain('no matches for kind "ScaledObject" in version "keda.sh/v1alpha1"');

    mkdirSync(path.join(folder, 'program'));
    const index = `
      import * as k8s from '@pulumi/kubernetes';
      new k8s.apiextensions.CustomResource('one', {
        apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one' }, dta: { a: 'b' },
      });
    `;
    for (const [name, text] of Object.entries({
      'Pulumi.yaml': 'name: team\nruntime: nodejs\n',
      'package.json': '{ "main": "index.ts" }',
      'tsconfig.json': '{ "compilerOptions": { "module": "nodenext" } }',
      'index.ts': index,
    })) {
      writeFileSync(path.join(folder, 'program', name), text);
    }
    symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'program/node_modules'));
    const wrong = await slipway('verify', path.join(folder, 'program'), '--only', 'cluster');
    expect(wrong.status).toBe(1);
    expect(wrong.stdout).toContain('unknown field "dta"');
  });
});

test('without being named, the current context of the machine is never asked', async () => {
  const kubeconfig = path.join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, 'apiVersion: v1\nkind: Config\n');
  vi.stubEnv('KUBECONFIG', kubeconfig);
  write();
  expect(steps(await slipway('verify', spec, '--only', 'cluster'))['cluster']).toMatch(
    /^skipped {2}no test cluster is named/,
  );
});

describe('a CDK app', () => {
  const APP = `
    const { App, Stack, CfnParameter, aws_ecs: ecs, aws_sqs: sqs } = require('aws-cdk-lib');
    const stack = new Stack(new App(), 'Team');
    new sqs.Queue(stack, 'Queue');
    if (process.env.TEAM_PARAMETER) new CfnParameter(stack, 'Image');
    if (process.env.TEAM_GPU) {
      const task = new ecs.FargateTaskDefinition(stack, 'Task');
      const container = task.addContainer('server', { image: ecs.ContainerImage.fromRegistry('server') });
      task.node.defaultChild.addPropertyOverride('ContainerDefinitions.0.ResourceRequirements', [{ Type: 'GPU', Value: '1' }]);
    }
  `;
  beforeEach(() => {
    writeFileSync(path.join(folder, 'app.js'), APP);
    writeFileSync(path.join(folder, 'cdk.json'), '{ "app": "node app.js" }');
    writeFileSync(path.join(folder, 'package.json'), '{}');
    symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  });

  test('is synthesized, held against the rules, and deployed to the emulator', async (ctx) => {
    const result = await slipway('verify', folder);
    expect(result.status, result.stdout + result.stderr).toBe(0);
    const { program, rules, emulator } = steps(result);
    expect([program, rules]).toEqual([
      'passed   1 templates are synthesized',
      'passed   1 templates, 0 errors, 0 warnings',
    ]);
    if (toolOnPath('moto_server') === undefined) ctx.skip('moto_server is not on the PATH');
    expect(emulator).toBe('passed   1 stacks came up in the emulator');
  });

  test('with a GPU on Fargate breaks a rule', async () => {
    vi.stubEnv('TEAM_GPU', '1');
    const result = await slipway('verify', folder, '--only', 'rules');
    expect(result.status).toBe(1);
    expect(result.stdout).toContain('error GPU_ON_FARGATE: Team ');
  });

  test('with a parameter that nobody gave is not deployed, and says which', async (ctx) => {
    if (toolOnPath('moto_server') === undefined) ctx.skip('moto_server is not on the PATH');
    vi.stubEnv('TEAM_PARAMETER', '1');
    const result = await slipway('verify', folder, '--only', 'emulator');
    expect(steps(result)['emulator']).toBe(
      'skipped  parameters have no default: Team:Image; give each as --parameter stack:name=value',
    );
  });

  test('that does not run fails with the words of the app', async () => {
    writeFileSync(path.join(folder, 'app.js'), "throw new Error('no model there');");
    const result = await slipway('verify', folder, '--only', 'program', '--only', 'rules');
    expect(result.status).toBe(1);
    expect(steps(result)).toEqual({ program: 'failed   cdk synth failed', rules: 'skipped  the program does not run' });
    expect(result.stdout).toContain('no model there');
  });
});

describe('a command line that cannot be meant is refused', () => {
  test.each([
    [
      ['--only', 'everything'],
      "--only must be one of program, rules, cluster, emulator, image, prediction, got 'everything'",
    ],
    [['--config', 'name'], "--config must be key=value, got 'name'"],
  ])('%j', async (flags, message) => {
    write();
    expect(await slipway('verify', spec, ...flags)).toEqual({ status: 2, stdout: '', stderr: `error: ${message}\n` });
  });

  test('a folder with no program in it', async () => {
    const { status, stderr } = await slipway('verify', folder);
    expect(status).toBe(1);
    expect(stderr).toContain('has neither Pulumi.yaml nor cdk.json; give the folder of a program, or a spec file');
  });

  test('answers that are none', async () => {
    write();
    const answers = path.join(folder, 'answers.json');
    writeFileSync(answers, '{ "resource": {} }');
    expect((await slipway('verify', spec, '--answers', answers)).stderr).toContain(
      'must hold { resources: { <type>: outputs }, functions: { <token>: result } }',
    );
  });
});
