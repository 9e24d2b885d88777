import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, test, vi } from 'vitest';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

vi.setConfig({ testTimeout: 120_000 });

const page = readFileSync(join(__dirname, '../../docs/model/publish.md'), 'utf8');

describe('what docs/model/publish.md shows can be typed, and prints what it says', () => {
  const reader = new Reader();
  afterAll(() => reader.leave());

  test.for(readConsoleBlocks(page).map((shown, i) => [`${i + 1}: ${shown.command}`, shown] as const))(
    '%s',
    ([, shown], context) => reader.type(shown, context),
  );
});
