import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { prepareDirectory } from '../../runtime/cli/quickstart/prepare-directory';

const ROOT = path.resolve(__dirname, '../..');
let root: string;
beforeEach(() => (root = mkdtempSync(path.join(tmpdir(), 'slipway-prepare-'))));
afterEach(() => rmSync(root, { recursive: true }));

test('what an earlier quickstart left is replaced, and what else lies there is kept', () => {
  const directory = path.join(root, '.slipway');
  prepareDirectory({ root, directory }, 'first');
  for (const name of ['models/digits/1', 'deploy/cdk', 'by-hand/digits/1']) {
    mkdirSync(path.join(directory, name), { recursive: true });
  }
  prepareDirectory({ root, directory }, 'second');
  expect(readdirSync(directory).sort()).toEqual(['by-hand', 'digit.json']);
  expect(readFileSync(path.join(directory, 'digit.json'), 'utf8')).toBe('second');
});

test.each(['models', 'deploy'])("a folder '%s' that no quickstart made is not deleted", (name) => {
  const file = path.join(root, 'mine', name, 'precious.onnx');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, 'precious');
  expect(() => prepareDirectory({ root, directory: path.join(root, 'mine') }, '{}')).toThrow(
    `has a folder '${name}' that no quickstart made`,
  );
  expect(readFileSync(file, 'utf8')).toBe('precious');
});

test.each(['', '..', '../elsewhere'])(
  'a directory that is not inside the clone is refused at once: <clone>/%s',
  (given) => {
    const directory = path.join(root, given);
    expect(() => prepareDirectory({ root, directory }, '{}')).toThrow(
      `must be a folder inside ${root}, got ${directory}`,
    );
    expect(existsSync(path.join(directory, 'digit.json'))).toBe(false);
  },
);

test('a directory that cannot be written ends the quickstart with the reason and what to do', (context) => {
  if (!existsSync('/sys/kernel')) context.skip('needs a file system that nobody may write to: /sys');
  mkdirSync(path.join(ROOT, '.slipway'), { recursive: true });
  const folder = mkdtempSync(path.join(ROOT, '.slipway/test-'));
  symlinkSync('/sys', path.join(folder, 'closed'));
  const arguments_ = ['scripts/quickstart.mjs', '--once', '--directory', path.join(folder, 'closed/here')];
  const { status, stderr } = spawnSync(process.execPath, arguments_, { cwd: ROOT, encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^error: E(ACCES|PERM|ROFS): .+\nwhat to do: run it as a user that may write in this clone\n$/,
  );
});
