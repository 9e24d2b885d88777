import path from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  loggedErrors,
  playClouds,
  runPulumiProgram,
  type PulumiRecording,
} from 'slipway/testing';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const RIGHTS = ['azure-native:authorization:RoleAssignment', 'gcp:storage/bucketIAMMember:BucketIAMMember'];

let before: PulumiRecording;
let after: PulumiRecording;

beforeAll(async () => {
  before = assertSucceeded(await run('rights', { config: { further: 'false' } }));
  after = assertSucceeded(await run('rights', { config: { further: 'true' } }));
});

test('a right that is added before others changes none of them', () => {
  const had = rightsOf(before);
  const has = rightsOf(after);
  expect(Object.keys(had).length).toBeGreaterThan(4);
  expect(Object.fromEntries(Object.keys(had).map((name) => [name, has[name]]))).toEqual(had);
  const added = Object.keys(has).filter((name) => !Object.hasOwn(had, name));
  expect(added.sort()).toEqual(['images-pull/blue', 'on-azure-read/first', 'on-gcp-read/first/digits']);
});

test('rights are called by what they are on, and a stack that counted them keeps them', () => {
  const names = after.resources
    .filter(({ type }) => RIGHTS.includes(type))
    // Those of azure-native's own name other types.
    .map(({ name, aliases }) => [name, ...aliases.flatMap(({ name: earlier }) => earlier ?? [])]);
  expect(names.sort()).toEqual([
    ['images-pull', 'images-pull-2'],
    ['images-pull/blue', 'images-pull-0'],
    ['images-pull/platform', 'images-pull-1'],
    ['on-azure-read/first', 'on-azure-read-0'],
    ['on-azure-read/second', 'on-azure-read-1'],
    ['on-gcp-read/digits', 'on-gcp-digits-3'],
    ['on-gcp-read/first/digits', 'on-gcp-digits'],
    ['on-gcp-read/second/digits', 'on-gcp-digits-2'],
    ['platform-network'],
  ]);
});

test('two things that would be called the same are refused, with the way out', () => {
  expect(after.stackOutputs['refusals']).toEqual({
    'two clusters without labels': expect.stringMatching(
      /^NAME_TAKEN pulledBy\[1\]\.label: must be given for all but one, got several without: .*\{ \.\.\.facts, label: '…' \}$/,
    ),
    'two clusters with one label': expect.stringMatching(
      /^NAME_TAKEN pulledBy\[1\]\.label: rights are called by it, and 'x' is already another one, blue-kubelet, got it with old-kubelet; give/,
    ),
    'two buckets without labels': expect.stringMatching(/^NAME_TAKEN reads\[1\]\.bucket\.label: must be given/),
  });
});

test('so are two that only an update knows', async () => {
  assertSucceeded(await run('rights-late', { preview: true }));
  const up = await run('rights-late', {});
  expect(up.exitCode).not.toBe(0);
  expect(loggedErrors(up).join('\n')).toContain(
    "NAME_TAKEN reads[1].bucket.label: rights are called by it, and 'models' is already another one, a, got it with b",
  );
});

test('previews what up makes', async () => {
  const preview = assertSucceeded(await run('rights', { config: { further: 'true' }, preview: true }));
  expect(() => assertSameResources(preview, after)).not.toThrow();
});

/** What the cloud is told of each right. */
function rightsOf({ resources }: PulumiRecording): Record<string, unknown> {
  return Object.fromEntries(
    resources.filter(({ type }) => RIGHTS.includes(type)).map(({ name, inputs }) => [name, inputs]),
  );
}

function run(program: string, options: object): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs', `${program}.ts`),
    typeCheck: false,
    ...playClouds(),
    ...options,
  });
}
