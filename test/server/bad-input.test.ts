import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { addOneModel, identityModel, twoInputsModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer, type RunningServer } from './harness/running-server';
import { until } from './harness/until';

const GOOD = floats('input', [1, 4], [1, 2, 3, 4]);

function start(settings: Parameters<typeof startServer>[0] = {}): Promise<RunningServer> {
  const models = {
    addone: addOneModel(),
    two: twoInputsModel(),
    bool: identityModel({ datatype: 'BOOL' }),
    long: identityModel({ datatype: 'INT64' }),
    text: identityModel({ datatype: 'BYTES' }),
  };
  return startServer({ modelRepository: plainRepository(models), ...settings });
}

async function assertGoesOn({ infer }: RunningServer): Promise<void> {
  expect((await infer('addone', GOOD)).json.outputs[0].data).toEqual([2, 3, 4, 5]);
}

const input = (fields: object): object => ({
  name: 'input',
  shape: [1, 4],
  datatype: 'FP32',
  data: [1, 2, 3, 4],
  ...fields,
});
const one = (fields: object, more: object = {}): object => ({ inputs: [input(fields)], ...more });

const REFUSED: readonly [name: string, model: string, body: unknown, error: string][] = [
  ['no JSON', 'addone', '{"inputs":', 'the request must be JSON: '],
  ['an empty body', 'addone', '', 'the request must be JSON: '],
  ['JSON that is no object', 'addone', [1], 'the request must be a JSON object, got [1]'],
  ['no inputs', 'addone', {}, 'inputs must be a list of at least one tensor, got nothing'],
  ['an empty list of inputs', 'addone', { inputs: [] }, 'inputs must be a list of at least one tensor, got []'],
  ['an input that is no object', 'addone', { inputs: [7] }, 'inputs[0] must be an object, got 7'],
  ['an input without name', 'addone', one({ name: undefined }), 'inputs[0].name must be a string, got nothing'],
  [
    'an unknown input',
    'addone',
    one({ name: 'image' }),
    "unexpected inference input \"image\" for model 'addone'. Expected 'input'",
  ],
  ['an input twice', 'addone', { inputs: [input({}), input({})] }, "input 'input' is given twice"],
  [
    'a missing input',
    'two',
    { inputs: [input({ name: 'left', shape: [1, 3], data: [1, 2, 3] })] },
    "input 'right' is missing",
  ],
  [
    'another datatype',
    'addone',
    one({ datatype: 'INT64' }),
    "unexpected datatype for input 'input' for model 'addone'. Expected FP32, got \"INT64\"",
  ],
  ['BF16', 'addone', one({ datatype: 'BF16' }), 'Expected FP32, got "BF16"; BF16 cannot be carried by this server'],
  [
    'another shape',
    'addone',
    one({ shape: [1, 5], data: [1, 2, 3, 4, 5] }),
    "unexpected shape for input 'input' for model 'addone'. Expected [-1,4], got [1,5]",
  ],
  ['another rank', 'addone', one({ shape: [4] }), 'Expected [-1,4], got [4]'],
  [
    'no shape',
    'addone',
    one({ shape: undefined }),
    "shape of input 'input' must be a list of whole numbers from 0 up, got nothing",
  ],
  ['a negative size', 'addone', one({ shape: [-1, 4] }), 'must be a list of whole numbers from 0 up, got [-1,4]'],
  ['a broken size', 'addone', one({ shape: [1.5, 4] }), 'must be a list of whole numbers from 0 up, got [1.5,4]'],
  [
    'an impossible size',
    'addone',
    one({ shape: [2 ** 52, 4] }),
    "shape [4503599627370496,4] of input 'input' is too large",
  ],
  [
    'too few elements',
    'addone',
    one({ data: [1, 2, 3] }),
    "input 'input': data of shape [1, 4] must hold 4 elements, got 3",
  ],
  ['no data', 'addone', one({ data: undefined }), "input 'input' needs data, or binary_data_size in its parameters"],
  [
    'text for a number',
    'addone',
    one({ data: [1, 2, 'x', 4] }),
    'input \'input\': FP32 element 2 must be a number, got "x"',
  ],
  ['null for a number', 'addone', one({ data: [1, 2, null, 4] }), 'FP32 element 2 must be a number, got null'],
  [
    'a number for text',
    'text',
    one({ datatype: 'BYTES', data: ['a', 'b', 'c', 1] }),
    'BYTES element 3 must be a string, got 1',
  ],
  [
    '2 for a truth value',
    'bool',
    one({ datatype: 'BOOL', data: [0, 1, 2, 1] }),
    'BOOL element 2 must be true or false, got 2',
  ],
  [
    'an integer beyond its datatype',
    'long',
    '{"inputs":[{"name":"input","shape":[1,4],"datatype":"INT64","data":[1,2,3,9223372036854775808]}]}',
    'INT64 element 3 must be a whole number from -9223372036854775808 to 9223372036854775807, written with all its digits, got 9223372036854775808',
  ],
  [
    'lists nested as no tensor is',
    'addone',
    one({ shape: [2, 4], data: [[1, 2], [3]] }),
    'data[0] must be a list of 4, got one of 2',
  ],
  ['an id that is no string', 'addone', one({}, { id: 7 }), 'id must be a string, got 7'],
  [
    'parameters that are no object',
    'addone',
    one({}, { parameters: [] }),
    'parameters of the request must be an object, got []',
  ],
  [
    'an unknown output',
    'addone',
    one({}, { outputs: [{ name: 'y' }] }),
    "unexpected inference output \"y\" for model 'addone'. Expected 'output'",
  ],
  [
    'an output twice',
    'addone',
    one({}, { outputs: [{ name: 'output' }, { name: 'output' }] }),
    "output 'output' is requested twice",
  ],
  ['outputs that are no list', 'addone', one({}, { outputs: 'output' }), 'outputs must be a list, got "output"'],
  [
    'a classification that is no number',
    'addone',
    one({}, { outputs: [{ name: 'output', parameters: { classification: -1 } }] }),
    "classification of output 'output' must be a whole number from 0 up, got -1",
  ],
  [
    'a classification of text',
    'text',
    one(
      { datatype: 'BYTES', data: ['a', 'b', 'c', 'd'] },
      { outputs: [{ name: 'output', parameters: { classification: 1 } }] },
    ),
    "output 'output' holds text: classification needs numbers",
  ],
  [
    'a priority that is none',
    'addone',
    one({}, { parameters: { priority: 'high' } }),
    'priority of the request must be a whole number from 0 up, got "high"',
  ],
  [
    'a negative timeout',
    'addone',
    one({}, { parameters: { timeout: -1 } }),
    'timeout of the request must be a whole number from 0 up, got -1',
  ],
  [
    'a parameter that is a list',
    'addone',
    one({}, { parameters: { tags: ['a'] } }),
    'parameter "tags" of the request must be a string, a number, true or false, got ["a"]',
  ],
  [
    'text that is no base64',
    'text',
    one({ datatype: 'BYTES', data: ['YQ==', '!', 'YQ==', 'YQ=='], parameters: { content_type: 'base64' } }),
    'BYTES element 1 must be base64, got "!"',
  ],
  [
    'base64 of bytes that are no text',
    'text',
    one({ datatype: 'BYTES', data: ['/w==', '', '', ''], parameters: { content_type: 'base64' } }),
    'BYTES element 0 must be UTF-8 text in base64, which ONNX strings are',
  ],
  [
    'a binary size without the header',
    'addone',
    one({ data: undefined, parameters: { binary_data_size: 16 } }),
    "input 'input' has binary_data_size, but the request has no header Inference-Header-Content-Length",
  ],
  [
    'rows that disagree',
    'two',
    {
      inputs: [
        input({ name: 'left', shape: [1, 3], data: [1, 2, 3] }),
        input({ name: 'right', shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }),
      ],
    },
    "input 'right' has 2 rows and input 'left' has 1: they must agree",
  ],
  [
    'more rows than a batch holds',
    'addone',
    one({ shape: [33, 4], data: new Array(132).fill(0) }),
    "model 'addone' takes at most 32 rows in one request, got 33; send them in several",
  ],
];

test('every mistake in a request gets 400, says what was expected and what came, and the server goes on', async () => {
  const server = await start();
  for (const [name, model, body, error] of REFUSED) {
    const answer = await server.infer(model, body);
    expect(answer.json?.error, name).toContain(error);
    expect(answer.status, name).toBe(400);
    expect(answer.headers.get('content-type'), name).toBe('application/json');
  }
  await assertGoesOn(server);
});

const header = (inputs: object[]): string => JSON.stringify({ inputs });
const binaryInput = (size: number): object => ({
  name: 'input',
  shape: [1, 4],
  datatype: 'FP32',
  parameters: { binary_data_size: size },
});

const BINARY_REFUSED: readonly [
  name: string,
  model: string,
  headerLength: string,
  json: string,
  bytes: number,
  error: string,
][] = [
  [
    'a header length that is no number',
    'addone',
    'ten',
    '',
    0,
    "Inference-Header-Content-Length must be a number of bytes, got 'ten'",
  ],
  ['a negative header length', 'addone', '-1', '', 0, 'Inference-Header-Content-Length must be a number of bytes'],
  [
    'a header length beyond the body',
    'addone',
    '1000',
    '{}',
    0,
    'inference header size should be in range (0, 2), got: 1000',
  ],
  [
    'a binary size beyond the body',
    'addone',
    '',
    header([binaryInput(16)]),
    12,
    "input 'input' has binary_data_size 16, but the body has only 12 bytes left",
  ],
  [
    'bytes behind the last tensor',
    'addone',
    '',
    header([binaryInput(16)]),
    20,
    'the body has 4 bytes behind the last binary tensor',
  ],
  [
    'a binary size that does not fit the shape',
    'addone',
    '',
    header([binaryInput(12)]),
    12,
    "input 'input': FP32 of shape [1, 4] must be 16 bytes, got 12",
  ],
  [
    'a negative binary size',
    'addone',
    '',
    header([binaryInput(-1)]),
    0,
    "binary_data_size of input 'input' must be a whole number from 0 up, got -1",
  ],
  [
    'both data and binary',
    'addone',
    '',
    header([{ ...binaryInput(16), data: [1, 2, 3, 4] }]),
    16,
    "input 'input' must have either data or binary_data_size, got both",
  ],
  [
    'a raw tensor for two inputs',
    'two',
    '0',
    '',
    12,
    "a raw binary request needs a model with one input, model 'two' has 2",
  ],
  [
    'a raw tensor of a wrong length',
    'addone',
    '0',
    '',
    15,
    "input 'input': FP32 of shape [1, 4] must be 16 bytes, got 15",
  ],
];

test('every lie about binary lengths gets 400 with the numbers, and the server goes on', async () => {
  const server = await start();
  for (const [name, model, headerLength, json, bytes, error] of BINARY_REFUSED) {
    const answer = await request(`${server.url}/v2/models/${model}/infer`, {
      method: 'POST',
      headers: { 'Inference-Header-Content-Length': headerLength === '' ? String(json.length) : headerLength },
      body: Buffer.concat([Buffer.from(json), Buffer.alloc(bytes)]),
    });
    expect(answer.json?.error, name).toContain(error);
    expect(answer.status, name).toBe(400);
  }
  await assertGoesOn(server);
});

test('bytes that are no text, no truth value, or end early are refused', async () => {
  const server = await start();
  const ask = async (model: string, datatype: string, bytes: Uint8Array): Promise<string> => {
    const json = JSON.stringify({
      inputs: [{ name: 'input', shape: [1, 4], datatype, parameters: { binary_data_size: bytes.byteLength } }],
    });
    const answer = await request(`${server.url}/v2/models/${model}/infer`, {
      method: 'POST',
      headers: { 'Inference-Header-Content-Length': String(json.length) },
      body: Buffer.concat([Buffer.from(json), bytes]),
    });
    expect(answer.status).toBe(400);
    return answer.json.error as string;
  };
  expect(await ask('bool', 'BOOL', Uint8Array.of(0, 1, 2, 1))).toBe(
    "input 'input': BOOL element 2 must be 0 or 1, got 2",
  );
  expect(await ask('text', 'BYTES', Uint8Array.of(1, 0, 0, 0, 0xff))).toContain(
    'BYTES element 0 at byte 0 must be UTF-8 text',
  );
  expect(await ask('text', 'BYTES', Uint8Array.of(255, 255, 255, 255))).toContain(
    'BYTES element 0 at byte 0 ends at byte 4294967299',
  );
  await assertGoesOn(server);
});

test('text that would reach the model changed is refused, as JSON and as bytes', async () => {
  const server = await start();
  for (const element of ['a\0b', '\ud800']) {
    const answer = await server.infer('text', {
      inputs: [{ name: 'input', shape: [1, 4], datatype: 'BYTES', data: ['fine 😀', element, '', ''] }],
    });
    expect(answer.status).toBe(400);
    expect(answer.json.error).toContain(
      "input 'input': BYTES element 1 must be text without U+0000 and without half a surrogate pair, got ",
    );
  }
  const bytes = Uint8Array.of(3, 0, 0, 0, 97, 0, 98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const json = JSON.stringify({
    inputs: [{ name: 'input', shape: [1, 4], datatype: 'BYTES', parameters: { binary_data_size: bytes.byteLength } }],
  });
  const answer = await request(`${server.url}/v2/models/text/infer`, {
    method: 'POST',
    headers: { 'Inference-Header-Content-Length': String(json.length) },
    body: Buffer.concat([Buffer.from(json), bytes]),
  });
  expect(answer.status).toBe(400);
  expect(answer.json.error).toContain('BYTES element 0 must be text without U+0000');
  await assertGoesOn(server);
});

test('unknown paths, models and versions get 404, and a wrong method 405 with the right ones', async () => {
  const server = await start();
  const { get, post, infer } = server;
  expect(await get('/')).toMatchObject({ status: 200, json: { status: 'alive' } });
  expect(await get('/v2/models/nope')).toMatchObject({ status: 404, json: { error: "no model 'nope' here" } });
  expect(await get('/v2/models/addone/versions/7')).toMatchObject({
    status: 404,
    json: { error: "no version '7' of model 'addone' here, only 1" },
  });
  expect((await infer('nope', GOOD)).status).toBe(404);
  expect((await get('/v2/models/%E0%A4%A/ready')).status).toBe(400);
  const wrong = await get('/v2/models/addone/infer');
  expect(wrong).toMatchObject({ status: 405, json: { error: 'this path takes POST, got GET' } });
  expect(wrong.headers.get('allow')).toBe('POST');
  expect((await post('/readyz', '')).headers.get('allow')).toBe('GET');
  expect((await post('/v2/repository/index', '{"ready":')).status).toBe(400);
  const head = await fetch(`${server.url}/readyz`, { method: 'HEAD' });
  expect(head.status).toBe(200);
  await assertGoesOn(server);
});

test('a body that is declared too large gets 413 before it is sent, one that turns out so while it is read', async () => {
  const server = await start({ maxBodyMiB: 0.01 });
  const declared = await server.infer('addone', 'x'.repeat(20_000));
  expect(declared).toMatchObject({ status: 413, json: { error: 'the body must be at most 10485 bytes, got 20000' } });
  const chunked = await request(`${server.url}/v2/models/addone/infer`, {
    method: 'POST',
    body: Readable.toWeb(Readable.from([Buffer.alloc(8_000), Buffer.alloc(8_000)])) as ReadableStream,
    duplex: 'half',
  });
  expect(chunked.status).toBe(413);
  await assertGoesOn(server);
});

test('a body larger than any request of the model can be gets 413, however much others may send', async () => {
  const server = await start();
  // 32 rows of 4 numbers take less than 64 KiB + 8 KiB, however they are written.
  expect((await server.infer('addone', 'x'.repeat(80_000))).status).toBe(413);
  expect((await server.infer('text', 'x'.repeat(80_000))).status).toBe(400);
  const spread = JSON.stringify(
    floats('input', [32, 4], new Array<number>(128).fill(-1.0000000000000002e-300)),
    undefined,
    40,
  );
  expect((await server.infer('addone', spread)).status).toBe(200);
});

test('a client that asks before it sends a body is told to go on, or what is wrong with it', async () => {
  const server = await start({ maxBodyMiB: 0.01 });
  const ask = async (length: number): Promise<{ continued: boolean; status: number | undefined }> => {
    const body = Buffer.from(JSON.stringify(GOOD).padEnd(length, ' '));
    const client = httpRequest(`${server.url}/v2/models/addone/infer`, {
      method: 'POST',
      headers: { Expect: '100-continue', 'Content-Length': body.byteLength },
    });
    let continued = false;
    client.on('continue', () => {
      continued = true;
      client.end(body);
    });
    client.on('error', () => undefined);
    client.flushHeaders();
    const [response] = (await once(client, 'response')) as [IncomingMessage];
    await text(response);
    client.destroy();
    return { continued, status: response.statusCode };
  };
  expect(await ask(1_000)).toEqual({ continued: true, status: 200 });
  expect(await ask(20_000)).toEqual({ continued: false, status: 413 });
  await assertGoesOn(server);
});

test('a body in an encoding that nobody here reads gets 415', async () => {
  const server = await start();
  const answer = await request(`${server.url}/v2/models/addone/infer`, {
    method: 'POST',
    headers: { 'Content-Encoding': 'zstd' },
    body: 'x',
  });
  expect(answer).toMatchObject({
    status: 415,
    json: { error: "Content-Encoding must be gzip, deflate, br or identity, got 'zstd'" },
  });
});

test('a body that does not arrive in time gets 408', async () => {
  const server = await start({ requestDeadlineSeconds: 0.3 });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write('POST /v2/models/addone/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"inputs"');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 [^]*the body did not arrive within 0\.3 s/);
  socket.destroy();
  await assertGoesOn(server);
});

test('a client that leaves in the middle of its body is forgotten, and counted', async () => {
  const server = await start();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write('POST /v2/models/addone/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"inputs"');
  await until('the request has begun', () => server.server.isIdle === false);
  socket.destroy();
  const counted = 'slipway_requests_total{model="addone",version="1",protocol="oip-json",outcome="cancelled"} 1';
  await until('it is counted', async () => (await request(`${server.metricsUrl}/metrics`)).text.includes(counted));
  await assertGoesOn(server);
});

test('a path may come as a whole URI, as proxies send it', async () => {
  const server = await start();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write('GET http://models.example/readyz?from=proxy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 [^]*{"ready":true}$/);
});

test('what is no HTTP ends only its own connection', async () => {
  const server = await start();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write('\x16\x03\x01 this is not HTTP\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toContain('400 Bad Request');
  await assertGoesOn(server);
});
