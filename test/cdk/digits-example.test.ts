import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { cdk, emptyFolder } from './support/cdk-cli';

const STACKS = ['Digits', 'DigitsStores', 'DigitsGpu'];

interface Template {
  readonly Resources: Readonly<Record<string, { readonly DeletionPolicy?: string }>>;
  readonly Parameters?: Readonly<Record<string, unknown>>;
}

const output = emptyFolder();
let printed: string;

function templateOf(stack: string): Template {
  return JSON.parse(readFileSync(join(output, `${stack}.template.json`), 'utf8')) as Template;
}

// As the README has it: through the CLI and `cdk.json`, with CDK's own rules on and their findings made errors.
beforeAll(async () => {
  printed = await cdk(['synth', '--quiet', '--output', output]);
});

test('the pinned CLI is not the accidental release that cannot read what the library writes', () => {
  const build = JSON.parse(readFileSync('node_modules/aws-cdk/package.json', 'utf8')) as { version: string };
  expect(build.version).toMatch(/^2\./);
});

test('cdk ls names the three stacks', async () => {
  expect((await cdk(['ls', '--app', output])).split('\n')).toEqual(expect.arrayContaining(STACKS));
});

test('cdk synth works in a clone without account, region or container tool, and passes the default rules', () => {
  expect(readdirSync(output)).toEqual(expect.arrayContaining(STACKS.map((stack) => `${stack}.template.json`)));
  expect(printed).not.toContain('ERROR');
  expect(printed).not.toContain('deprecated');
});

test('the CPU service asks for nothing before its first deployment', () => {
  expect(Object.keys(templateOf('Digits').Parameters ?? {})).toEqual(['BootstrapVersion']);
});

test('deleting the CPU service deletes every resource of its stack', () => {
  const resources = Object.entries(templateOf('Digits').Resources);
  expect(resources.filter(([, { DeletionPolicy }]) => DeletionPolicy === 'Retain')).toEqual([]);
});

test('the GPU service takes its image by a digest that the one who deploys must give', () => {
  const parameter = templateOf('DigitsGpu').Parameters!['Image'];
  expect(parameter).toMatchObject({ Type: 'String', AllowedPattern: '^[^@]+/slipway@sha256:[0-9a-f]{64}$' });
  expect(parameter).not.toHaveProperty('Default');
});
