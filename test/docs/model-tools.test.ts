import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { CONVERTERS } from '../../runtime/model/convert/conversion-source';
import { settingsOf } from '../../runtime/model/distil/distil-settings';
import { PYTHON_SETS } from '../../runtime/model/python/python-sets';
import { modelPython } from '../support/model-python';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

// A framework is loaded by each command.
vi.setConfig({ testTimeout: 240_000 });

const pageOf = (name: string) => readFileSync(join(__dirname, `../../docs/model/${name}.md`), 'utf8');

describe.each(['convert', 'distil'])('what docs/model/%s.md shows can be typed, and prints what it says', (name) => {
  const reader = new Reader(230_000);
  afterAll(() => reader.leave());

  test.for(readConsoleBlocks(pageOf(name)).map((shown) => [shown.command, shown] as const))(
    '%s',
    async ([, shown], context) => {
      await modelPython(context, 'torch');
      await reader.type(shown, context);
    },
  );
});

test('the page about conversion names every set of packages, and the sources that there are', () => {
  const page = pageOf('convert');
  for (const set of PYTHON_SETS) expect(page).toContain(`| \`${set}\` |`);
  for (const ending of ['.pt2', '.pt', '.keras', '.h5', '.skops', '.pkl', '.joblib', 'saved_model.pb']) {
    expect(page).toContain(`\`${ending}\``);
  }
  expect(new Set(Object.values(CONVERTERS).map(({ script }) => script)).size).toBe(3);
  for (const { script } of Object.values(CONVERTERS)) {
    expect(existsSync(join(__dirname, `../../runtime/model/python/${script}.py`)), script).toBe(true);
  }
});

test('the page about distillation has the defaults that there are', () => {
  const { temperature, alpha, learningRate, weightDecay, batchSize, epochs } = settingsOf({});
  const page = pageOf('distil');
  expect(page).toContain(`| \`--temperature\`, \`--alpha\` | ${temperature}, ${alpha} |`);
  expect(page).toContain(`\`--learning-rate\` ${learningRate} `);
  expect(page).toContain(
    `\`--weight-decay\` ${weightDecay}, \`--batch-size\` ${batchSize} rows, \`--epochs\` ${epochs} |`,
  );
});
