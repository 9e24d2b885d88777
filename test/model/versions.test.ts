import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { directoryModelStore } from '../../runtime/model/directory-model-store';
import type { ModelStore } from '../../runtime/model/model-store';
import { publishModel } from '../../runtime/model/publish-model';
import { collectGarbage } from '../../runtime/model/versions/collect-garbage';
import { listVersions } from '../../runtime/model/versions/list-versions';
import { promoteVersion, rollBackLabel } from '../../runtime/model/versions/promote';
import { parseLabelRules } from '../../runtime/server/repository/version-labels';
import { slipway } from '../cli/terminal';
import { temporaryFolder } from '../server/harness/model-repository';
import { refusal } from './refusal';

const DIGITS = 'models/digits/model.onnx';

/** A repository with so many versions of one model, each a day older than the next. */
async function repositoryOf(
  count: number,
  days = 100,
): Promise<{ readonly folder: string; readonly store: ModelStore }> {
  const folder = temporaryFolder();
  for (let version = 1; version <= count; version++) {
    await publishModel({ source: DIGITS, name: 'digits', repository: folder, golden: false });
    age(path.join(folder, 'digits', String(version)), days + count - version);
  }
  return { folder, store: directoryModelStore(folder) };
}

function age(versionFolder: string, days: number): void {
  const time = new Date(Date.now() - days * 86_400_000);
  for (const name of ['model.onnx', 'manifest.json']) {
    const file = path.join(versionFolder, name);
    try {
      utimesSync(file, time, time);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

function verdicts(collected: Awaited<ReturnType<typeof collectGarbage>>): Record<string, string> {
  return Object.fromEntries(collected.map(({ version, verdict }) => [String(version), verdict]));
}

test('a promoted label is read by the server, with the weights that were there, and its history', async () => {
  const { folder, store } = await repositoryOf(2);
  const file = path.join(folder, 'digits/version-labels.json');
  writeFileSync(file, '{"labels": {"stable": 1, "canary": 1}, "weights": {"canary": 10}}');
  const change = await promoteVersion(store, 'digits', 2, 'canary', new Date('2026-01-01T00:00:00Z'));
  expect(change).toEqual({ label: 'canary', version: 2, from: 1, at: '2026-01-01T00:00:00.000Z' });
  const text = readFileSync(file, 'utf8');
  const rules = parseLabelRules(text, file);
  expect([...rules.labels]).toEqual([
    ['stable', 1],
    ['canary', 2],
  ]);
  expect([...rules.weights]).toEqual([['canary', 10]]);
  expect(JSON.parse(text).history).toEqual([change]);
});

test('a label goes back step by step, and no further than it came', async () => {
  const { store } = await repositoryOf(3);
  for (const version of [1, 3, 2]) await promoteVersion(store, 'digits', version, 'production');
  expect(await rollBackLabel(store, 'digits', 'production')).toMatchObject({ version: 3, from: 2, rollback: true });
  expect(await rollBackLabel(store, 'digits', 'production')).toMatchObject({ version: 1, from: 3 });
  expect((await refusal(rollBackLabel(store, 'digits', 'production'))).code).toBe('LABEL_UNKNOWN');
  await promoteVersion(store, 'digits', 2, 'production');
  expect(await rollBackLabel(store, 'digits', 'production')).toMatchObject({ version: 1, from: 2 });
});

test('a version that is not published is not promoted, and no label is changed', async () => {
  const { folder, store } = await repositoryOf(1);
  mkdirSync(path.join(folder, 'digits/2'));
  writeFileSync(path.join(folder, 'digits/2/model.onnx'), 'half');
  expect((await refusal(promoteVersion(store, 'digits', 2, 'stable'))).message).toContain('its manifest is missing');
  expect((await refusal(promoteVersion(store, 'digits', 9, 'stable'))).message).toContain(
    'versions of digits are: 1, 2',
  );
  expect((await refusal(promoteVersion(store, 'digits', 1, 'no spaces'))).code).toBe('LABELS_INVALID');
  expect((await refusal(rollBackLabel(store, 'digits', 'stable'))).message).toContain("has no label 'stable'");
  expect(await store.read('digits/version-labels.json')).toBeUndefined();
});

test('labels that are promoted at the same moment are all there afterwards', async () => {
  const { store } = await repositoryOf(1);
  const labels = ['a', 'b', 'c', 'd', 'e'];
  await Promise.all(labels.map((label) => promoteVersion(store, 'digits', 1, label)));
  const [version] = await listVersions(store);
  expect(version!.labels).toEqual(labels);
});

test('labels that always change under a promotion end it in one sentence', async () => {
  const { store } = await repositoryOf(1);
  const contested: ModelStore = { ...store, replace: () => Promise.resolve(false) };
  const error = await refusal(promoteVersion(contested, 'digits', 1, 'stable'));
  expect(error.code).toBe('LABELS_CONTESTED');
});

test('a label file that cannot be read is said, and never written over', async () => {
  const { folder, store } = await repositoryOf(1);
  const file = path.join(folder, 'digits/version-labels.json');
  for (const text of ['{', '[]', '{"labels": {"stable": "1"}}', '{"history": [1]}']) {
    writeFileSync(file, text);
    expect((await refusal(promoteVersion(store, 'digits', 1, 'stable'))).code).toBe('LABELS_INVALID');
    expect(readFileSync(file, 'utf8')).toBe(text);
  }
});

test('without being told to, a collection deletes nothing', async () => {
  const { store } = await repositoryOf(5);
  const collected = await collectGarbage(store, { keep: 2 });
  expect(verdicts(collected)).toEqual({ 1: 'old', 2: 'old', 3: 'old', 4: 'newest', 5: 'newest' });
  expect((await store.versions('digits')).length).toBe(5);
});

test('a collection keeps what is newest, young, protected or named, and deletes the rest', async () => {
  const { folder, store } = await repositoryOf(8);
  await promoteVersion(store, 'digits', 2, 'production');
  writeFileSync(path.join(folder, 'digits/config.pbtxt'), 'version_policy { specific { versions: [3] } }');
  age(path.join(folder, 'digits/5'), 3);
  const collected = await collectGarbage(store, { keep: 2, protect: ['digits/4'], delete: true });
  expect(verdicts(collected)).toEqual({
    ...{ 1: 'deleted', 2: 'labelled', 3: 'labelled', 4: 'protected' },
    ...{ 5: 'young', 6: 'deleted', 7: 'newest', 8: 'newest' },
  });
  expect((await store.versions('digits')).toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 7, 8]);
});

test('a collection leaves the versions to which a label would be taken back', async () => {
  const { store } = await repositoryOf(9);
  for (const version of [1, 2, 3, 4, 7]) await promoteVersion(store, 'digits', version, 'production');
  const collected = await collectGarbage(store, { keep: 3, days: 0, delete: true });
  expect(verdicts(collected)).toEqual({
    ...{ 1: 'deleted', 2: 'deleted', 3: 'labelled', 4: 'labelled' },
    ...{ 5: 'deleted', 6: 'deleted', 7: 'labelled', 8: 'newest', 9: 'newest' },
  });
  expect(collected[2]!.reason).toBe("named by label 'production', which a rollback takes back to it");
  for (const version of [4, 3]) {
    expect(await rollBackLabel(store, 'digits', 'production')).toMatchObject({ version });
  }
});

test('a version is never collected that a label comes to name while its manifest goes', async () => {
  const { store } = await repositoryOf(3);
  // Whoever promotes has seen the manifest, and writes the label just before it is deleted.
  const racing: ModelStore = {
    ...store,
    delete: async (file) => {
      if (file === 'digits/1/manifest.json')
        await store.replace('digits/version-labels.json', Buffer.from('{"labels":{"stable":1}}'), undefined);
      await store.delete(file);
    },
  };
  const collected = await collectGarbage(racing, { keep: 1, days: 0, delete: true });
  expect(verdicts(collected)).toEqual({ 1: 'labelled', 2: 'deleted', 3: 'newest' });
  const [first] = await listVersions(store);
  expect(first).toMatchObject({ version: 1, state: 'published', labels: ['stable'] });
});

test('a promotion that loses its version to a collection takes its label back', async () => {
  const { store } = await repositoryOf(2);
  const racing: ModelStore = {
    ...store,
    replace: async (file, content, tag) => {
      const isOurs = await store.replace(file, content, tag);
      await store.delete('digits/1/manifest.json');
      return isOurs;
    },
  };
  expect((await refusal(promoteVersion(racing, 'digits', 1, 'stable'))).code).toBe('VERSION_UNKNOWN');
  expect(JSON.parse((await store.read('digits/version-labels.json'))!.content.toString()).labels).toEqual({});
});

test('nothing of a model is collected whose labels or configuration nobody can read', async () => {
  const { folder, store } = await repositoryOf(4);
  writeFileSync(path.join(folder, 'digits/version-labels.json'), '{');
  const collected = await collectGarbage(store, { keep: 1, days: 0, delete: true });
  expect(new Set(Object.values(verdicts(collected)))).toEqual(new Set(['unsure']));
  writeFileSync(path.join(folder, 'digits/version-labels.json'), '{}');
  writeFileSync(path.join(folder, 'digits/config.pbtxt'), 'version_policy {{');
  expect(new Set(Object.values(verdicts(await collectGarbage(store, { keep: 1, days: 0, delete: true }))))).toEqual(
    new Set(['unsure']),
  );
  expect((await store.versions('digits')).length).toBe(4);
});

test('an unfinished publish is collected when it is old, and does not count among the newest', async () => {
  const { folder, store } = await repositoryOf(2);
  for (const version of [3, 4]) {
    mkdirSync(path.join(folder, `digits/${version}`));
    writeFileSync(path.join(folder, `digits/${version}/model.onnx`), 'half');
  }
  age(path.join(folder, 'digits/3'), 50);
  const collected = await collectGarbage(store, { keep: 2, delete: true });
  expect(verdicts(collected)).toEqual({ 1: 'newest', 2: 'newest', 3: 'deleted', 4: 'young' });
});

test('the commands say in words and in JSON what they did', async () => {
  const { folder } = await repositoryOf(2);
  expect(await slipway('model', 'promote', folder, 'digits', '1', 'stable')).toMatchObject({
    status: 0,
    stdout: 'digits stable: 1\n',
  });
  expect((await slipway('model', 'promote', folder, 'digits', '2', 'stable')).stdout).toBe('digits stable: 2, was 1\n');
  expect((await slipway('model', 'rollback', folder, 'digits', 'stable')).stdout).toBe('digits stable: 1, was 2\n');
  const listed = await slipway('model', 'list', folder);
  expect(listed.stdout).toMatch(/^model +version +labels +size +written +evidence/);
  expect(listed.stdout).toMatch(/digits +1 +stable/);
  expect(JSON.parse((await slipway('model', 'list', folder, '--json')).stdout)).toHaveLength(2);
  expect((await slipway('model', 'diff', folder, 'digits', '1', '2')).stdout).toBe('no differences\n');
  const dry = await slipway('model', 'gc', folder, '--keep', '1', '--days', '0');
  expect([dry.status, dry.stderr]).toEqual([0, '0 versions would be deleted, 0 bytes; --delete deletes them\n']);
  expect((await slipway('model', 'promote', folder, 'digits', '7', 'stable')).status).toBe(3);
  expect((await slipway('model', 'gc', folder, '--protect', 'digits')).status).toBe(2);
});

test('two versions differ by what their manifests say', async () => {
  const folder = temporaryFolder();
  await publishModel({ source: DIGITS, name: 'digits', repository: folder, golden: false });
  await publishModel({ source: DIGITS, name: 'digits', repository: folder });
  const differences = JSON.parse((await slipway('model', 'diff', folder, 'digits', '1', '2', '--json')).stdout);
  expect(differences.map(({ what }: { what: string }) => what)).toContain('file golden/input-0.bin');
  const missing = await slipway('model', 'diff', folder, 'digits', '1', '9');
  expect([missing.status, missing.stderr]).toEqual([3, expect.stringContaining('VERSION_UNKNOWN')]);
});

test('of a thousand classes those are shown that differ, and of long texts the place where they do', async () => {
  const folder = temporaryFolder();
  for (const version of [1, 2, 3]) {
    await publishModel({ source: DIGITS, name: 'digits', repository: folder, golden: false });
    const file = path.join(folder, 'digits', String(version), 'manifest.json');
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as object;
    const names = Array.from({ length: 1_000 }, (_, i) => `name ${i}${version === 3 ? '!' : ''}`);
    if (version === 2) names[500] = 'another one';
    names[600] = `${'x'.repeat(200)} ${version === 2 ? 'y' : 'z'} ${'x'.repeat(200)}`;
    writeFileSync(file, JSON.stringify({ ...manifest, labels: { probabilities: names } }));
  }
  const one = await slipway('model', 'diff', folder, 'digits', '1', '2');
  expect(one.stdout).toMatch(/^class 500 of probabilities +name 500 +another one$/m);
  expect(one.stdout).toMatch(/^class 600 of probabilities +…x+ z x+… +…x+ y$/m);
  const all = await slipway('model', 'diff', folder, 'digits', '1', '3');
  expect(all.stdout).toMatch(/^classes of probabilities +1000, of which 999 differ +1000$/m);
  expect(all.stdout.split('\n').filter((line) => line.startsWith('class '))).toHaveLength(10);
  expect(Math.max(...[...one.stdout.split('\n'), ...all.stdout.split('\n')].map((line) => line.length))).toBeLessThan(
    200,
  );
});
