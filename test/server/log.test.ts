import { expect, test } from 'vitest';
import { requestIdOf } from '../../runtime/server/request-id';
import { addOneModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer, type LogLine, type RunningServer } from './harness/running-server';
import { startServerProcess } from './harness/server-process';
import { until } from './harness/until';

const GOOD = floats('input', [1, 4], [11.25, 22.5, 33.75, 44.125]);

function start(): Promise<RunningServer> {
  return startServer({ modelRepository: plainRepository({ addone: addOneModel() }) });
}

async function lineOf(server: RunningServer, requestId: string): Promise<LogLine> {
  const find = (): LogLine | undefined => server.log.find((line) => line['requestId'] === requestId);
  await until('the access line', () => find() !== undefined);
  return find()!;
}

test('each request has one access line with its id, which the answer carries too', async () => {
  const server = await start();
  const url = `${server.url}/v2/models/addone/infer?token=hidden`;
  const given = await request(url, {
    method: 'POST',
    body: JSON.stringify(GOOD),
    headers: { 'x-request-id': 'job-7/retry.1', authorization: 'Bearer hidden-too', cookie: 'session=hidden-three' },
  });
  expect(given.headers.get('x-request-id')).toBe('job-7/retry.1');
  const line = await lineOf(server, 'job-7/retry.1');
  expect(line).toMatchObject({ level: 'debug', msg: 'request', method: 'POST', path: '/v2/models/addone/infer' });
  expect(line).toMatchObject({ status: 200, seconds: expect.any(Number) as number });
  const made = await server.infer('addone', GOOD);
  const id = made.headers.get('x-request-id')!;
  expect(id).toMatch(/^[\w-]{12}-\w+$/);
  expect(await lineOf(server, id)).toMatchObject({ status: 200 });
  expect(server.log.filter(({ msg }) => msg === 'request')).toHaveLength(2);
  // Neither what was asked nor what was answered, nor how the caller proved itself.
  const log = JSON.stringify(server.log);
  for (const secret of ['11.25', '12.25', '44.125', 'hidden']) expect(log).not.toContain(secret);
});

test('an id that is too long, or that could break a log or a header, is replaced', async () => {
  for (const id of ['a'.repeat(129), 'a b', 'a\nb', '"a"', '<a>', 'ä', '', '{}']) expect(requestIdOf(id)).not.toBe(id);
  for (const id of ['a'.repeat(128), 'A-1_b:2/3+4=@host.example', '4bf92f3577b34da6a3ce929d0e0e4736']) {
    expect(requestIdOf(id)).toBe(id);
  }
  expect(new Set(Array.from({ length: 1_000 }, () => requestIdOf(undefined))).size).toBe(1_000);
  const server = await start();
  const answer = await request(`${server.url}/livez`, { headers: { 'x-request-id': 'a b' } });
  expect(answer.headers.get('x-request-id')).not.toBe('a b');
});

test('refusals have their id as well, and what the server is to blame for is logged above debug', async () => {
  const server = await startServer({ modelRepository: plainRepository({ broken: Buffer.from('no model') }) });
  const missing = await server.get('/nowhere');
  expect(missing.status).toBe(404);
  expect(await lineOf(server, missing.headers.get('x-request-id')!)).toMatchObject({ level: 'debug', status: 404 });
  const broken = await server.infer('broken', GOOD);
  expect(broken.status).toBe(503);
  expect(await lineOf(server, broken.headers.get('x-request-id')!)).toMatchObject({ level: 'info', status: 503 });
});

test('text of a client cannot forge a line: every line is one JSON object', async () => {
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel() }),
    SLIPWAY_LOG_LEVEL: 'debug',
  });
  const url = await server.url();
  await server.waitFor('ready');
  const forged = '%0A{"level":"info","msg":"forged"}\u2028%00%1b[31m';
  await request(`${url}/v2/models/${forged}/infer`, { method: 'POST', body: forged });
  const line = await server.waitForLine(({ path }) => typeof path === 'string' && path.includes('%0A'));
  expect(line.msg).toBe('request');
  expect(server.log.some(({ msg }) => msg === 'forged')).toBe(false);
});
