import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../runtime/cli/commands';
import { serve } from '../../runtime/cli/serve';
import { ENVIRONMENT, flagOfVariable } from '../../runtime/spec';
import { slipway } from './terminal';

test('commands, arguments and flags are public API and change only on purpose', async () => {
  const pages = [(await slipway('--help')).stdout];
  for (const { name } of COMMANDS) pages.push((await slipway(...name.split(' '), '--help')).stdout);
  await expect(pages.join(`\n${'='.repeat(100)}\n\n`)).toMatchFileSnapshot('public-api.snapshot.txt');
});

test('no help page is wider than a hundred columns', async () => {
  for (const { name } of COMMANDS) {
    const { status, stdout } = await slipway(...name.split(' '), '--help');
    expect(status).toBe(0);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  }
});

test('every variable of the server is a flag of serve, and serve has no other flag', () => {
  const flags = Object.keys(serve.options).map((option) => `--${option}`);
  expect(flags).toEqual(Object.values(ENVIRONMENT).map(({ variable }) => flagOfVariable(variable)));
});

test('--version prints the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(path.join(__dirname, '../../package.json'), 'utf8'));
  expect(await slipway('--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
});

test('no command at all prints the help', async () => {
  expect(await slipway()).toEqual(await slipway('--help'));
});
