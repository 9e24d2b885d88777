import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { readServiceFile } from '../../runtime/cli/spec-file';
import { STEPS } from '../../runtime/cli/verify/verification';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

vi.setConfig({ testTimeout: 120_000 });

const page = readFileSync(join(__dirname, '../../docs/pulumi/command-line.md'), 'utf8');

describe('what docs/pulumi/command-line.md shows can be typed, and prints what it says', () => {
  const reader = new Reader();
  afterAll(() => reader.leave());

  test.for(readConsoleBlocks(page).map((shown, i) => [`${i + 1}: ${shown.command}`, shown] as const))(
    '%s',
    ([, shown], context) => reader.type(shown, context),
  );
});

test('its example is the one that the schema beside it is for, and can be read', () => {
  const file = join(__dirname, '../../docs/examples/service.yaml');
  expect(readFileSync(file, 'utf8')).toContain('# yaml-language-server: $schema=../spec.schema.json');
  expect(readServiceFile(file).spec.models).toHaveLength(1);
});

test('its table has every step of a verification', () => {
  expect([...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, step]) => step)).toEqual([...STEPS]);
});
