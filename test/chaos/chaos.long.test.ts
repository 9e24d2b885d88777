import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { until } from '../server/harness/until';
import { heavyModel, putVersion } from '../server/harness/versions';
import {
  DEADLY,
  EXECUTORS,
  light,
  load,
  metric,
  mortality,
  runSlow,
  slow,
  start,
  statusOf,
  untilAnswered,
  type Running,
} from './chaos-server';
import { nothing, total, unexpected } from './load';

/** Resident memory of the server, as Linux tells it. */
function residentMiB({ server }: Running): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1_024;
}

describe.each(EXECUTORS)('with %s executors', (executor) => {
  test('forty reloads of 16 MiB of weights under load: no request fails, and memory is given back', async () => {
    const running = await start({
      SLIPWAY_EXECUTOR: executor,
      SLIPWAY_HOT_RELOAD: 'true',
      SLIPWAY_RELOAD_SECONDS: '0.1',
    });
    const steps = [1, 2, 3];
    const clients = load(running, { models: [light('one', steps), light('two', [2]), slow(20)] });
    const [even, odd] = [heavyModel(2, 16 * 2 ** 20), heavyModel(3, 16 * 2 ** 20)];
    const resident: number[] = [];
    for (let version = 2; version <= 41; version++) {
      putVersion(running.repository, 'one', version, version % 2 === 0 ? even : odd);
      const isInService = (line: { msg: string; version?: unknown }): boolean =>
        line.msg === 'model version in service' && line.version === version;
      await running.server.waitForLine(isInService);
      await untilAnswered(clients, 2);
      resident.push(residentMiB(running));
    }
    expect(unexpected(await clients.stop(), nothing)).toEqual([]);
    const [early, late] = [Math.max(...resident.slice(5, 15)), Math.max(...resident.slice(-10))];
    console.log(
      `${executor}: at most ${early.toFixed(0)} MiB in reloads 6 to 15, ${late.toFixed(0)} MiB in the last ten`,
    );
    // What a run needs beside its weights comes and goes with the moment. Twenty-five reloads lie between: their weights
    // alone would be 400 MiB.
    expect(late - early).toBeLessThan(300);
  }, 600_000);

  test('ten executors in a row die under load: each is replaced, and nobody else notices', async () => {
    const running = await start({ SLIPWAY_EXECUTOR: executor, ...mortality() });
    const clients = load(running, { models: [light('one', [1]), light('two', [2])] });
    for (let death = 1; death <= 10; death++) {
      expect((await runSlow(running, DEADLY)).status).toBe(503);
      await until('the replica is ready again', async () => (await statusOf(running, '/readyz')) === 200);
      expect((await runSlow(running, death)).json.outputs[0].data).toEqual([death]);
    }
    await untilAnswered(clients, 5);
    expect(unexpected(await clients.stop(), nothing)).toEqual([]);
  }, 300_000);

  test('a minute of three times too much, from clients that are in a hurry and that leave: memory stays flat', async () => {
    const running = await start({
      SLIPWAY_EXECUTOR: executor,
      SLIPWAY_QUEUE_SECONDS: '0.3',
      SLIPWAY_MAX_BATCH_SIZE: '1',
    });
    const clients = load(running, {
      models: [light('one', [1]), slow(400)],
      clients: { binary: 30, json: 30, grpc: 30 },
      largestRows: 1,
      pauseMs: 0,
      timeoutSeconds: 0.5,
      leaveAfterMs: 100,
    });
    const resident: number[] = [];
    for (let second = 0; second < 60; second++) {
      await wait(1_000);
      resident.push(residentMiB(running));
    }
    const report = await clients.stop();
    const isTold = ({ outcome }: { outcome: string }): boolean => ['refused', 'late', 'left'].includes(outcome);
    expect(unexpected(report, isTold)).toEqual([]);
    await until('nothing waits', async () => (await metric(running, 'slipway_queue_rows')) === 0);
    const [early, late] = [Math.max(...resident.slice(10, 25)), Math.max(...resident.slice(-15))];
    console.log(`${executor}: ${total(report)} answers, ${early.toFixed(0)} MiB, then ${late.toFixed(0)} MiB`);
    expect(late - early).toBeLessThan(50);
  }, 180_000);
});
