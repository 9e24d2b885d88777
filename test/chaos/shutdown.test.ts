import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { call, connect, connectInference } from '../server/grpc/grpc-client';
import { startServerProcess } from '../server/harness/server-process';
import { heavyModel, putVersion } from '../server/harness/versions';
import { EXECUTORS, load, metric, runSlow, start, statusOf, untilAnswered } from './chaos-server';
import { unexpected, type LoadEvent } from './load';
import { until } from '../server/harness/until';

/** Of `grpc.health.v1.HealthCheckResponse`. */
const NOT_SERVING = 2;

/** What a client may be told that comes when the server takes no requests any more. */
function turnedAwayFrom(momentMs: number): (event: LoadEvent) => boolean {
  return ({ outcome, endedAt }) => ['refused', 'not connected', 'reset'].includes(outcome) && endedAt >= momentMs;
}

describe.each(EXECUTORS)('with %s executors', (executor) => {
  test('SIGTERM under load: whatever comes before the lag is over is answered, on both ports', async () => {
    const lagSeconds = 4;
    const running = await start({
      SLIPWAY_EXECUTOR: executor,
      SLIPWAY_DEREGISTRATION_LAG_SECONDS: String(lagSeconds),
    });
    const clients = load(running);
    await untilAnswered(clients, 30);
    const terminatedAt = Date.now();
    running.server.child.kill('SIGTERM');
    await running.server.waitFor('draining');
    expect(await statusOf(running, '/readyz')).toBe(503);
    // More than a protocol's three clients can have under way: they were let in while the server drained.
    await untilAnswered(clients, 10);
    expect(Date.now(), 'inside the lag').toBeLessThan(terminatedAt + 1_000 * lagSeconds);
    expect(await running.server.exited).toEqual({ code: 0, signal: null });
    expect(unexpected(await clients.stop(), turnedAwayFrom(terminatedAt + 1_000 * lagSeconds))).toEqual([]);
  });

  test('a second SIGTERM under load: what waits is told to come again, and the process ends', async () => {
    const running = await start({ SLIPWAY_EXECUTOR: executor, SLIPWAY_DEREGISTRATION_LAG_SECONDS: '600' });
    const clients = load(running);
    await untilAnswered(clients, 10);
    const long = runSlow(running, 100_000);
    await until('the long request is being run', async () => (await metric(running, 'slipway_queue_rows')) > 3);
    running.server.child.kill('SIGTERM');
    await running.server.waitFor('draining');
    await wait(400);
    const secondAt = Date.now();
    running.server.child.kill('SIGTERM');
    expect(await long).toMatchObject({ status: 503, json: { error: 'the server is shutting down' } });
    // A worker's run cannot be ended; a native one is.
    const end = executor === 'native' ? { code: 1, signal: null } : { code: null, signal: 'SIGKILL' };
    expect(await running.server.exited).toEqual(end);
    const report = await clients.stop();
    expect(unexpected(report, turnedAwayFrom(secondAt))).toEqual([]);
    const told = report.events.filter(({ detail }) => detail.includes('the server is shutting down'));
    expect(told.length, 'told to come again').toBeGreaterThan(0);
  });
});

test('SIGTERM while a new version is being loaded under load: the old one answers to the end, exit 0', async () => {
  const lagSeconds = 1;
  const running = await start({
    SLIPWAY_HOT_RELOAD: 'true',
    SLIPWAY_RELOAD_SECONDS: '0.1',
    SLIPWAY_DEREGISTRATION_LAG_SECONDS: String(lagSeconds),
  });
  const clients = load(running);
  await untilAnswered(clients, 10);
  putVersion(running.repository, 'two', 2, heavyModel(2, 20 * 2 ** 20));
  await running.server.waitForLine(({ msg, version }) => msg === 'model fetched and checked' && version === 2);
  const terminatedAt = Date.now();
  running.server.child.kill('SIGTERM');
  expect(await running.server.exited).toEqual({ code: 0, signal: null });
  expect(unexpected(await clients.stop(), turnedAwayFrom(terminatedAt + 1_000 * lagSeconds))).toEqual([]);
});

test('SIGTERM during the start, with clients of gRPC that wait for it to serve: they are told, exit 0', async () => {
  const server = await startServerProcess({
    // Nobody listens there: a store that does not answer is asked again and again.
    AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
    SLIPWAY_MODELS: JSON.stringify([{ name: 'm', version: 1, folder: 's3://bucket/m/1/' }]),
    SLIPWAY_DEREGISTRATION_LAG_SECONDS: '600',
  });
  const port = (await server.waitFor('listening'))['grpcPort'] as number;
  const client = connectInference(port);
  expect(await call(client, 'ServerLive')).toEqual({ live: true });
  expect(await call(client, 'ServerReady')).toEqual({ ready: false });
  const watch = connect(port, 'grpc.health.v1.Health')['Watch']({ service: '' });
  const statuses: number[] = [];
  const ended = new Promise<{ code: number; details: string }>((resolve) => watch.on('error', resolve));
  watch.on('data', ({ status }: { status: number }) => statuses.push(status));
  await until('the watch has begun', () => statuses.length > 0);
  server.child.kill('SIGTERM');
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(statuses).toEqual([NOT_SERVING]);
  expect(await ended).toMatchObject({ code: 14, details: expect.stringContaining('shutting down') as string });
});
