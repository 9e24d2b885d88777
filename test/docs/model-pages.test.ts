import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { COMMANDS } from '../../runtime/cli/commands';
import { modelPython } from '../support/model-python';
import { readConsoleBlocks } from './console-blocks';
import { Reader } from './reader';

vi.setConfig({ testTimeout: 120_000 });

const FOLDER = join(__dirname, '../../docs/model');
const pageOf = (name: string): string => readFileSync(join(FOLDER, `${name}.md`), 'utf8');

describe.each(['inspect', 'optimize', 'search', 'compile', 'codegen'])(
  'what docs/model/%s.md shows can be typed, and prints what it says',
  (name) => {
    const reader = new Reader();
    afterAll(() => reader.leave());

    test.for(readConsoleBlocks(pageOf(name)).map((shown) => [shown.command, shown] as const))(
      '%s',
      async ([command, shown], context) => {
        if (command.includes('model quantize')) await modelPython(context, 'onnx');
        await reader.type(shown, context);
      },
    );
  },
);

test('the recipes that the page shows are the file that is tried', () => {
  const shown = /<!-- file (\S+) -->\n```yaml\n([^`]+)```/.exec(pageOf('search'))!;
  expect(readFileSync(join(__dirname, '../..', shown[1]!), 'utf8')).toBe(shown[2]);
});

test('the way of a model names every command of it and links every page', () => {
  const page = pageOf('README');
  for (const { name } of COMMANDS.filter((each) => each.name.startsWith('model '))) {
    expect(page, name).toContain(`\`slipway ${name}\``);
  }
  for (const file of readdirSync(FOLDER).filter((each) => each !== 'README.md'))
    expect(page, file).toContain(`](${file})`);
});
