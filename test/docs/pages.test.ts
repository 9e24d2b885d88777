import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

/** Pages, or the part of one, on which everything can be typed on one machine, from top to bottom. */
const PAGES: readonly (readonly [page: string, section: RegExp])[] = [
  // What comes before needs an account, a cluster or Docker.
  ['README.md', /^## Serve by hand\n[\s\S]*?(?=^## )/m],
  ['docs/server.md', /[\s\S]*/],
  ['docs/model-repository.md', /[\s\S]*/],
  ['docs/operations.md', /[\s\S]*/],
];

describe.each(PAGES)('what %s shows can be typed, and prints what it says', (page, section) => {
  const commands = readConsoleBlocks(section.exec(readFileSync(join(__dirname, '../..', page), 'utf8'))![0]);
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
