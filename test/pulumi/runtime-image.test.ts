import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  containsSecret,
  findResource,
  loggedErrors,
  propertyAt,
  runPulumiProgram,
  UNKNOWN,
  type PulumiProgramOptions,
  type PulumiRecording,
} from 'slipway/testing';
import { withoutSecrets } from '../support/without-secrets';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const DIGEST = `sha256:${'cd'.repeat(32)}`;
let preview: PulumiRecording;
let up: PulumiRecording;

beforeAll(async () => {
  const context = path.resolve(__dirname, '../../dist/image/cpu/Dockerfile');
  if (!existsSync(context)) throw new Error('dist is not built: npm run build');
  preview = assertSucceeded(await run({ preview: true }));
  up = assertSucceeded(await run());
});

test('a preview shows what an update builds, and builds nothing', () => {
  expect(() => assertSameResources(preview, up)).not.toThrow();
  expect(preview.stackOutputs['uri']).toEqual(UNKNOWN);
  expect(image('pinned').inputs['buildOnPreview']).toBe(false);
});

test('a digest goes in, and the digest that was pushed comes out', () => {
  expect(propertyAt(image('pinned').inputs, 'buildArgs.BASE_IMAGE')).toBe(`node:24-slim@sha256:${'12'.repeat(32)}`);
  expect(up.stackOutputs['uri']).toBe(`registry.example.com/slipway@${DIGEST}`);
});

test('it is pushed by its digest alone, unless the author names a tag', () => {
  expect(image('pinned').inputs).toMatchObject({
    push: false,
    exports: [{ registry: { names: ['registry.example.com/slipway'], push: true, pushByDigest: true } }],
  });
  expect(image('pinned').inputs['tags']).toBeUndefined();
  expect(image('tagged').inputs).toMatchObject({ push: true, tags: ['registry.example.com/slipway:1.0'] });
});

test('it is built from the package, for the platform and the variant that were asked for', () => {
  expect(propertyAt(image('pinned').inputs, 'context.location')).toMatch(/dist\/image\/cpu$/);
  expect(propertyAt(image('tagged').inputs, 'context.location')).toMatch(/dist\/image\/cuda$/);
  expect(image('tagged').inputs['platforms']).toEqual(['linux/amd64']);
});

test('tokens and passwords are secrets in the state, though the author forgot to say so', () => {
  const { inputs, additionalSecretOutputs } = image('pinned');
  expect(containsSecret(inputs['secrets'])).toBe(true);
  expect(containsSecret(inputs['registries'])).toBe(true);
  expect(JSON.stringify(inputs['buildArgs'])).not.toContain('registry-token');
  expect([...additionalSecretOutputs]).toContain('registries');
  for (const { inputs } of up.resources) {
    expect(JSON.stringify(withoutSecrets(inputs))).not.toMatch(/plain-by-mistake|registry-token/);
  }
});

test('a base that is a tag is built, and said to be one', () => {
  const warnings = up.logs.filter(({ severity }) => severity === 'warning');
  expect(warnings.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^base image \S+ is a tag, not a digest; 'slipway image pin' records its digest/),
    expect.stringMatching(/^base image \S+ is a tag, not a digest; 'slipway image pin' records its digest/),
  ]);
  expect(warnings.every(({ urn }) => urn.endsWith('::tagged'))).toBe(true);
});

test('what cannot be built is refused in one line before anything is declared', async () => {
  const recording = await run({ config: { mistake: 'cuda on arm64' } });
  expect(recording.exitCode).not.toBe(0);
  expect(loggedErrors(recording).join('\n')).toContain(
    "ARGUMENT_INVALID platform: the cuda image is built for linux/amd64, got 'linux/arm64'",
  );
  expect(recording.resources.filter(({ custom }) => custom)).toEqual([]);
});

function image(name: string) {
  return findResource(up, 'docker-build:index:Image', name);
}

function run({ preview = false, config = {} }: PulumiProgramOptions = {}): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs/image-built.ts'),
    typeCheck: false,
    onResource: ({ type }) => (type === 'docker-build:index:Image' ? { state: { digest: DIGEST } } : undefined),
    preview,
    config: { npmrc: { secret: '//registry.example.com/:_authToken=registry-token' }, ...config },
  });
}
