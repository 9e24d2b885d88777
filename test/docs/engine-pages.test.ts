import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(__dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const withoutIndent = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trim())
    .join('\n');

const pages = ['docs/cdk', 'docs/pulumi'].flatMap((folder) =>
  readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
);

describe.each(pages)('%s', (page) => {
  test('every code block is part of a file that the tests run', () => {
    for (const [, , file, code] of read(page).matchAll(
      /(<!-- excerpt of (\S+) -->\n)?```(?:ts|yaml|json)\n([\s\S]*?)```/g,
    )) {
      expect(file, `names no file: ${code}`).toBeDefined();
      const isPart = withoutIndent(read(file!)).includes(withoutIndent(code!.trimEnd()));
      expect(isPart, `${file} has no such lines:\n${code}`).toBe(true);
    }
  });

  test('every file that is linked to is there', () => {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      expect(existsSync(join(root, page, '..', target!)), target).toBe(true);
    }
  });
});
