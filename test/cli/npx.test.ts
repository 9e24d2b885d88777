import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('npx slipway runs in the checkout, as the read-me says', () => {
  const root = join(__dirname, '../..');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const printed = execFileSync('npx', ['--no-install', 'slipway', '--version'], { cwd: root, encoding: 'utf8' });
  expect(printed.trim()).toBe(version);
});
