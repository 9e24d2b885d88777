import sharp from 'sharp';
import { expect, test } from 'vitest';
import { readNpy, writeNpy } from '../../runtime/onnx/npy';
import { buildModel, identityModel, node, twoInputsModel, value } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { request, startServer, type Answer, type RunningServer } from './harness/running-server';

const MODELS = {
  rows: identityModel({ shape: ['n', 3] }),
  grid: identityModel({ shape: ['n', 2, 2] }),
  two: twoInputsModel(),
  text: identityModel({ datatype: 'BYTES', shape: ['n', 2] }),
  flags: identityModel({ datatype: 'BOOL', shape: ['n', 2] }),
  long: identityModel({ datatype: 'INT64', shape: ['n', 2] }),
  mixed: buildModel({
    node: [node('Identity', ['age'], ['age_out']), node('Identity', ['city'], ['city_out'])],
    input: [value('age', 'FP32', ['n']), value('city', 'BYTES', ['n', 1])],
    output: [value('age_out', 'FP32', ['n']), value('city_out', 'BYTES', ['n', 1])],
  }),
  first: identityModel({ shape: ['n', 3, 4, 6] }),
  last: identityModel({ datatype: 'UINT8', shape: ['n', 4, 6, 3] }),
  grey: identityModel({ shape: [1, 4, 6] }),
  free: identityModel({ datatype: 'UINT8', shape: [1, 'height', 'width', 3] }),
};

function start(): Promise<RunningServer> {
  return startServer({ modelRepository: plainRepository(MODELS) });
}

function send(
  server: RunningServer,
  model: string,
  type: string,
  body: string | Uint8Array,
  accept?: string,
): Promise<Answer> {
  return request(`${server.url}/predict/${model}`, {
    method: 'POST',
    headers: { 'Content-Type': type, ...(accept === undefined ? {} : { Accept: accept }) },
    body: typeof body === 'string' ? body : Buffer.from(body),
  });
}

test('reads JSON as lists, as rows, as columns and as the Open Inference Protocol has it', async () => {
  const server = await start();
  const json = (body: unknown): Promise<Answer> => send(server, 'rows', 'application/json', JSON.stringify(body));
  expect(await json([[1, 2, 3]])).toMatchObject({ status: 200, json: { predictions: [[1, 2, 3]] } });
  expect((await json([1, 2, 3])).json).toEqual({ predictions: [[1, 2, 3]] });
  expect(
    (
      await json({
        instances: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      })
    ).json,
  ).toEqual({
    predictions: [
      [1, 2, 3],
      [4, 5, 6],
    ],
  });
  expect((await json({ inputs: { input: [[1, 2, 3]] } })).json).toEqual({ outputs: [[1, 2, 3]] });
  const tensor = { name: 'input', shape: [1, 3], datatype: 'FP32', data: [1, 2, 3] };
  expect((await json({ inputs: [tensor] })).json).toMatchObject({
    model_name: 'rows',
    outputs: [{ ...tensor, name: 'output' }],
  });
  // What curl sends without being told of what type the body is.
  expect((await send(server, 'rows', 'application/x-www-form-urlencoded', '[[1,2,3]]')).status).toBe(200);
});

test('takes the only model, or the one that the settings name, and lists them when it cannot tell', async () => {
  const only = await startServer({ modelRepository: plainRepository({ rows: MODELS.rows }) });
  expect((await only.post('/predict', [[1, 2, 3]])).json).toEqual({ predictions: [[1, 2, 3]] });
  const named = await startServer({ modelRepository: plainRepository(MODELS), defaultModel: 'rows' });
  expect((await named.post('/predict', [[1, 2, 3]])).status).toBe(200);
  const several = await startServer({ modelRepository: plainRepository({ rows: MODELS.rows, text: MODELS.text }) });
  const answer = await several.post('/predict', [[1, 2, 3]]);
  expect(answer.status).toBe(400);
  expect(answer.json.error).toContain("There are 'rows', 'text': name one in the path");
  expect((await several.post('/predict/nope', [[1, 2, 3]])).status).toBe(404);
  expect((await several.post('/predict/rows/versions/1', [[1, 2, 3]])).status).toBe(200);
});

test('reads CSV with and without a header, and answers a line for each row', async () => {
  const server = await start();
  const csv = (model: string, body: string, type = 'text/csv'): Promise<Answer> =>
    send(server, model, type, body, 'text/csv');
  expect(await csv('rows', '1,2,3\n4,5.5,-6e2\n')).toMatchObject({ status: 200, text: '1,2,3\n4,5.5,-600\n' });
  expect((await csv('rows', 'a,b,c\r\n1,2,3\r\n')).text).toBe('1,2,3\n');
  expect((await csv('rows', '1,,nan\n')).text).toBe('1,NaN,NaN\n');
  expect((await csv('grid', '1,2,3,4')).text).toBe('1,2,3,4\n');
  expect((await csv('long', '9007199254740993,-1')).text).toBe('9007199254740993,-1\n');
  expect((await csv('flags', 'True,0')).text).toBe('true,false\n');
  expect((await csv('text', '"a, ""b""",c', 'text/csv; header=absent')).text).toBe('"a, ""b""",c\n');
  expect((await csv('text', 'x,y\na,b', 'text/csv;header=present')).text).toBe('a,b\n');
  expect((await csv('two', '1,2,3,0,5,0')).text).toBe('1,7,3,true,false,true\n');
  // Columns by their names, in any order, with one that nobody asked for.
  expect((await csv('mixed', 'city,nobody,age\nUlm,x,7\nBern,x,8')).text).toBe('7,Ulm\n8,Bern\n');
  expect((await csv('mixed', '7,Ulm')).text).toBe('7,Ulm\n');
  expect((await send(server, 'rows', 'text/csv', '1,2,3')).json).toEqual({ predictions: [[1, 2, 3]] });
});

test('reads NPY and answers NPY', async () => {
  const server = await start();
  const npy = (model: string, array: Parameters<typeof writeNpy>[0]): Promise<Answer> =>
    send(server, model, 'application/x-npy', Buffer.concat(writeNpy(array)));
  const rows = { datatype: 'FP64', shape: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6) } as const;
  expect((await npy('rows', rows)).json).toEqual({
    predictions: [
      [1, 2, 3],
      [4, 5, 6],
    ],
  });
  const one = { datatype: 'FP32', shape: [3], data: Float32Array.of(1, 2, 3) } as const;
  expect((await npy('rows', one)).json).toEqual({ predictions: [[1, 2, 3]] });
  const response = await fetch(`${server.url}/predict/rows`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-npy', Accept: 'application/x-npy' },
    body: Buffer.concat(writeNpy(rows)),
  });
  expect(response.headers.get('content-type')).toBe('application/x-npy');
  const answer = readNpy(new Uint8Array(await response.arrayBuffer()));
  expect(answer).toEqual({ datatype: 'FP32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
});

test('reads a raw tensor', async () => {
  const server = await start();
  const body = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
  expect((await send(server, 'rows', 'application/octet-stream', body)).json).toEqual({ predictions: [[1, 2, 3]] });
});

/** 6 × 4 pixels: red on the left, blue on the right. */
async function picture(format: 'png' | 'jpeg' | 'webp', width = 6, height = 4): Promise<Uint8Array> {
  const pixels = Buffer.alloc(width * height * 3);
  for (let i = 0; i < width * height; i++) pixels[i * 3 + (i % width < width / 2 ? 0 : 2)] = 255;
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  return format === 'jpeg'
    ? image.jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer()
    : image.toFormat(format, { lossless: true }).toBuffer();
}

test('decodes a picture into the layout, size and range of the model', async () => {
  const server = await start();
  const png = await picture('png');
  const first = await send(server, 'first', 'image/png', png);
  const red = [1, 1, 1, 0, 0, 0];
  const blue = [0, 0, 0, 1, 1, 1];
  const none = [0, 0, 0, 0, 0, 0];
  expect(first.json).toEqual({
    predictions: [
      [
        [red, red, red, red],
        [none, none, none, none],
        [blue, blue, blue, blue],
      ],
    ],
  });
  const last = await send(server, 'last', 'image/webp', await picture('webp'));
  expect(last.json.predictions[0][0]).toEqual([
    [255, 0, 0],
    [255, 0, 0],
    [255, 0, 0],
    [0, 0, 255],
    [0, 0, 255],
    [0, 0, 255],
  ]);
  // Twice as large, so it is made smaller.
  const jpeg = await send(server, 'last', 'image/jpeg', await picture('jpeg', 12, 8));
  expect(jpeg.json.predictions[0]).toHaveLength(4);
  expect(jpeg.json.predictions[0][0][0][0]).toBeGreaterThan(240);
  const grey = await send(server, 'grey', 'image/png', png);
  expect(grey.json.predictions[0]).toHaveLength(4);
  expect(grey.json.predictions[0][0][0]).toBeGreaterThan(grey.json.predictions[0][0][5]);
  const free = await send(server, 'free', 'image/png', await picture('png', 5, 7));
  expect([free.json.predictions[0].length, free.json.predictions[0][0].length]).toEqual([7, 5]);
});

test('a picture with more pixels than its bytes show is refused before it is decoded', async () => {
  const server = await start();
  const bomb = await sharp({ create: { width: 9_000, height: 9_000, channels: 3, background: '#000' } })
    .png()
    .toBuffer();
  const answer = await send(server, 'free', 'image/png', bomb);
  expect(answer.status).toBe(400);
  expect(answer.json.error).toMatch(/pixel/);
});

const REFUSED: readonly [what: string, model: string, type: string, body: string, error: string, status?: number][] = [
  ['another type', 'rows', 'application/xml', '<a/>', 'Content-Type must be one of application/json', 415],
  ['no JSON', 'rows', 'application/json', '[1', 'the request must be JSON'],
  ['a JSON number', 'rows', 'application/json', '7', 'the request must be a JSON object or list, got 7'],
  [
    'a list for two inputs',
    'two',
    'application/json',
    '[[1,2,3]]',
    "a plain list needs a model with one input, model 'two' has 2",
  ],
  ['CSV with too few columns', 'two', 'text/csv', '1,2', "a row of model 'two' must have 6 columns, got 2"],
  ['CSV with a ragged row', 'rows', 'text/csv', '1,2,3\n1,2', 'the request must be CSV: '],
  ['CSV with an open quote', 'text', 'text/csv', '"a,b', 'the request must be CSV: '],
  ['CSV with another width', 'rows', 'text/csv', '1,2,3,4', 'Expected [-1,3], got [1,4]'],
  ['CSV with text for a number', 'rows', 'text/csv', '1,2,3\n1,x,3', 'FP32 element 4 cannot be read from the cell "x"'],
  [
    'CSV with a fraction for an integer',
    'long',
    'text/csv; header=absent',
    '1,1.5',
    'INT64 element 1 cannot be read from the cell "1.5"',
  ],
  ['CSV of a header alone', 'rows', 'text/csv', 'a,b,c', 'at least one row besides its header'],
  ['CSV of nothing', 'rows', 'text/csv', '', 'at least one row'],
  ['no NPY', 'rows', 'application/x-npy', 'x', 'the request must be NPY: an NPY file must begin with'],
  ['a raw tensor of another length', 'rows', 'application/octet-stream', 'abc', 'must be 12 bytes, got 3'],
  ['no picture', 'first', 'image/png', 'x', 'the request must be a picture: PNG, JPEG or WebP'],
  [
    'a picture of another kind',
    'first',
    'image/png',
    '<svg width="6" height="4" xmlns="http://www.w3.org/2000/svg"/>',
    'must be a picture: PNG, JPEG or WebP',
  ],
  ['half a picture', 'first', 'image/png', '\x89PNG\r\n\x1a\n half', 'the request must be a picture'],
  ['a picture for rows', 'rows', 'image/png', 'x', "input 'input' takes no picture"],
  ['a picture for two inputs', 'two', 'image/png', 'x', 'a picture needs a model with one input'],
];

test('every mistake gets 400 or 415 with the reason', async () => {
  const server = await start();
  for (const [what, model, type, body, error, status = 400] of REFUSED) {
    const answer = await send(server, model, type, Buffer.from(body, 'latin1'));
    expect(answer.json?.error, what).toContain(error);
    expect(answer.status, what).toBe(status);
  }
  const text = await send(server, 'text', 'application/json', '[["a","b"]]', 'application/x-npy');
  expect(text).toMatchObject({
    status: 400,
    json: { error: expect.stringContaining('NPY holds one tensor of numbers') },
  });
});
