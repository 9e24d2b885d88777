import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { ENDPOINT_PROTOCOLS } from '../../runtime/model/evaluate/endpoint/open-endpoint';
import { EVALUATION_TASKS } from '../../runtime/model/evaluate/task-evaluator';
import * as runtime from '../../runtime/index';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

vi.setConfig({ testTimeout: 120_000 });

const page = readFileSync(join(__dirname, '../../docs/model/evaluate.md'), 'utf8');

describe('what docs/model/evaluate.md shows can be typed, and prints what it says', () => {
  const reader = new Reader();
  afterAll(() => reader.leave());

  test.for(readConsoleBlocks(page).map((shown, i) => [`${i + 1}: ${shown.command}`, shown] as const))(
    '%s',
    ([, shown], context) => reader.type(shown, context),
  );
});

test('its table has every task, and its text every protocol', () => {
  expect([...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, task]) => task)).toEqual([...EVALUATION_TASKS]);
  for (const protocol of ENDPOINT_PROTOCOLS) expect(page).toContain(`\`${protocol}\``);
});

test('its functions are exported', () => {
  const [, names] = /import \{ ([\w, ]+) \} from 'slipway\/runtime'/.exec(page)!;
  for (const name of names!.split(', ')) expect(runtime).toHaveProperty(name);
});
