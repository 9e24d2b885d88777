import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { Exchange } from '../../runtime/server/exchange';
import { addOneModel, slowModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer, type RunningServer } from './harness/running-server';
import { sample, until } from './harness/until';

type Settings = Parameters<typeof startServer>[0];

function start(settings: Settings = {}): Promise<RunningServer> {
  return startServer({ modelRepository: plainRepository({ addone: addOneModel() }), ...settings });
}

async function open({ url }: RunningServer): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Everything that comes back until the server closes the connection. */
async function send(server: RunningServer, ...parts: readonly string[]): Promise<string> {
  const socket = await open(server);
  const received = text(socket);
  for (const part of parts) socket.write(part);
  return received;
}

const GOOD = JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4]));
const INFER = 'POST /v2/models/addone/infer HTTP/1.1\r\nHost: a\r\n';
const GET = 'GET /livez HTTP/1.1\r\nHost: a\r\n';

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
const bodyOf = (answer: string): any => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));

const REFUSED: readonly [name: string, status: number, request: string][] = [
  ['no HTTP', 400, 'hello\r\n\r\n'],
  ['TLS on the plain port', 400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['an unknown HTTP version', 400, 'GET /livez HTTP/9.9\r\nHost: a\r\n\r\n'],
  ['a header without a colon', 400, `${GET}nonsense\r\n\r\n`],
  ['a blank before the colon', 400, `${GET}X-A : b\r\n\r\n`],
  ['a folded header', 400, `${GET}X-A: b\r\n c\r\n\r\n`],
  ['a NUL in a header', 400, `${GET}X-A: \0\r\n\r\n`],
  ['both lengths', 400, `${INFER}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  [
    'both lengths, the other way round',
    400,
    `${INFER}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
  ],
  ['two lengths', 400, `${INFER}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd`],
  ['a list of lengths', 400, `${INFER}Content-Length: 4, 4\r\n\r\nabcd`],
  ['a signed length', 400, `${INFER}Content-Length: +4\r\n\r\nabcd`],
  ['an endless length', 400, `${INFER}Content-Length: 99999999999999999999999\r\n\r\n`],
  ['chunked not last', 400, `${INFER}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ['chunked twice', 400, `${INFER}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n`],
  ['headers beyond 16 KiB', 431, `${GET}X-A: ${'a'.repeat(17_000)}\r\n\r\n`],
  ['a path beyond 16 KiB', 431, `GET /${'a'.repeat(17_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
];

test('what the parser refuses is answered in JSON, and the connection is closed', async () => {
  const server = await start();
  for (const [name, status, bytes] of REFUSED) {
    const answer = await send(server, bytes);
    expect(statusOf(answer), name).toBe(status);
    expect(bodyOf(answer).error, name).toMatch(/^[A-Za-z]/);
    expect(answer, name).toContain('Content-Type: application/json');
    expect(answer, name).toContain('Connection: close');
  }
  expect((await request(`${server.url}/v2/models/addone/infer`, { method: 'POST', body: GOOD })).status).toBe(200);
});

test('64 headers are taken and 65 are not; HTTP/1.1 wants a Host', async () => {
  const server = await start();
  const headers = (count: number): string => Array.from({ length: count }, (_, i) => `X-${i}: 1\r\n`).join('');
  expect(statusOf(await send(server, `${GET}Connection: close\r\n${headers(62)}\r\n`))).toBe(200);
  const many = await send(server, `${GET}Connection: close\r\n${headers(63)}\r\n`);
  expect(statusOf(many)).toBe(431);
  expect(bodyOf(many)).toEqual({ error: 'a request has at most 64 headers' });
  // Beyond what the parser keeps, a second length cannot hide either.
  const hidden = await send(server, `${INFER}Content-Length: 0\r\nConnection: close\r\n${headers(80)}\r\n`);
  expect(statusOf(hidden)).toBe(431);
  const nameless = await send(server, 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n');
  expect(statusOf(nameless)).toBe(400);
  expect(bodyOf(nameless)).toEqual({ error: 'HTTP/1.1 wants a Host header' });
});

test('HTTP/1.0 is answered, with a length, and its connection ends', async () => {
  const server = await start();
  const answer = await send(server, 'GET /livez HTTP/1.0\r\n\r\n');
  expect(statusOf(answer)).toBe(200);
  expect(answer).toMatch(/Content-Length: \d+/);
  expect(answer).not.toContain('Transfer-Encoding');
  const inferred = await send(
    server,
    `POST /v2/models/addone/infer HTTP/1.0\r\nContent-Length: ${GOOD.length}\r\n\r\n`,
    GOOD,
  );
  expect(bodyOf(inferred).outputs[0].data).toEqual([2, 3, 4, 5]);
});

test('pipelined requests are answered in their order', async () => {
  const models = { addone: addOneModel(), slow: slowModel() };
  const server = await start({ modelRepository: plainRepository(models) });
  const slow = JSON.stringify({ inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [5_000] }] });
  const post = (model: string, body: string, id: string): string =>
    `POST /v2/models/${model}/infer HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${id}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const last = `${GET}X-Request-Id: last\r\nConnection: close\r\n\r\n`;
  const answer = await send(server, post('slow', slow, 'first'), post('addone', GOOD, 'second'), last);
  expect([...answer.matchAll(/X-Request-Id: (\w+)/g)].map(([, id]) => id)).toEqual(['first', 'second', 'last']);
  expect([...answer.matchAll(/HTTP\/1\.1 200 OK/g)]).toHaveLength(3);
});

test('garbage behind a request is never taken for its answer', async () => {
  const server = await start({ modelRepository: plainRepository({ slow: slowModel() }) });
  const slow = JSON.stringify({ inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [5_000] }] });
  const head = `POST /v2/models/slow/infer HTTP/1.1\r\nHost: a\r\nContent-Length: ${slow.length}\r\n\r\n`;
  const answer = await send(server, head + slow, 'garbage\r\n\r\n').catch(() => '');
  expect(answer).not.toContain('400');
});

test('connections beyond the limit are closed at once, counted and logged once, and those before go on', async () => {
  const server = await start({ maxConnections: 3 });
  const taken = await Promise.all([open(server), open(server), open(server)]);
  await until('three are open', async () => (await connectionsOf(server)) === 3);
  for (let i = 0; i < 5; i++) {
    const refused = connect(Number(new URL(server.url).port), '127.0.0.1');
    refused.on('error', () => {});
    await once(refused, 'close');
  }
  expect(await sample(server.metricsUrl, 'slipway_connections_refused_total')).toBe(5);
  expect(server.log.filter(({ msg }) => msg === 'connections refused: so many are open')).toHaveLength(1);
  const answer = text(taken[0]);
  taken[0].write(`${GET}Connection: close\r\n\r\n`);
  expect(statusOf(await answer)).toBe(200);
  await until('one is closed', async () => (await connectionsOf(server)) === 2);
  expect(statusOf(await send(server, `${GET}Connection: close\r\n\r\n`))).toBe(200);
});

async function connectionsOf({ metricsUrl }: RunningServer): Promise<number> {
  const { text: exposition } = await request(`${metricsUrl}/metrics`);
  return Number(/^slipway_connections\{port="http"\} (\d+)$/m.exec(exposition)?.[1]);
}

test('a client that sends its headers byte by byte gets 408, and so does one that never begins', async () => {
  const server = await start({ keepAliveSeconds: 0 });
  const slow = await open(server);
  const received = text(slow);
  const drip = setInterval(() => slow.writable && slow.write('a'), 100);
  slow.write('GET /livez HTTP/1.1\r\nHost: a\r\nX-A: ');
  const silent = text(await open(server));
  const answer = await received;
  clearInterval(drip);
  expect(statusOf(answer)).toBe(408);
  expect(bodyOf(answer)).toEqual({ error: 'the request did not arrive in time' });
  expect(statusOf(await silent)).toBe(408);
});

test('a client that hardly reads its answer loses its connection; a large answer may take longer', async () => {
  const answer = Buffer.alloc(64 * 2 ** 20);
  let exchange: Exchange | undefined;
  let isClosed = false;
  const options = { expectsContinue: false, isLast: () => false, onClose: () => void (isClosed = true) };
  const http = createServer((incoming, response) => {
    exchange = new Exchange(incoming, response, options);
    exchange.send(200, { 'Content-Length': String(answer.length) }, [answer]);
  });
  onTestFinished(() => void http.close());
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const client = connect((http.address() as AddressInfo).port, '127.0.0.1');
  onTestFinished(() => void client.destroy());
  client.pause();
  client.write(`${GET}\r\n`);
  await until('the answer is on its way', () => exchange !== undefined);
  // What the server does once a second, at other times.
  const now = performance.now();
  expect(exchange!.request.socket.writableLength).toBeGreaterThan(0);
  exchange!.dropSlowReader(now);
  exchange!.dropSlowReader(now + 30_000 + exchange!.request.socket.writableLength / 32);
  expect(exchange!.request.socket.destroyed).toBe(false);
  exchange!.dropSlowReader(now + 30_000 + answer.length / 8);
  await until('the connection is gone', () => isClosed);
});
