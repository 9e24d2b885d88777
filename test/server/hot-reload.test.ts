import {
  appendFileSync,
  mkdirSync,
  existsSync,
  renameSync,
  rmSync,
  readdirSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { publishModel } from '../../runtime/model/publish-model';
import type { ServerSettings } from '../../runtime/spec/environment';
import { externalDataModel } from '../support/onnx-models';
import { temporaryFolder } from './harness/model-repository';
import { floats, request, startServer, type RunningServer } from './harness/running-server';
import { sample, until } from './harness/until';
import { addModel, indexOf, putVersion, stepIn, stepOf } from './harness/versions';

const POLL_SECONDS = 0.05;
const INFER = '/v2/models/m/infer';
const ZEROS = floats('input', [1, 4], [0, 0, 0, 0]);

function start(repository: string, settings: Partial<ServerSettings> = {}): Promise<RunningServer> {
  return startServer({ modelRepository: repository, hotReload: true, reloadSeconds: POLL_SECONDS, ...settings });
}

/** Long enough for several looks at the repository. */
function severalPolls(): Promise<void> {
  return wait(POLL_SECONDS * 1_000 * 8);
}

/** Threads of this process; always 0 where the system does not tell. */
function threadCount(): number {
  return existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : 0;
}

function serves(server: RunningServer, step: number): Promise<void> {
  return until(`version with step ${step} serves`, async () => (await stepOf(server, INFER)) === step);
}

/** Asks again and again, as several clients at once, until it is stopped. */
function hammer(
  { url }: RunningServer,
  clients = 4,
): { readonly stop: () => Promise<ReadonlyMap<number | string, number>> } {
  const answers = new Map<number | string, number>();
  const body = JSON.stringify(ZEROS);
  let isStopped = false;
  const ask = async (): Promise<void> => {
    while (!isStopped) {
      const step = stepIn(await request(`${url}${INFER}`, { method: 'POST', body }));
      answers.set(step, (answers.get(step) ?? 0) + 1);
    }
  };
  const asking = Promise.all(Array.from({ length: clients }, ask));
  return {
    stop: async () => {
      isStopped = true;
      await asking;
      return answers;
    },
  };
}

test('a new version takes over without one failed request, five times in a row, and nothing of the old ones stays', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  const server = await start(repository, { executors: 2 });
  const clients = hammer(server);
  const threads: number[] = [];
  for (let version = 2; version <= 6; version++) {
    putVersion(repository, 'm', version, addModel(version));
    await serves(server, version);
    expect((await server.get('/readyz')).status).toBe(200);
    await until('the old version is closed', async () => Object.keys(await indexOf(server, 'm')).length === 1);
    threads.push(threadCount());
  }
  await severalPolls();
  const answers = await clients.stop();
  expect([...answers.keys()].filter((answer) => typeof answer === 'string')).toEqual([]);
  expect([...answers.keys()].toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await indexOf(server, 'm')).toEqual({ '6': 'READY' });
  // Every reload starts two executors. Node starts a few threads of its own when it first needs them.
  expect(threads.at(-1)! - threads[0]!).toBeLessThan(4);
  expect(await sample(server.metricsUrl, 'slipway_model_reloads_total')).toBe(5);
});

test('without hot reload a repository may change as it likes', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  const server = await start(repository, { hotReload: false });
  putVersion(repository, 'm', 2, addModel(2));
  await severalPolls();
  expect(await stepOf(server, INFER)).toBe(1);
  expect(await indexOf(server, 'm')).toEqual({ '1': 'READY' });
});

describe('a version that cannot be served', () => {
  test('is reported, and the old one goes on; mended, it takes over', async () => {
    const repository = temporaryFolder();
    putVersion(repository, 'm', 1, addModel(1));
    const server = await start(repository);
    const folder = putVersion(repository, 'm', 2, Buffer.from('not a model'));
    await until(
      'the new version is refused',
      async () => (await indexOf(server, 'm'))['2']?.startsWith('UNAVAILABLE: ') === true,
    );
    expect((await indexOf(server, 'm'))['1']).toBe('READY');
    expect(await stepOf(server, INFER)).toBe(1);
    expect((await server.get('/readyz')).status).toBe(200);
    expect(await stepOf(server, '/v2/models/m/versions/2/infer')).toMatch(/^404 no version '2'/);
    await severalPolls();
    const attempts = server.log.filter(({ msg }) => msg === 'model cannot be served');
    expect(attempts).toHaveLength(1);
    expect(await sample(server.metricsUrl, 'slipway_model_reloads_total\\{model="m",outcome="failed"\\}')).toBe(1);

    writeFileSync(path.join(folder, 'model.onnx'), addModel(2));
    await serves(server, 2);
    await until('version 1 is gone', async () => Object.keys(await indexOf(server, 'm')).join() === '2');
  });

  test('when the files of a loaded version are spoiled, it is served as it was and the index says why', async () => {
    const repository = temporaryFolder();
    const folder = putVersion(repository, 'm', 1, addModel(1));
    const server = await start(repository);
    writeFileSync(path.join(folder, 'model.onnx'), 'spoiled');
    await until('the change is refused', async () => (await indexOf(server, 'm'))['1']?.startsWith('READY: ') === true);
    expect(await stepOf(server, INFER)).toBe(1);
    writeFileSync(path.join(folder, 'model.onnx'), addModel(7));
    await serves(server, 7);
    expect(await indexOf(server, 'm')).toEqual({ '1': 'READY' });
  });

  test('a published one with another digest is not served', async () => {
    const repository = temporaryFolder();
    const source = path.join(temporaryFolder(), 'model.onnx');
    writeFileSync(source, addModel(1));
    await publishModel({ source, name: 'm', repository });
    const server = await start(repository);
    writeFileSync(source, addModel(2));
    const staging = temporaryFolder();
    await publishModel({ source, name: 'm', repository: staging, version: 2 });
    writeFileSync(path.join(staging, 'm', '2', 'model.onnx'), addModel(3));
    renameSync(path.join(staging, 'm', '2'), path.join(repository, 'm', '2'));
    await until(
      'the new version is refused',
      async () => (await indexOf(server, 'm'))['2']?.includes('SHA-256') === true,
    );
    expect(await stepOf(server, INFER)).toBe(1);
  });
});

describe('when the newest version cannot be served at the start', () => {
  const BROKEN = Buffer.from('not a model');

  function repositoryOf(versions: Readonly<Record<number, Uint8Array>>): string {
    const repository = temporaryFolder();
    for (const [version, bytes] of Object.entries(versions)) putVersion(repository, 'm', Number(version), bytes);
    return repository;
  }

  test('the newest that can be is served, the index says why, and the mended one takes over', async () => {
    const repository = repositoryOf({ 1: addModel(1), 2: addModel(2), 3: BROKEN, 4: BROKEN });
    const server = await start(repository);
    expect(await stepOf(server, INFER)).toBe(2);
    expect((await server.get('/readyz')).status).toBe(200);
    expect((await server.get('/startupz')).status).toBe(200);
    expect(await indexOf(server, 'm')).toEqual({
      '4': expect.stringMatching(/^UNAVAILABLE: Load model from/) as string,
      '3': expect.stringMatching(/^UNAVAILABLE: Load model from/) as string,
      '2': 'READY',
    });
    expect(server.log.filter(({ msg }) => msg === 'older versions serve in the place of the newest')).toMatchObject([
      { level: 'warn', model: 'm', versions: [2] },
    ]);
    await severalPolls();
    expect(await stepOf(server, INFER)).toBe(2);
    writeFileSync(path.join(repository, 'm', '4', 'model.onnx'), addModel(4));
    await serves(server, 4);
    await until('the others are gone', async () => Object.keys(await indexOf(server, 'm')).join() === '4');
  });

  test('as many are served as the policy asks for', async () => {
    const repository = repositoryOf({ 1: addModel(1), 2: addModel(2), 3: BROKEN, 4: addModel(4) });
    const server = await start(repository, { versionPolicy: 'latest:2' });
    expect((await server.get('/v2/models/m')).json.versions).toEqual(['4', '2']);
    expect((await server.get('/readyz')).status).toBe(200);
  });

  test('and none can be, the replica is not ready, and its reason is that of the newest', async () => {
    const server = await start(repositoryOf({ 1: BROKEN, 2: BROKEN }));
    expect((await server.get('/readyz')).json.reason).toMatch(/^model 'm' version 2: Load model from/);
    expect(Object.keys(await indexOf(server, 'm'))).toEqual(['1', '2']);
    await severalPolls();
    expect(server.log.filter(({ msg }) => msg === 'model cannot be served')).toHaveLength(2);
  });

  test.each(['specific:1,2', 'all'])(
    'and the policy %s asks for it, nothing takes its place',
    async (versionPolicy) => {
      const server = await start(repositoryOf({ 1: addModel(1), 2: BROKEN }), { versionPolicy });
      expect((await server.get('/readyz')).json.reason).toMatch(/^model 'm' version 2: Load model from/);
    },
  );

  test('and a label leads to it, nothing takes its place', async () => {
    const repository = repositoryOf({ 1: addModel(1), 2: BROKEN });
    writeFileSync(path.join(repository, 'm', 'version-labels.json'), '{"labels": {"stable": 2}}');
    const server = await start(repository);
    expect((await server.get('/readyz')).json.reason).toMatch(/^model 'm' version 2: Load model from/);
  });

  test('without hot reload nothing takes its place, and the replica is not ready', async () => {
    const server = await start(repositoryOf({ 1: addModel(1), 2: BROKEN }), { hotReload: false });
    expect((await server.get('/readyz')).json.reason).toMatch(/^model 'm' version 2: Load model from/);
    expect(await stepOf(server, INFER)).toMatch(/^503 /);
  });

  test('the same holds for a model that comes later', async () => {
    const repository = repositoryOf({ 1: addModel(1) });
    const server = await start(repository);
    const staged = temporaryFolder();
    putVersion(staged, 'n', 1, addModel(1));
    putVersion(staged, 'n', 2, BROKEN);
    renameSync(path.join(staged, 'n'), path.join(repository, 'n'));
    await until('the older version serves', async () => (await stepOf(server, '/v2/models/n/infer')) === 1);
    expect((await indexOf(server, 'n'))['2']).toMatch(/^UNAVAILABLE: /);
  });
});

test('a version for which the machine has no room now is tried again soon', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  const cacheDirectory = path.join(temporaryFolder(), 'cache');
  const server = await start(repository, { cacheDirectory });
  renameSync(cacheDirectory, `${cacheDirectory}.away`);
  writeFileSync(cacheDirectory, 'in the way');
  putVersion(repository, 'm', 2, addModel(2));
  await until('the new version is refused', async () =>
    /^UNAVAILABLE: .*cannot be written/.test((await indexOf(server, 'm'))['2'] ?? ''),
  );
  expect(await stepOf(server, INFER)).toBe(1);
  rmSync(cacheDirectory);
  renameSync(`${cacheDirectory}.away`, cacheDirectory);
  await serves(server, 2);
});

test('a version that is copied slowly is never served half, and is served when it is whole', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(9));
  const server = await start(repository);
  const seen = new Set<string>();
  let isStopped = false;
  const watching = (async () => {
    while (!isStopped) seen.add((await server.infer('m', ZEROS)).json.outputs[0].data.join());
  })();
  const { model, weights } = externalDataModel();
  const folder = path.join(repository, 'm', '2');
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'model.onnx'), model);
  // Space for the whole is taken first, as some copy programs do: by its size alone the file looks complete, and it loads.
  for (let bytes = 64; bytes < weights.byteLength; bytes += 1) {
    const soFar = Buffer.alloc(weights.byteLength);
    soFar.set(weights.subarray(0, bytes));
    writeFileSync(path.join(folder, 'weights.bin'), soFar);
    await wait(POLL_SECONDS * 400);
  }
  writeFileSync(path.join(folder, 'weights.bin'), weights.subarray(0, 70));
  appendFileSync(path.join(folder, 'weights.bin'), weights.subarray(70));
  await until('the copied version serves', () => seen.has('1,2,3,4'));
  isStopped = true;
  await watching;
  expect([...seen]).toEqual(['9,9,9,9', '1,2,3,4']);
});

test('a version may keep its weights in a folder below', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  const server = await start(repository);
  const { model, weights } = externalDataModel({ location: 'weights/all.bin' });
  const staged = path.join(temporaryFolder(), '2');
  mkdirSync(path.join(staged, 'weights'), { recursive: true });
  writeFileSync(path.join(staged, 'model.onnx'), model);
  writeFileSync(path.join(staged, 'weights', 'all.bin'), weights);
  renameSync(staged, path.join(repository, 'm', '2'));
  await until('the new version serves', async () => (await indexOf(server, 'm'))['2'] === 'READY');
  expect((await server.infer('m', ZEROS)).json.outputs[0].data).toEqual([1, 2, 3, 4]);
});

test('a version folder that is taken away is unloaded, and one that comes back is loaded', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  putVersion(repository, 'm', 2, addModel(2));
  const server = await start(repository, { versionPolicy: 'all' });
  expect(await stepOf(server, INFER)).toBe(2);
  const aside = path.join(temporaryFolder(), '2');
  renameSync(path.join(repository, 'm', '2'), aside);
  await serves(server, 1);
  await until('version 2 is gone', async () => Object.keys(await indexOf(server, 'm')).join() === '1');
  renameSync(aside, path.join(repository, 'm', '2'));
  await serves(server, 2);
  expect(await indexOf(server, 'm')).toEqual({ '2': 'READY', '1': 'READY' });
});

test('a model that is added is served, and one that is taken away is gone', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  const server = await start(repository);
  putVersion(repository, 'new', 1, addModel(5));
  await until('the new model serves', async () => (await stepOf(server, '/v2/models/new/infer')) === 5);
  rmSync(path.join(repository, 'new'), { recursive: true });
  await until('the model is gone', async () => (await server.get('/v2/models/new')).status === 404);
  expect((await server.get('/readyz')).status).toBe(200);
});

test('a repository that cannot be read, or is empty all at once, unloads nothing', async () => {
  const repository = path.join(temporaryFolder(), 'models');
  putVersion(repository, 'm', 1, addModel(1));
  const server = await start(repository);
  const aside = path.join(temporaryFolder(), 'aside');
  renameSync(repository, aside);
  await until('the failure is logged', () =>
    server.log.some(({ msg }) => msg.startsWith('the model repository cannot be read')),
  );
  mkdirSync(repository);
  await severalPolls();
  expect(await stepOf(server, INFER)).toBe(1);
  expect(server.log.filter(({ msg }) => msg.startsWith('the model repository cannot be read'))).toHaveLength(2);
  rmSync(repository, { recursive: true });
  renameSync(aside, repository);
  await until('the repository is back', () =>
    server.log.some(({ msg }) => msg === 'the model repository answers again'),
  );
  expect(await indexOf(server, 'm')).toEqual({ '1': 'READY' });
});

test('a model that cannot be read keeps no other from being followed, and is served as it was', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  putVersion(repository, 'other', 1, addModel(5));
  const server = await start(repository);
  writeFileSync(path.join(repository, 'm', 'config.json'), `{${' '.repeat(2 ** 21)}}`);
  putVersion(repository, 'other', 2, addModel(6));
  await until('the other model is followed', async () => (await stepOf(server, '/v2/models/other/infer')) === 6);
  expect(await stepOf(server, INFER)).toBe(1);
  await until('it is said which model cannot be read', () =>
    server.log.some(
      ({ reason }) => String(reason).startsWith("model 'm': ") && String(reason).includes('config.json has more than'),
    ),
  );
});

test('an ensemble that comes together with the model of its step is served with it', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  const server = await start(repository);
  const folder = path.join(temporaryFolder(), 'all');
  mkdirSync(path.join(folder, '1'), { recursive: true });
  writeFileSync(
    path.join(folder, 'config.pbtxt'),
    `platform: "ensemble" max_batch_size: 4
     input [ { name: "input" data_type: TYPE_FP32 dims: [ 4 ] } ]
     output [ { name: "output" data_type: TYPE_FP32 dims: [ 4 ] } ]
     ensemble_scheduling { step [ { model_name: "step" model_version: -1
       input_map { key: "input" value: "input" } output_map { key: "output" value: "output" } } ] }`,
  );
  putVersion(repository, 'step', 1, addModel(30));
  renameSync(folder, path.join(repository, 'all'));
  await until('the ensemble serves', async () => (await stepOf(server, '/v2/models/all/infer')) === 30);
  putVersion(repository, 'step', 2, addModel(31));
  await until('the ensemble runs the new step', async () => (await stepOf(server, '/v2/models/all/infer')) === 31);
});

test('a version that is being copied when the server starts is waited for', async () => {
  const repository = temporaryFolder();
  const folder = path.join(repository, 'm', '1');
  mkdirSync(folder, { recursive: true });
  const { model, weights } = externalDataModel();
  writeFileSync(path.join(folder, 'model.onnx'), model);
  const file = path.join(folder, 'weights.bin');
  writeFileSync(file, Buffer.alloc(weights.byteLength));
  const copying = (async () => {
    for (let bytes = 64; bytes <= weights.byteLength; bytes += 1) {
      const soFar = Buffer.alloc(weights.byteLength);
      soFar.set(weights.subarray(0, bytes));
      writeFileSync(file, soFar);
      await wait(30);
    }
  })();
  const server = await start(repository, { reloadSeconds: 0.3 });
  await copying;
  expect((await server.infer('m', ZEROS)).json.outputs[0].data).toEqual([1, 2, 3, 4]);
});

test('a request that is running on the old version gets its answer from it, and then its threads end', async () => {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  const server = await start(repository);
  const body = JSON.stringify(ZEROS);
  // A body that arrives slowly has its model in hand from the beginning.
  const { send, answer } = await slowRequest(server, body);
  putVersion(repository, 'm', 2, addModel(2));
  await serves(server, 2);
  await severalPolls();
  expect((await indexOf(server, 'm'))['1']).toBe('UNLOADING');
  send();
  expect(JSON.parse(await answer)).toMatchObject({ model_version: '1', outputs: [{ data: [1, 1, 1, 1] }] });
  await until('version 1 is closed', async () => !('1' in (await indexOf(server, 'm'))));
});

test('the very same files are not loaded again when somebody touches the folder', async () => {
  const repository = temporaryFolder();
  const folder = putVersion(repository, 'm', 1, addModel(1));
  const server = await start(repository);
  utimesSync(folder, new Date(), new Date());
  await severalPolls();
  expect(await sample(server.metricsUrl, 'slipway_model_reloads_total')).toBeUndefined();
  expect(server.log.filter(({ msg }) => msg === 'session opened')).toHaveLength(1);
});

async function slowRequest(
  { url }: RunningServer,
  body: string,
): Promise<{ readonly send: () => void; readonly answer: Promise<string> }> {
  const { request: open } = await import('node:http');
  const outgoing = open(`${url}${INFER}`, { method: 'POST', headers: { 'Content-Length': Buffer.byteLength(body) } });
  outgoing.write(body.slice(0, 5));
  const answer = new Promise<string>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
  });
  // The server has read the headers when it has answered somebody who came later.
  await request(`${url}/livez`);
  return { send: () => outgoing.end(body.slice(5)), answer };
}
