import { expect, test } from 'vitest';
import { request } from '../server/harness/running-server';
import { until } from '../server/harness/until';
import { EXECUTORS, light, load, metric, slow, start, statusOf, type Running } from './chaos-server';
import { total, unexpected } from './load';

/** For a hundred small requests, and less than the largest one that the model takes. */
const BODY_MEMORY_BYTES = 32 * 1_024;

test.each(EXECUTORS)(
  'with %s executors, three times too much from clients that are in a hurry and that leave: nothing of it stays behind',
  async (executor) => {
    const running = await start({
      SLIPWAY_EXECUTOR: executor,
      SLIPWAY_QUEUE_SECONDS: '0.3',
      SLIPWAY_MAX_BATCH_SIZE: '1',
      SLIPWAY_BODY_MEMORY_MIB: String(BODY_MEMORY_BYTES / 2 ** 20),
    });
    const clients = load(running, {
      models: [light('one', [1]), slow(400)],
      clients: { binary: 30, json: 30, grpc: 30 },
      largestRows: 1,
      pauseMs: 0,
      timeoutSeconds: 0.5,
      leaveAfterMs: 100,
    });
    const outcomes = async (): Promise<readonly number[]> => {
      const { ok, events } = await clients.report();
      const refused = events.filter(({ outcome }) => outcome === 'refused').length;
      const left = events.filter(({ outcome }) => outcome === 'left').length;
      return [total({ ok, events }), refused, left];
    };
    await until('many are answered, refused and gone', async () => (await outcomes()).every((count) => count > 150));
    expect(await statusOf(running, '/livez')).toBe(200);
    expect(await statusOf(running, '/readyz')).toBe(200);
    const report = await clients.stop();
    const isTold = ({ outcome }: { outcome: string }): boolean => ['refused', 'late', 'left'].includes(outcome);
    expect(unexpected(report, isTold)).toEqual([]);

    await until('nothing waits', async () => (await metric(running, 'slipway_queue_rows')) === 0);
    await until('no connection is left', async () => (await openConnections(running)) === 0);
    // Larger than the memory for bodies: let in only while no other body holds any of it.
    const body = JSON.stringify({
      inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [1] }],
    }).padEnd(2 * BODY_MEMORY_BYTES - 100);
    const large = await request(`${running.url}/v2/models/slow/infer`, { method: 'POST', body });
    expect(large.text).toContain('"data":[1]');
    running.server.child.kill('SIGTERM');
    expect(await running.server.exited).toEqual({ code: 0, signal: null });
  },
);

async function openConnections(running: Running): Promise<number> {
  const [http, grpc] = await Promise.all(
    ['port="http"', 'port="grpc"'].map((port) => metric(running, 'slipway_connections', port)),
  );
  return http! + grpc!;
}
