import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ServerSettings } from '../../runtime/spec/environment';
import { temporaryFolder } from './harness/model-repository';
import { startServer, type RunningServer } from './harness/running-server';
import { until } from './harness/until';
import { addModel, indexOf, putVersion, stepOf } from './harness/versions';

const INFER = '/v2/models/m/infer';

function repositoryOf(...versions: number[]): string {
  const repository = temporaryFolder();
  for (const version of versions) putVersion(repository, 'm', version, addModel(version));
  return repository;
}

function write(repository: string, file: string, text: string): void {
  // By a rename, so that a server that looks at this moment sees the old or the new one.
  const target = path.join(repository, 'm', file);
  writeFileSync(`${target}.new`, text);
  renameSync(`${target}.new`, target);
}

function start(modelRepository: string, settings: Partial<ServerSettings> = {}): Promise<RunningServer> {
  return startServer({ modelRepository, ...settings });
}

async function versionsOf(server: RunningServer): Promise<unknown> {
  return (await server.get('/v2/models/m')).json.versions;
}

async function shares(server: RunningServer, requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < requests; i++) {
    const step = String(await stepOf(server, INFER));
    counts[step] = (counts[step] ?? 0) + 1;
  }
  return counts;
}

describe('the version policy', () => {
  test('of the server chooses the versions of models that bring none', async () => {
    const repository = repositoryOf(1, 2, 3);
    expect(await versionsOf(await start(repository))).toEqual(['3']);
    expect(await versionsOf(await start(repository, { versionPolicy: 'latest:2' }))).toEqual(['3', '2']);
    expect(await versionsOf(await start(repository, { versionPolicy: 'all' }))).toEqual(['3', '2', '1']);
    expect(await versionsOf(await start(repository, { versionPolicy: 'specific:2' }))).toEqual(['2']);
  });

  test('of a model wins, in the text form of its configuration and in JSON', async () => {
    const repository = repositoryOf(1, 2, 3);
    write(repository, 'config.json', '{"version_policy": {"specific": {"versions": [1, 2]}}}');
    expect(await versionsOf(await start(repository))).toEqual(['2', '1']);
    write(repository, 'config.pbtxt', 'name: "m"\nversion_policy { latest { num_versions: 2 } }');
    expect(await versionsOf(await start(repository))).toEqual(['3', '2']);
  });

  test('that asks for versions that are not there makes the replica not ready, and says which there are', async () => {
    const server = await start(repositoryOf(1, 2), { versionPolicy: 'specific:7' });
    expect(await server.get('/readyz')).toMatchObject({
      status: 503,
      json: { reason: "model 'm' version 7: the version policy asks for 7, and complete are 1, 2" },
    });
    expect(await indexOf(server, 'm')).toEqual({
      '7': 'UNAVAILABLE: the version policy asks for 7, and complete are 1, 2',
    });
  });

  test('that nobody can read ends the start with what would work', async () => {
    await expect(start(repositoryOf(1), { versionPolicy: 'newest' })).rejects.toThrow(
      'ENVIRONMENT_INVALID SLIPWAY_VERSION_POLICY: must be latest, latest:<n>',
    );
  });
});

describe('a configuration', () => {
  test('may give the model file another name, as Triton has it', async () => {
    const repository = repositoryOf(1);
    const folder = path.join(repository, 'm', '1');
    renameSync(path.join(folder, 'model.onnx'), path.join(folder, 'net.onnx'));
    write(repository, 'config.pbtxt', 'platform: "onnxruntime_onnx"\ndefault_model_filename: "net.onnx"');
    expect(await stepOf(await start(repository), INFER)).toBe(1);
  });

  test('that cannot be honoured makes its model unavailable with the reason, and no other', async () => {
    const repository = repositoryOf(1, 4);
    putVersion(repository, 'fine', 1, addModel(8));
    write(repository, 'config.pbtxt', 'sequence_batching { }');
    const server = await start(repository);
    expect((await indexOf(server, 'm'))['4']).toMatch(/^UNAVAILABLE: MODEL_CONFIGURATION_UNSUPPORTED m\/config\.pbtxt/);
    expect(await stepOf(server, INFER)).toMatch(/^503 .*sequence_batching/);
    expect(await stepOf(server, '/v2/models/fine/infer')).toBe(8);
  });

  test('that names another model than its folder is refused', async () => {
    const repository = repositoryOf(1);
    write(repository, 'config.pbtxt', 'name: "n"');
    expect((await indexOf(await start(repository), 'm'))['1']).toContain(
      "name must be the folder's, 'm', or left out; got 'n'",
    );
  });

  test('is followed by hot reload: a broken one changes nothing, a mended one is used', async () => {
    const repository = repositoryOf(1, 2);
    const server = await start(repository, { hotReload: true, reloadSeconds: 0.05 });
    expect(await versionsOf(server)).toEqual(['2']);
    write(repository, 'config.pbtxt', 'version_policy {');
    await until('the configuration is refused', async () =>
      (await indexOf(server, 'm'))['2']!.startsWith('READY: MODEL_CONFIGURATION_SYNTAX'),
    );
    expect(await stepOf(server, INFER)).toBe(2);
    write(repository, 'config.pbtxt', 'version_policy { all { } }');
    await until('both versions serve', async () => (await server.get('/v2/models/m')).json.versions.join() === '2,1');
    expect(await indexOf(server, 'm')).toEqual({ '2': 'READY', '1': 'READY' });
  });
});

describe('labels', () => {
  test('keep the versions that they name, and share requests out as their weights say', async () => {
    const repository = repositoryOf(1, 2, 3);
    write(repository, 'version-labels.json', '{"labels": {"stable": 1, "canary": 3}, "weights": {"canary": 10}}');
    const server = await start(repository);
    expect(await versionsOf(server)).toEqual(['3', '1']);
    const counts = await shares(server, 1_000);
    expect(Object.keys(counts)).toEqual(['1', '3']);
    expect(Math.abs(counts['3']! - 100)).toBeLessThanOrEqual(2);
    expect(await stepOf(server, '/v2/models/m/versions/3/infer')).toBe(3);
  });

  test('may stand in the configuration', async () => {
    const repository = repositoryOf(1, 2);
    write(
      repository,
      'config.pbtxt',
      'version_labels [ { key: "stable" value: 1 }, { key: "canary" value: 2 } ]\n' +
        'weights [ { key: "stable" value: 80 }, { key: "canary" value: 20 } ]',
    );
    const counts = await shares(await start(repository), 100);
    expect(Math.abs(counts['2']! - 20)).toBeLessThanOrEqual(1);
  });

  test('of a version that cannot be served leave its share to stable', async () => {
    const repository = repositoryOf(1);
    putVersion(repository, 'm', 2, Buffer.from('not a model'));
    write(repository, 'version-labels.json', '{"labels": {"stable": 1, "canary": 2}, "weights": {"canary": 50}}');
    expect(await shares(await start(repository), 50)).toEqual({ '1': 50 });
  });

  test('move while the server runs, and only to what is loaded', async () => {
    const repository = repositoryOf(1);
    write(repository, 'version-labels.json', '{"labels": {"stable": 1}, "weights": {"stable": 100}}');
    const server = await start(repository, { hotReload: true, reloadSeconds: 0.05 });
    write(repository, 'version-labels.json', '{"labels": {"stable": 2}, "weights": {"stable": 100}}');
    await until('it is said that the label stays', () =>
      server.log.some(({ msg, labels }) => msg.startsWith('labels are not moved') && labels === 'stable to 2'),
    );
    expect(await shares(server, 20)).toEqual({ '1': 20 });
    putVersion(repository, 'm', 2, addModel(2));
    await until('the label has moved', async () => (await stepOf(server, INFER)) === 2);
    expect(await shares(server, 20)).toEqual({ '2': 20 });
  });
});

test('a version folder without a model, and files beside the versions, are no versions', async () => {
  const repository = repositoryOf(1);
  mkdirSync(path.join(repository, 'm', '2'));
  mkdirSync(path.join(repository, 'm', 'warmup'));
  writeFileSync(path.join(repository, 'm', 'labels.txt'), 'cat\ndog\n');
  expect(await versionsOf(await start(repository, { versionPolicy: 'all' }))).toEqual(['1']);
});
