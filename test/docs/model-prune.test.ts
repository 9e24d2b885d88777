import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CLUSTER_ACCEPTANCE } from '../../runtime/model/compress/cluster-model';
import { PRUNE_ACCEPTANCE } from '../../runtime/model/prune/prune-model';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

const PAGE = readFileSync(join(__dirname, '../../docs/model/prune.md'), 'utf8');

describe('what docs/model/prune.md shows can be typed, and prints what it says', () => {
  const reader = new Reader();
  afterAll(() => reader.leave());

  test.for(readConsoleBlocks(PAGE).map((shown) => [shown.command, shown] as const))('%s', ([, shown], context) =>
    reader.type(shown, context),
  );
});

test('the page says what is asked by default', () => {
  for (const [command, { minAgreement, tolerance }] of [
    ['prune', PRUNE_ACCEPTANCE],
    ['cluster', CLUSTER_ACCEPTANCE],
  ] as const) {
    const row = `| \`${command}\` | ${minAgreement! * 100} % of rows keep their class | no difference above ${tolerance! * 100} % |`;
    expect(PAGE).toContain(row);
  }
});
