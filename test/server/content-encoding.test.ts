import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { addOneModel, identityModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer, type Answer, type RunningServer } from './harness/running-server';

const BODY = Buffer.from(JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4])));

function start(settings: Parameters<typeof startServer>[0] = {}): Promise<RunningServer> {
  return startServer({
    modelRepository: plainRepository({ addone: addOneModel(), free: identityModel({ shape: ['n', 'm'] }) }),
    ...settings,
  });
}

function send(
  server: RunningServer,
  encoding: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
  model = 'addone',
): Promise<Answer> {
  return request(`${server.url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { 'Content-Encoding': encoding, ...headers },
    body: Buffer.from(body),
  });
}

test('bodies may come compressed', async () => {
  const server = await start();
  const encoded: [string, Uint8Array][] = [
    ['gzip', gzipSync(BODY)],
    ['GZIP', gzipSync(BODY)],
    ['deflate', deflateSync(BODY)],
    ['deflate', deflateRawSync(BODY)],
    ['br', brotliCompressSync(BODY)],
    ['identity', BODY],
  ];
  for (const [encoding, body] of encoded) {
    const answer = await send(server, encoding, body);
    expect(answer.status, encoding).toBe(200);
    expect(answer.json.outputs[0].data).toEqual([2, 3, 4, 5]);
  }
});

test('the length of the JSON before binary tensors is that of the inflated JSON', async () => {
  const server = await start();
  const input = { name: 'input', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } };
  const json = Buffer.from(JSON.stringify({ inputs: [input], padding: ' '.repeat(5_000) }));
  const body = gzipSync(Buffer.concat([json, Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)]));
  expect(json.byteLength).toBeGreaterThan(body.byteLength);
  const answer = await send(server, 'gzip', body, { 'Inference-Header-Content-Length': String(json.byteLength) });
  expect(answer.json.outputs[0].data).toEqual([2, 3, 4, 5]);
});

test('few bytes that stand for very many are refused by what they become', async () => {
  const server = await start({ maxBodyMiB: 1 });
  const bomb = gzipSync(Buffer.alloc(200 * 2 ** 20));
  expect(bomb.byteLength).toBeLessThan(2 ** 20);
  const answer = await send(server, 'gzip', bomb, {}, 'free');
  expect(answer).toMatchObject({ status: 413, json: { error: expect.stringContaining('at most 1048576 bytes') } });
  expect((await send(server, 'gzip', gzipSync(BODY))).status).toBe(200);
});

test('what is not so encoded gets 400, and another encoding 415', async () => {
  const server = await start();
  for (const encoding of ['gzip', 'deflate', 'br']) {
    const answer = await send(server, encoding, BODY);
    expect(answer.status, encoding).toBe(400);
    expect(answer.json.error).toContain(`the body must be ${encoding}`);
  }
  expect((await send(server, 'gzip', gzipSync(BODY).subarray(0, 30))).status).toBe(400);
  const other = await send(server, 'zstd', BODY);
  expect(other).toMatchObject({ status: 415, json: { error: expect.stringContaining("got 'zstd'") } });
});

test('long JSON leaves compressed for whoever asks, and nothing else does', async () => {
  const server = await start();
  const data = Array.from({ length: 4_000 }, (_, i) => i / 7);
  const ask = (acceptEncoding: string, length: number, parameters = {}): Promise<Answer> =>
    request(`${server.url}/v2/models/free/infer`, {
      method: 'POST',
      headers: { 'Accept-Encoding': acceptEncoding },
      body: JSON.stringify({ ...(floats('input', [1, length], data.slice(0, length)) as object), parameters }),
    });
  for (const [accept, encoding] of [
    ['gzip, deflate, br', 'gzip'],
    ['br', 'br'],
    ['deflate;q=0.5', 'deflate'],
    ['gzip;q=0', null],
  ] as const) {
    const answer = await ask(accept, 4_000);
    expect(answer.headers.get('content-encoding'), accept).toBe(encoding);
    expect(answer.json.outputs[0].data).toEqual(Array.from(Float32Array.from(data)));
  }
  expect((await ask('gzip', 10)).headers.get('content-encoding')).toBeNull();
  expect((await ask('gzip', 4_000, { binary_data_output: true })).headers.get('content-encoding')).toBeNull();
});
