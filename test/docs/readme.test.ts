import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = join(__dirname, '../..');
const PAGES = ['README.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'models/digits/README.md'];

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

describe('what the README says about serving by hand can be typed', () => {
  const [, section] = /## Serve by hand\n([\s\S]*?)\n## /.exec(read('README.md'))!;
  const commands = [...section!.matchAll(/^\$ npx slipway (.+?) *(?:#.*)?$/gm)].map(([, command]) => command!);
  const folder = mkdtempSync(join(tmpdir(), 'slipway-readme-'));
  const bin = join(root, 'dist/runtime/cli/bin.js');
  const words = (command: string): string[] =>
    command.split(' ').map((word) => word.replace(/^\.slipway\//, `${folder}/`));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('there are commands, and one of them serves', () => {
    expect(commands.length).toBeGreaterThan(3);
    expect(commands.filter((command) => command.startsWith('serve '))).toHaveLength(1);
  });

  test.each(commands.filter((command) => !command.startsWith('serve ')))('npx slipway %s', (command) => {
    const { status, stderr } = spawnSync(process.execPath, [bin, ...words(command)], { cwd: root, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
  });

  test.each(commands.filter((command) => command.startsWith('serve ')))('npx slipway %s', async (command) => {
    const anyPorts = ['--http-port', '0', '--metrics-port', '0'];
    const server = spawn(process.execPath, [bin, ...words(command), ...anyPorts], { cwd: root });
    let log = '';
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.includes('"msg":"ready"')) server.kill('SIGINT');
      });
    }
    const [status] = await once(server, 'close');
    expect(status, log).toBe(0);
  });
});

test('the commands that the README tells people to type exist', () => {
  const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;
  for (const [, script] of `${read('README.md')}${read('CONTRIBUTING.md')}`.matchAll(/npm run ([a-z:]+)/g)) {
    expect(Object.keys(scripts)).toContain(script);
  }
  const stacks = [...read('cdk/examples/digits/app.ts').matchAll(/new \w+\(app, '(\w+)'\)/g)].map(([, id]) => id);
  for (const [, stack] of read('README.md').matchAll(/cdk deploy (\w+)/g)) expect(stacks).toContain(stack);
});
