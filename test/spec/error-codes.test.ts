import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(__dirname, '../..');
const declared = readFileSync(path.join(root, 'runtime/spec/errors.ts'), 'utf8');
const [union] = /export type SpecErrorCode =[^;]*;/.exec(declared)!;
const codes = [...union.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code!);

const spec = sources('runtime').filter((file) => file !== 'runtime/spec/errors.ts');
const tests = files('test').filter((file) => /\.(ts|txt)$/.test(file) && file !== 'test/spec/error-codes.test.ts');
const elsewhere = tests.filter((file) => !file.startsWith('test/cdk/'));

test('codes are listed once each', () => {
  expect(codes.length).toBeGreaterThan(80);
  expect(new Set(codes).size).toBe(codes.length);
});

test('every code is thrown somewhere', () => {
  const isThrown = throwing([...spec, ...sources('cdk'), ...sources('pulumi')]);
  expect(codes.filter((code) => !isThrown(code))).toEqual([]);
});

test('every code is named by a test', () => {
  const isNamed = naming(tests);
  expect(codes.filter((code) => !isNamed(code))).toEqual([]);
});

test('what Pulumi’s components and the objects of Kubernetes refuse is tested without the CDK', () => {
  const isThrown = throwing([
    ...sources('pulumi'),
    ...spec.filter((file) => file.startsWith('runtime/spec/kubernetes/')),
  ]);
  const isNamed = naming(elsewhere);
  const thrown = codes.filter(isThrown);
  expect(thrown).toContain('POOL_TOO_SMALL');
  expect(thrown.filter((code) => !isNamed(code))).toEqual([]);
});

function sources(folder: string): readonly string[] {
  return files(folder).filter((file) => file.endsWith('.ts') && !file.includes('/examples/'));
}

function files(folder: string): readonly string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

function throwing(among: readonly string[]): (code: string) => boolean {
  const texts = read(among);
  // Alone, or at the head of a sentence.
  return (code) => new RegExp(`['\`]${code}['\\s]`).test(texts);
}

function naming(among: readonly string[]): (code: string) => boolean {
  const texts = read(among);
  return (code) => new RegExp(`\\b${code}\\b`).test(texts);
}

function read(among: readonly string[]): string {
  return among.map((file) => readFileSync(path.join(root, file), 'utf8')).join('\n');
}
