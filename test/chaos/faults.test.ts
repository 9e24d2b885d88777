import { describe, expect, test } from 'vitest';
import { until } from '../server/harness/until';
import {
  DEADLY,
  EXECUTORS,
  FOR_EVER,
  holdSlow,
  light,
  load,
  metric,
  mortality,
  runSlow,
  start,
  statusOf,
  untilAnswered,
} from './chaos-server';
import { nothing, unexpected } from './load';

const LIGHT_MODELS = [light('one', [1]), light('two', [2])];

describe.each(EXECUTORS)('with %s executors', (executor) => {
  test('an executor that dies under load fails what it ran and nothing else: what waits is run by the next one', async () => {
    const running = await start({ SLIPWAY_EXECUTOR: executor, SLIPWAY_MAX_BATCH_SIZE: '1', ...mortality() });
    const clients = load(running, { models: LIGHT_MODELS, largestRows: 1 });
    await untilAnswered(clients, 5);
    const held = await holdSlow(running, 2_000);
    const deadly = runSlow(running, DEADLY);
    await until('it waits', async () => (await metric(running, 'slipway_queue_rows', 'model="slow"')) === 1);
    const others = [1, 2, 3].map((iterations) => runSlow(running, iterations));
    expect((await held.answer).status).toBe(200);
    expect(await deadly).toMatchObject({
      status: 503,
      json: { error: "the executor of model 'slow' was lost while it ran this request" },
    });
    expect(await runSlow(running, 1), 'until the next executor is there').toMatchObject({ status: 503 });
    expect(await statusOf(running, '/readyz')).toBe(503);
    expect(await statusOf(running, '/livez')).toBe(200);
    const answers = await Promise.all(others);
    expect(answers.map(({ json, text }) => json?.outputs?.[0].data ?? text)).toEqual([[1], [2], [3]]);
    expect(await statusOf(running, '/readyz')).toBe(200);
    await untilAnswered(clients, 5);
    expect(unexpected(await clients.stop(), nothing)).toEqual([]);
  });

  test('a model whose run never returns: /livez tells, the other models go on, and the process ends in time', async () => {
    const running = await start({
      SLIPWAY_EXECUTOR: executor,
      SLIPWAY_RUN_STUCK_SECONDS: '1',
      SLIPWAY_REQUEST_DEADLINE_SECONDS: '3',
    });
    const clients = load(running, { models: LIGHT_MODELS });
    const stuck = (await holdSlow(running, FOR_EVER)).answer;
    await until('the replica is not live', async () => (await statusOf(running, '/livez')) === 503);
    await untilAnswered(clients, 20);
    expect((await stuck).status).toBe(504);
    if (executor === 'native') {
      await until('the run was ended', async () => (await statusOf(running, '/livez')) === 200);
      expect((await runSlow(running, 3)).json.outputs[0].data).toEqual([3]);
    } else {
      expect(await statusOf(running, '/livez')).toBe(503);
    }
    expect(unexpected(await clients.stop(), nothing)).toEqual([]);

    const last = executor === 'native' ? (await holdSlow(running, FOR_EVER)).answer : undefined;
    running.server.child.kill('SIGTERM');
    const end = executor === 'native' ? { code: 0, signal: null } : { code: null, signal: 'SIGKILL' };
    expect(await running.server.exited).toEqual(end);
    expect((await last)?.status ?? 504).toBe(504);
  });
});
