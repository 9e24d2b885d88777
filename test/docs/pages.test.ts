import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

/** Pages on which everything can be typed on one machine, from top to bottom. */
const PAGES = ['docs/server.md', 'docs/model-repository.md', 'docs/operations.md'];

describe.each(PAGES)('what %s shows can be typed, and prints what it says', (page) => {
  const commands = readConsoleBlocks(readFileSync(join(__dirname, '../..', page), 'utf8'));
  const reader = new Reader();
  afterAll(() => reader.leave());

  test('it shows something', () => {
    expect(commands.length).toBeGreaterThan(2);
    expect(commands.some(({ command }) => command.startsWith('npx slipway serve '))).toBe(true);
  });

  test.for(commands.map((shown) => [shown.command, shown] as const))('%s', ([, shown], context) =>
    reader.type(shown, context),
  );
});
