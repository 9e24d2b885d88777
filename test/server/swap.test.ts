import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ModelMemory, readMemoryLimit, weightBytesOf } from '../../runtime/server/model-memory';
import { startWorkerExecutor } from '../../runtime/server/worker-executor';
import type { ServerSettings } from '../../runtime/spec/environment';
import { externalDataModel } from '../support/onnx-models';
import { publishedRepository, temporaryFolder } from './harness/model-repository';
import { bundleServer } from './harness/server-bundle';
import { floats, request, startServer, type RunningServer } from './harness/running-server';
import { until } from './harness/until';
import { addModel, heavyModel, indexOf, putVersion, stepIn, stepOf } from './harness/versions';

const INFER = '/v2/models/m/infer';
const MIB = 2 ** 20;
const WEIGHTS = 8 * MIB;
/** Enough for one version with these weights while it is loaded, and not for two. */
const ROOM_FOR_ONE = 60;

async function start(settings: Partial<ServerSettings>): Promise<{ server: RunningServer; repository: string }> {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, heavyModel(1, WEIGHTS));
  const server = await startServer({
    modelRepository: repository,
    hotReload: true,
    reloadSeconds: 0.05,
    modelMemoryMiB: ROOM_FOR_ONE,
    ...settings,
  });
  return { server, repository };
}

/** Clients that ask one request after the other until they are stopped. */
function hammer({ url }: RunningServer, clients: number): () => Promise<Map<number | string, number>> {
  const answers = new Map<number | string, number>();
  let isStopped = false;
  const body = JSON.stringify(floats('input', [1, 4], [0, 0, 0, 0]));
  const ask = async (): Promise<void> => {
    while (!isStopped) {
      const step = stepIn(await request(`${url}${INFER}`, { method: 'POST', body }));
      answers.set(step, (answers.get(step) ?? 0) + 1);
    }
  };
  const asking = Promise.all(Array.from({ length: clients }, ask));
  return async () => {
    isStopped = true;
    await asking;
    return answers;
  };
}

describe('when two versions do not fit in memory', () => {
  test('the new one is refused with the numbers, and the old one goes on', async () => {
    const { server, repository } = await start({ swapPolicy: 'refuse' });
    putVersion(repository, 'm', 2, heavyModel(2, WEIGHTS));
    await until('the new version is refused', async () => '2' in (await indexOf(server, 'm')));
    await until('it says why', async () => (await indexOf(server, 'm'))['2']!.startsWith('UNAVAILABLE'));
    expect((await indexOf(server, 'm'))['2']).toMatch(
      /^UNAVAILABLE: it needs about 49 MiB of memory while it is loaded, and 20 MiB are free; SLIPWAY_SWAP_POLICY=hold /,
    );
    expect(await stepOf(server, INFER)).toBe(1);
    expect((await server.get('/readyz')).status).toBe(200);
  });

  test('requests are held while the old one makes room, and none of them fails', async () => {
    const { server, repository } = await start({ swapPolicy: 'hold' });
    const stop = hammer(server, 8);
    putVersion(repository, 'm', 2, heavyModel(2, WEIGHTS));
    const readiness = new Set<number>();
    await until('the new version serves', async () => {
      readiness.add((await server.get('/readyz')).status);
      return (await stepOf(server, INFER)) === 2;
    });
    const answers = await stop();
    expect([...answers.keys()].toSorted()).toEqual([1, 2]);
    expect([...readiness]).toEqual([200]);
    expect(server.log.filter(({ msg }) => msg === 'holding requests for a swap')).toHaveLength(1);
    expect(await indexOf(server, 'm')).toEqual({ '2': 'READY' });
  });

  test('the old one is loaded again when the new one fails after it has gone', async () => {
    const { server, repository } = await start({ swapPolicy: 'hold' });
    const stop = hammer(server, 4);
    putVersion(repository, 'm', 2, Buffer.alloc(WEIGHTS, 1));
    await until('the new version is refused', async () =>
      ((await indexOf(server, 'm'))['2'] ?? '').startsWith('UNAVAILABLE'),
    );
    await until('the old version is back', async () => (await stepOf(server, INFER)) === 1);
    const answers = await stop();
    expect([...answers.keys()]).toEqual([1]);
    expect(await indexOf(server, 'm')).toMatchObject({ '1': 'READY' });
    expect((await server.get('/readyz')).status).toBe(200);
  });

  test('a version that would not even fit alone is refused, whatever the policy', async () => {
    const { server, repository } = await start({ swapPolicy: 'hold' });
    putVersion(repository, 'm', 2, heavyModel(2, 4 * WEIGHTS));
    await until('the new version is refused', async () =>
      ((await indexOf(server, 'm'))['2'] ?? '').startsWith('UNAVAILABLE'),
    );
    expect((await indexOf(server, 'm'))['2']).toMatch(/ MiB are free; give the server more/);
    expect(await stepOf(server, INFER)).toBe(1);
    expect(server.log.some(({ msg }) => msg === 'holding requests for a swap')).toBe(false);
  });

  test('requests are held no longer than was set, and one too many is turned away at once', async () => {
    let open: (() => void) | undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const repository = temporaryFolder();
    putVersion(repository, 'm', 1, heavyModel(1, WEIGHTS));
    const workerUrl = await bundleServer();
    let started = 0;
    const server = await startServer(
      {
        modelRepository: repository,
        hotReload: true,
        reloadSeconds: 0.05,
        modelMemoryMiB: ROOM_FOR_ONE,
        swapPolicy: 'hold',
        swapHoldSeconds: 0.5,
        queueDepthRows: 3,
      },
      {
        startExecutor: async (options) => {
          started += 1;
          if (started > 1) await opened;
          return startWorkerExecutor(workerUrl, options);
        },
      },
    );
    putVersion(repository, 'm', 2, heavyModel(2, WEIGHTS));
    await until('requests are held', () => server.log.some(({ msg }) => msg === 'holding requests for a swap'));
    const held = await Promise.all(Array.from({ length: 5 }, () => stepOf(server, INFER)));
    const late = "503 model 'm' is being replaced, and that takes longer than 0.5 s";
    expect(held.filter((answer) => answer === late)).toHaveLength(3);
    expect(held.filter((answer) => String(answer).startsWith('429 '))).toHaveLength(2);
    expect(await stepOf(server, INFER)).toMatch(/^503 model 'm' version 2 is not ready: loading/);
    expect((await server.get('/readyz')).status).toBe(503);
    expect((await server.get('/startupz')).status).toBe(200);
    open!();
    await until('the new version serves', async () => (await stepOf(server, INFER)) === 2);
    expect((await server.get('/readyz')).status).toBe(200);
  });
});

test('another model that does not fit beside those that are loaded is refused', async () => {
  const { server, repository } = await start({ swapPolicy: 'hold' });
  putVersion(repository, 'second', 1, heavyModel(2, WEIGHTS));
  await until('the second model is refused', async () =>
    ((await indexOf(server, 'second'))['1'] ?? '').startsWith('UNAVAILABLE'),
  );
  expect(await stepOf(server, INFER)).toBe(1);
});

test('memory is estimated for the executors that a configuration asks for', async () => {
  const { server, repository } = await start({ modelMemoryMiB: 1_000 });
  mkdirSync(path.join(repository, 'many'));
  writeFileSync(path.join(repository, 'many', 'config.pbtxt'), 'instance_group { count: 64 kind: KIND_CPU }');
  putVersion(repository, 'many', 1, addModel(2));
  await until('the model with many executors is refused', async () =>
    /needs about 15\d\d MiB of memory/.test((await indexOf(server, 'many'))['1'] ?? ''),
  );
  expect(await stepOf(server, INFER)).toBe(1);
});

describe('memory', () => {
  test('is asked of the control group, at most that of the machine', () => {
    const root = temporaryFolder();
    expect(readMemoryLimit(root)).toBeGreaterThan(MIB);
    const machine = readMemoryLimit(root);
    writeFileSync(path.join(root, 'memory.max'), 'max\n');
    expect(readMemoryLimit(root)).toBe(machine);
    writeFileSync(path.join(root, 'memory.max'), `${512 * MIB}\n`);
    expect(readMemoryLimit(root)).toBe(512 * MIB);
    const v1 = temporaryFolder();
    mkdirSync(path.join(v1, 'memory'));
    writeFileSync(path.join(v1, 'memory', 'memory.limit_in_bytes'), `${256 * MIB}\n`);
    expect(readMemoryLimit(v1)).toBe(256 * MIB);
  });

  test('that is not set is what the process leaves of its limit', () => {
    const memory = new ModelMemory({ readLimit: () => 1_000 * MIB, readUse: () => 300 * MIB });
    expect(memory.free([])).toBe(650 * MIB);
  });

  test('of a model counts its weights for each session that holds its own', () => {
    const of = (sessions: number): number => new ModelMemory().estimate({ weightBytes: 100 * MIB, sessions }) / MIB;
    expect(of(1)).toBe(24 + 200 + 100);
    expect(of(3)).toBe(3 * (24 + 200) + 100);
  });

  test('of weights is what the manifest says, or the files hold, external data included', async () => {
    const repository = await publishedRepository('m', addModel(1));
    const folder = path.join(repository, 'm', '1');
    expect(await weightBytesOf({ folder })).toBeGreaterThan(4);
    const { model, weights } = externalDataModel();
    const plain = temporaryFolder();
    writeFileSync(path.join(plain, 'model.onnx'), model);
    writeFileSync(path.join(plain, 'weights.bin'), weights);
    expect(await weightBytesOf({ folder: plain })).toBe(model.byteLength + weights.byteLength);
  });
});
