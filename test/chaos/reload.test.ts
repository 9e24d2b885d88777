import { spawnSync } from 'node:child_process';
import { describe, expect, test, type TestContext } from 'vitest';
import { temporaryFolder } from '../server/harness/model-repository';
import { floats, request } from '../server/harness/running-server';
import { until } from '../server/harness/until';
import { addModel, heavyModel, putVersion } from '../server/harness/versions';
import { EXECUTORS, light, load, metric, slow, start, statusOf, untilAnswered, type Running } from './chaos-server';
import { nothing, unexpected } from './load';

const FOLLOWING = { SLIPWAY_HOT_RELOAD: 'true', SLIPWAY_RELOAD_SECONDS: '0.1' };

describe.each(EXECUTORS)('with %s executors', (executor) => {
  test('five new versions under load: every request is answered by one that serves, and the replica stays ready', async () => {
    const running = await start({ SLIPWAY_EXECUTOR: executor, ...FOLLOWING });
    const steps = [1, 11, 12, 13, 14, 15];
    const clients = load(running, { models: [light('one', steps), light('two', [2]), slow(20)] });
    await untilAnswered(clients, 5);
    for (let version = 2; version <= 6; version++) {
      putVersion(running.repository, 'one', version, addModel(steps[version - 1]!));
      await running.server.waitForLine(
        (line) => line.msg === 'model version in service' && line['version'] === version,
      );
      expect(await statusOf(running, '/readyz')).toBe(200);
      await untilAnswered(clients, 5);
    }
    expect(unexpected(await clients.stop(), nothing)).toEqual([]);
    const answer = await request(`${running.url}/v2/models/one/infer`, {
      method: 'POST',
      body: JSON.stringify(floats('input', [1, 4], [0, 1, 2, 3])),
    });
    expect(answer.json.outputs[0].data).toEqual([15, 16, 17, 18]);
  });
});

const SMALL_MIB = 8;
const TOO_SMALL: Record<string, (context: TestContext) => Promise<Running>> = {
  cache: () => start({ ...FOLLOWING, SLIPWAY_CACHE_MIB: String(SMALL_MIB) }),
  // A disk of its own for the server, which only it sees, and which goes with it.
  disk: (context) => {
    if (spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status !== 0) {
      context.skip('this user may not mount a disk');
    }
    const disk = temporaryFolder();
    const mount = `mount -t tmpfs -o size=${SMALL_MIB}m none ${disk} && exec "$@"`;
    return start({ ...FOLLOWING, SLIPWAY_CACHE_DIRECTORY: disk }, [
      ...['unshare', '--map-root-user', '--mount'],
      ...['sh', '-c', mount, 'sh'],
    ]);
  },
};

test.for(Object.keys(TOO_SMALL))(
  'a new version for which the %s is too small, under load: the old one goes on',
  async (what, context) => {
    const running = await TOO_SMALL[what]!(context);
    const clients = load(running);
    await untilAnswered(clients, 5);
    putVersion(running.repository, 'one', 2, heavyModel(2, 20 * 2 ** 20));
    await until('the failure is counted', async () => {
      return (await metric(running, 'slipway_model_reloads_total', 'outcome="failed"')) === 1;
    });
    await untilAnswered(clients, 5);
    putVersion(running.repository, 'two', 2, addModel(2));
    await running.server.waitForLine((line) => line.msg === 'model version in service' && line['model'] === 'two');
    await untilAnswered(clients, 5);
    expect(unexpected(await clients.stop(), nothing)).toEqual([]);
    expect(await statusOf(running, '/readyz')).toBe(200);
  },
);
