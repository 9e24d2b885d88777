import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { binary, makeScratch, packSlipway, removeScratch, ROOT, run, type PackedPackage } from './packed-package';

let scratch: string;
let packed: PackedPackage;
beforeAll(() => {
  scratch = makeScratch();
  packed = packSlipway(scratch);
});
afterAll(() => removeScratch(scratch));

test('the tarball holds what is published and nothing else', () => {
  const kib = (bytes: number): string => `${Math.round(bytes / 1_024)} KiB`;
  console.log(
    `tarball: ${packed.files.length} files, ${kib(packed.packedBytes)}, unpacked ${kib(packed.unpackedBytes)}`,
  );
  const allowed =
    /^(package\.json|README\.md|LICENSE|NOTICE|docs\/(spec|pipeline)\.schema\.json|ci-templates\/(github\.yml|gitlab-ci\.yml|Jenkinsfile)|dist\/((server|worker|cli|model-pull|model-stores|smoke-test\/index)\.mjs|python\/\w+\.py|python\/requirements\/[\w-]+(\.without-dependencies)?\.txt|server-chunks\/[^/]+\.mjs|THIRD-PARTY-NOTICES\.md|image\/.+|pulumi\/plugin\/schema\.json|(cdk|pulumi|runtime)\/.+\.(js|d\.ts)))$/;
  expect(packed.files.filter((file) => !allowed.test(file))).toEqual([]);
});

test('the tarball holds no source, test, example, map or demonstration', () => {
  const unwanted = /((?<!\.d)\.ts|\.map|\.tsbuildinfo|\.test\.js)$|\/(quickstart|examples|test|server)\/|(^|\/)\.[a-z]/;
  expect(packed.files.filter((file) => unwanted.test(file))).toEqual([]);
});

test('the tarball carries its licence, the notices of what is bundled, and the read-me', () => {
  const expected = ['LICENSE', 'NOTICE', 'README.md', 'dist/THIRD-PARTY-NOTICES.md', 'dist/server.mjs'];
  expect(packed.files).toEqual(expect.arrayContaining(expected));
});

test('the notices have the text of each licence, or by whom a package is that holds none', () => {
  const notices = readFileSync(join(ROOT, 'dist/THIRD-PARTY-NOTICES.md'), 'utf8');
  const sections = notices.split(/^## (?=@?[\w./-]+@\d)/m).slice(1);
  expect(sections.length).toBeGreaterThan(100);
  // Packages for one processor are parts of others, whose text stands there.
  const silent = sections.filter(
    (section) => !/^```text\n|^The package holds no text.* It is by .+ The terms of/m.test(section),
  );
  expect(silent.map((section) => section.split('\n')[0]!.replace(/@[\d.]+$/, ''))).toEqual([
    '@img/sharp-libvips-linux-arm64',
    '@img/sharp-libvips-linux-x64',
    '@img/sharp-linux-arm64',
    '@img/sharp-linux-x64',
    '@koromix/koffi-linux-arm64',
    '@koromix/koffi-linux-x64',
  ]);
});

test.each(['cpu', 'cuda'])('the tarball carries the whole build context of the %s image', (variant) => {
  const names = [
    'Dockerfile',
    'server.mjs',
    'healthcheck.mjs',
    'package.json',
    'package-lock.json',
    'licenses/LICENSE',
    'licenses/LGPL-3.0.txt',
  ];
  expect(packed.files).toEqual(expect.arrayContaining(names.map((name) => `dist/image/${variant}/${name}`)));
});

test('the tarball and both images carry the same chunks of the server', () => {
  const chunksOf = (folder: string): string[] =>
    packed.files
      .filter((file) => file.startsWith(`${folder}/server-chunks/`))
      .map((file) => file.slice(folder.length))
      .sort();
  const chunks = chunksOf('dist');
  expect(chunks.length).toBeGreaterThan(0);
  for (const variant of ['cpu', 'cuda']) expect(chunksOf(`dist/image/${variant}`)).toEqual(chunks);
});

test('publint finds no error and no warning', () => {
  const { status, stdout, stderr } = run(binary(ROOT, 'publint'), ['run', packed.tarball, '--level', 'warning'], ROOT);
  expect(`${stdout}${stderr}`).toContain('All good!');
  expect(status).toBe(0);
});

test('the types of every sub-path resolve for node10, node16 from CommonJS and from ESM, and bundlers', () => {
  // Schemas are data, which nobody imports by their types.
  const { status, stdout } = run(
    binary(ROOT, 'attw'),
    [packed.tarball, '--format', 'json', '--exclude-entrypoints', './spec.schema.json', './pipeline.schema.json'],
    ROOT,
  );
  const { analysis } = JSON.parse(stdout);
  expect(analysis.problems).toEqual([]);
  expect(status).toBe(0);
  const resolutions = Object.entries<any>(analysis.entrypoints).map(([subPath, { resolutions }]) => [
    subPath,
    Object.keys(resolutions).filter((mode) => resolutions[mode].resolution !== undefined),
  ]);
  const everyMode = ['node10', 'node16-cjs', 'node16-esm', 'bundler'];
  expect(Object.fromEntries(resolutions)).toEqual({
    '.': everyMode,
    './cdk': everyMode,
    './cdk/validation': everyMode,
    './pulumi': everyMode,
    './pulumi/aws': everyMode,
    './pulumi/gcp': everyMode,
    './pulumi/azure': everyMode,
    './pulumi/alibaba': everyMode,
    './pulumi/tencent': everyMode,
    './pulumi/image': everyMode,
    './pulumi/plugin': everyMode,
    './pulumi/policy': everyMode,
    './runtime': everyMode,
    './testing': everyMode,
    './package.json': everyMode,
  });
});
