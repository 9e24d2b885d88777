import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { PREPROCESSING_LIMITS } from '../../runtime/spec/preprocessing';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

vi.setConfig({ testTimeout: 120_000 });

const ROOT = join(__dirname, '../..');
const pageOf = (name: string): string => readFileSync(join(ROOT, `docs/model/${name}.md`), 'utf8');

describe.each(['preprocessing', 'evidence'])(
  'what docs/model/%s.md shows can be typed, and prints what it says',
  (name) => {
    const reader = new Reader();
    afterAll(() => reader.leave());

    test.for(readConsoleBlocks(pageOf(name)).map((shown, i) => [`${i + 1}: ${shown.command}`, shown] as const))(
      '%s',
      ([, shown], context) => reader.type(shown, context),
    );
  },
);

test('the file that the page shows is the one in the examples', () => {
  const [, shown] = /```yaml\n# docs\/examples\/digit-preprocessing\.yaml\n([\s\S]*?)```/.exec(
    pageOf('preprocessing'),
  )!;
  const file = readFileSync(join(ROOT, 'docs/examples/digit-preprocessing.yaml'), 'utf8');
  expect(file.replace(/^#.*\n/, '')).toBe(shown);
});

test('the limits that the page names are those that are kept', () => {
  expect(pageOf('preprocessing')).toContain(`a side ${PREPROCESSING_LIMITS.side.toLocaleString('en')} of the model's`);
  expect(pageOf('preprocessing')).toContain(`at most ${PREPROCESSING_LIMITS.tokenizerBytes / 2 ** 20} MiB`);
});
