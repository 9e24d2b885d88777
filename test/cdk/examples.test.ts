import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { beforeAll, expect, test } from 'vitest';
import { DigitsGpuStack, DigitsStack, DigitsStoresStack } from '../../cdk/examples/digits/app';
import { toolOnPath } from '../support/tools';
import { cdk, emptyFolder } from './support/cdk-cli';
import { FLAGS } from './support/stacks';

const run = promisify(execFile);
const STACKS = ['Digits', 'DigitsStores', 'DigitsGpu'];

interface Template {
  readonly Resources: Record<
    string,
    { readonly Type: string; readonly Properties?: unknown; readonly DeletionPolicy?: string }
  >;
  readonly Parameters?: Record<string, unknown>;
}

const output = emptyFolder();
let printed: string;

/** What the CLI wrote, with built-in validation on and its findings made errors by `cdk.json`. */
function templateOf(stack: string): Template {
  return JSON.parse(readFileSync(join(output, `${stack}.template.json`), 'utf8')) as Template;
}

beforeAll(async () => {
  printed = await cdk(['synth', '--quiet', '--output', output, '--no-version-reporting', '--no-path-metadata']);
});

test('the pinned CLI is not the accidental release that cannot read what the library writes', () => {
  const build = JSON.parse(readFileSync('node_modules/aws-cdk/package.json', 'utf8')) as { version: string };
  expect(build.version).toMatch(/^2\./);
});

test('cdk ls names the three stacks', async () => {
  const lines = (await cdk(['ls', '--output', emptyFolder()])).split('\n');
  expect(lines).toEqual(expect.arrayContaining(STACKS));
});

test('cdk synth works in a clone without account, region or container tool, and passes the default rules', () => {
  expect(readdirSync(output)).toEqual(expect.arrayContaining(STACKS.map((stack) => `${stack}.template.json`)));
  expect(printed).not.toContain('ERROR');
  expect(printed).not.toContain('deprecated');
});

for (const stack of STACKS) {
  test(`the template of ${stack} is as reviewed: a changed logical id replaces somebody's resource`, async () => {
    // The image's hash changes with the server; everything else is a promise.
    const text = readFileSync(join(output, `${stack}.template.json`), 'utf8').replaceAll(
      /(container-assets-\$\{AWS::AccountId\}-\$\{AWS::Region\}:)[0-9a-f]{64}/g,
      '$1<image>',
    );
    await expect(text).toMatchFileSnapshot(`__snapshots__/${stack}.template.json`);
  });

  test(`${stack} can be deployed by itself: it imports nothing of another stack and exports nothing`, () => {
    const text = JSON.stringify(templateOf(stack));
    for (const word of ['Fn::ImportValue', 'Fn::GetStackOutput', '"Export"']) expect(text).not.toContain(word);
  });

  test(`${stack} names its account, region and partition nowhere and runs no Lambda function`, () => {
    const template = templateOf(stack);
    expect(JSON.stringify(template.Resources)).not.toMatch(/arn:aws:|us-east-1/);
    const types = Object.values(template.Resources).map(({ Type }) => Type);
    expect(types.filter((type) => /Lambda|^Custom::|CustomResource/.test(type))).toEqual([]);
  });
}

test('the CPU service asks for nothing before its first deployment', () => {
  expect(Object.keys(templateOf('Digits').Parameters ?? {})).toEqual(['BootstrapVersion']);
});

test('deleting the CPU service deletes every resource of its stack', () => {
  const kept = Object.entries(templateOf('Digits').Resources).filter(
    ([, resource]) => 'Retain' === resource.DeletionPolicy,
  );
  expect(kept).toEqual([]);
});

test('the GPU service takes its image by a digest that the one who deploys must give', () => {
  const parameter = templateOf('DigitsGpu').Parameters!['Image'];
  expect(parameter).toMatchObject({ Type: 'String', AllowedPattern: '^[^@]+/slipway@sha256:[0-9a-f]{64}$' });
  expect(parameter).not.toHaveProperty('Default');
});

test('cdk-nag finds nothing in the examples that is not acknowledged with a reason', () => {
  for (const flags of Object.values(FLAGS)) {
    const app = new App({ context: flags, outdir: emptyFolder(), analyticsReporting: false });
    new DigitsStack(app, 'Digits');
    new DigitsStoresStack(app, 'DigitsStores');
    new DigitsGpuStack(app, 'DigitsGpu');
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    const { directory } = app.synth();
    const report = JSON.parse(readFileSync(join(directory, 'validation-report.json'), 'utf8')) as {
      pluginReports: {
        pluginName: string;
        violations: unknown[];
        suppressedViolations: { ruleName: string; reason: string }[];
      }[];
    };
    const nag = report.pluginReports.find(({ pluginName }) => pluginName === 'AwsSolutions')!;
    expect(nag.violations).toEqual([]);
    const acknowledged = new Set(nag.suppressedViolations.map(({ ruleName }) => ruleName.replace(/\[.*/, '')));
    expect([...acknowledged].sort()).toEqual([
      'AwsSolutions-AS3',
      'AwsSolutions-EC26',
      'AwsSolutions-ECS2',
      'AwsSolutions-ELB2',
      'AwsSolutions-IAM5',
      'AwsSolutions-S1',
    ]);
    for (const { reason } of nag.suppressedViolations) expect(reason.length).toBeGreaterThan(20);
  }
});

test('cfn-lint finds nothing', async (ctx) => {
  const linter = toolOnPath('cfn-lint');
  if (linter === undefined) return ctx.skip('cfn-lint is not on the PATH');
  const { stdout } = await run(
    linter,
    STACKS.map((stack) => join(output, `${stack}.template.json`)),
  );
  expect(stdout.trim()).toBe('');
});
