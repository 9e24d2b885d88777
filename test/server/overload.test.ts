import { expect, test } from 'vitest';
import { addOneModel, identityModel, slowModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { overload, quantile } from './harness/overload';
import { floats, request, startServer, type Answer, type RunningServer } from './harness/running-server';
import { sample, until, untilQueued, untilStarted } from './harness/until';

/** About a second on one core: the matrices of the slow model take a tenth of a millisecond each, or more. */
const LONG = 8_000;

function slow({ infer }: RunningServer, iterations: number, rows = 1): Promise<Answer> {
  const data = new Array<number>(rows).fill(iterations);
  return infer('slow', { inputs: [{ name: 'iterations', shape: [rows, 1], datatype: 'INT64', data }] });
}

function start(settings: Parameters<typeof startServer>[0] = {}): Promise<RunningServer> {
  return startServer({ modelRepository: plainRepository({ slow: slowModel() }), ...settings });
}

async function outcomes({ metricsUrl }: RunningServer): Promise<Record<string, number>> {
  const { text } = await request(`${metricsUrl}/metrics`);
  const lines = text.matchAll(/^slipway_requests_total\{model="slow".*outcome="([^"]+)"\} (\d+)/gm);
  return Object.fromEntries([...lines].map(([, outcome, count]) => [outcome!, Number(count)]));
}

test('a full queue answers 429 with Retry-After at once, and those in it are served', async () => {
  const server = await start({ queueDepthRows: 3, maxBatchSize: 2 });
  const running = slow(server, LONG);
  await untilStarted(server.metricsUrl, 1);
  const queued = [slow(server, 1), slow(server, 1, 2)];
  await untilQueued(server.metricsUrl, 3);
  const refused = await slow(server, 1);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(refused.json.error).toBe("the queue of model 'slow' is full: 3 of 3 rows wait, got 1 more");
  expect((await running).status).toBe(200);
  expect((await Promise.all(queued)).map(({ status }) => status)).toEqual([200, 200]);
  expect(await outcomes(server)).toEqual({ ok: 3, queue_full: 1 });
});

test('a deadline that passes in the queue gets 504, and the request never runs', async () => {
  const server = await start({ requestDeadlineSeconds: 0.5 });
  const running = slow(server, LONG);
  await untilStarted(server.metricsUrl, 1);
  expect(await slow(server, 1)).toMatchObject({ status: 504, json: { error: 'no answer within 0.5 s' } });
  expect((await running).status).toBe(504);
  const runs = (): Promise<number | undefined> => sample(server.metricsUrl, 'slipway_run_duration_seconds_count');
  await until('the first run has ended', async () => (await runs()) === 1);
  expect((await slow(server, 1)).status).toBe(200);
  expect(await runs()).toBe(2);
  expect(await outcomes(server)).toEqual({ deadline: 2, ok: 1 });
});

test('a client that goes away is taken out of the queue and counted', async () => {
  const server = await start();
  const running = slow(server, LONG);
  await untilStarted(server.metricsUrl, 1);
  const controller = new AbortController();
  const gone = fetch(`${server.url}/v2/models/slow/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [1] }] }),
    signal: controller.signal,
  }).catch(() => undefined);
  await untilQueued(server.metricsUrl, 1);
  controller.abort();
  await gone;
  await untilQueued(server.metricsUrl, 0);
  expect((await running).status).toBe(200);
  expect(await outcomes(server)).toEqual({ ok: 1, cancelled: 1 });
});

test('requests of a rare shape are not held up behind others, nor others behind them', async () => {
  const models = { free: identityModel({ shape: ['n', 'm'] }), addone: addOneModel() };
  const server = await startServer({ modelRepository: plainRepository(models), maxBatchSize: 4 });
  const widths = Array.from({ length: 60 }, (_, i) => (i % 10 === 0 ? 5 : 2));
  const answers = await Promise.all(
    widths.map((width, i) => server.infer('free', floats('input', [1, width], new Array<number>(width).fill(i)))),
  );
  answers.forEach((answer, i) => {
    expect(answer.json.outputs[0].data).toEqual(new Array<number>(widths[i]!).fill(i));
  });
});

test('at three times what the server can answer, some are served soon and the others are told when to come again', async () => {
  const queueSeconds = 0.3;
  const { acceptedSeconds, retryAfterSeconds, others, kept } = await overload({
    queueSeconds,
    seconds: 3,
    accepted: 11,
  });
  expect(others).toEqual([]);
  expect(retryAfterSeconds.length, 'refused').toBeGreaterThan(acceptedSeconds.length / 2);
  expect(retryAfterSeconds.every((seconds) => Number.isInteger(seconds) && seconds >= 1)).toBe(true);
  expect(acceptedSeconds.length).toBeGreaterThan(10);
  // Waits are predicted by what runs took until then; clients and server then make the machine slower by as much.
  expect(quantile(acceptedSeconds, 0.99)).toBeLessThan((3 * queueSeconds) / Math.min(1, kept));
});

test('the probes answer while a model runs', async () => {
  const server = await start();
  const running = slow(server, LONG);
  await untilStarted(server.metricsUrl, 1);
  for (const path of ['/livez', '/readyz', '/v2/models/slow']) expect((await server.get(path)).status).toBe(200);
  expect(await sample(server.metricsUrl, 'slipway_run_duration_seconds_count')).toBe(0);
  expect((await running).status).toBe(200);
});

test('a request of no rows shares a run with others', async () => {
  const server = await start();
  const running = slow(server, LONG);
  await untilStarted(server.metricsUrl, 1);
  const together = [slow(server, 1), slow(server, 1, 0), slow(server, 1, 2)];
  await untilQueued(server.metricsUrl, 4);
  const answers = await Promise.all([running, ...together]);
  expect(answers.map(({ json }) => json.outputs[0].shape[0])).toEqual([1, 1, 0, 2]);
  expect(await sample(server.metricsUrl, 'slipway_run_duration_seconds_count')).toBe(2);
});

test('bodies in flight that hold all the memory for bodies turn the next one away, however it is sent', async () => {
  const server = await start({ bodyMemoryMiB: 1_500 / 2 ** 20 });
  const body = (iterations: number): string =>
    JSON.stringify({
      inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [iterations] }],
    }).padEnd(1_000);
  const path = '/v2/models/slow/infer';
  const running = server.post(path, body(LONG));
  await untilStarted(server.metricsUrl, 1);

  const declared = await server.post(path, body(1));
  expect(declared.status).toBe(429);
  expect(declared.headers.get('retry-after')).toBe('1');
  expect(declared.json.error).toBe('requests in flight hold 1000 of 1500 bytes for bodies, got 1000 more');
  const stream = new Blob([body(1)]).stream();
  const chunked = await request(server.url + path, { method: 'POST', body: stream, duplex: 'half' });
  expect(chunked.status).toBe(429);

  expect((await running).status).toBe(200);
  expect((await server.post(path, body(1))).status).toBe(200);
  expect((await server.post(path, body(1).padEnd(5_000))).status, 'larger than the memory, but alone').toBe(200);
  expect(await outcomes(server)).toEqual({ ok: 3, queue_full: 2 });
});
