import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(__dirname, '../..');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'models/digits/README.md',
  ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const withoutIndent = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trim())
    .join('\n');

test('every code block of the README is part of a file that the tests run', () => {
  const blocks = [...read('README.md').matchAll(/(<!-- excerpt of (\S+) -->\n)?```ts\n([\s\S]*?)```/g)];
  expect(blocks.length).toBeGreaterThan(2);
  for (const [, , file, code] of blocks) {
    expect(file, `names no file: ${code}`).toBeDefined();
    const isPart = withoutIndent(read(file!)).includes(withoutIndent(code!.trimEnd()));
    expect(isPart, `${file} has no such lines:\n${code}`).toBe(true);
  }
});

test.each(PAGES)('every file that %s links to is there', (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, target]) => target!);
  for (const target of links) expect(existsSync(join(root, page, '..', target)), target).toBe(true);
});

test('the commands that the README tells people to type exist', () => {
  const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;
  for (const [, script] of `${read('README.md')}${read('CONTRIBUTING.md')}`.matchAll(/npm run ([a-z:-]+)/g)) {
    expect(Object.keys(scripts)).toContain(script);
  }
  const stacks = [...read('cdk/examples/digits/app.ts').matchAll(/new \w+\(app, '(\w+)'\)/g)].map(([, id]) => id);
  for (const [, stack] of read('README.md').matchAll(/cdk deploy (\w+)/g)) expect(stacks).toContain(stack);
});

test('the README leads to every example', () => {
  const readme = read('README.md');
  for (const folder of ['cdk/examples', 'pulumi/examples']) {
    const names = readdirSync(join(root, folder), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(names.length).toBeGreaterThan(10);
    for (const { name } of names) expect(readme).toContain(`(${folder}/${name}`);
  }
});
