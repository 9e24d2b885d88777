import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { publishModel, type PublishOptions } from '../../runtime/model/publish-model';
import { buildModel, floatTensor, identityModel, int64Tensor, intAttribute, node, value } from '../support/onnx-models';
import { request, startServer, type Answer, type RunningServer } from './harness/running-server';

const folder = mkdtempSync(path.join(tmpdir(), 'slipway-user-data-'));
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(path.join(folder, name), content);
  return path.join(folder, name);
};
copyFileSync(path.join(__dirname, '../fixtures/tokenizers/wordpiece.json'), path.join(folder, 'tokenizer.json'));

/** The mean of each channel is the score of its colour. */
const COLOURS = buildModel({
  node: [node('GlobalAveragePool', ['image'], ['mean']), node('Flatten', ['mean'], ['scores'])],
  input: [value('image', 'FP32', ['n', 3, 4, 6])],
  output: [value('scores', 'FP32', ['n', 3])],
});

/** A text of more than five tokens is long; the ids come back as they came. */
const LENGTHS = buildModel({
  node: [
    node('ReduceSum', ['mask', 'axis'], ['count']),
    node('Sub', ['count', 'five'], ['long']),
    node('Neg', ['long'], ['short']),
    node('Concat', ['long', 'short'], ['scores'], [intAttribute('axis', 1)]),
    node('Identity', ['ids'], ['seen']),
  ],
  input: [value('ids', 'INT64', ['n', 'length']), value('mask', 'FP32', ['n', 'length'])],
  output: [value('scores', 'FP32', ['n', 2]), value('seen', 'INT64', ['n', 'length'])],
  initializer: [int64Tensor('axis', [1], [1n]), floatTensor('five', [], [5])],
});

const repository = path.join(folder, 'repository');
const IMAGE = { kind: 'image', channels: 'rgb', scale: 1, mean: [1, 2, 3], deviation: [1, 1, 2] };
const TEXT = { ids: { kind: 'text', tokenizer: 'tokenizer.json', maxLength: 12, feeds: { mask: 'mask' } } };
const COLUMNS = {
  kind: 'columns',
  columns: [
    { name: 'age', mean: 40, deviation: 10 },
    { name: 'plan', categories: ['free', 'paid'], encoding: 'one-hot' },
  ],
};
const publish = (name: string, model: Uint8Array, options: Partial<PublishOptions>): Promise<unknown> =>
  publishModel({ name, source: file(`${name}.onnx`, model), repository, version: 1, ...options });

let published: Promise<unknown> | undefined;
async function start(): Promise<RunningServer> {
  published ??= Promise.all([
    publish('colours', COLOURS, {
      preprocessingFile: file('image.json', JSON.stringify(IMAGE)),
      labelsFile: file('colours.txt', 'red\ngreen\nblue\n'),
      goldenFile: file('golden.png', await picture('#0f0')),
    }),
    publish('lengths', LENGTHS, {
      preprocessingFile: file('text.yaml', `# as people write it\nids: ${JSON.stringify(TEXT.ids)}\n`),
      labelsFile: file('lengths.txt', 'long\nshort\n'),
      goldenFile: file('golden.json', '["the quick brown fox", "fox"]'),
    }),
    publish('records', identityModel({ shape: ['n', 3] }), {
      preprocessingFile: file('columns.json', JSON.stringify(COLUMNS)),
      goldenFile: file('record.json', '{"age": 50, "plan": "paid"}'),
    }),
  ]);
  await published;
  return startServer({ modelRepository: repository });
}

function picture(background: string): Promise<Buffer> {
  return sharp({ create: { width: 6, height: 4, channels: 3, background } })
    .png()
    .toBuffer();
}

function send(server: RunningServer, model: string, type: string, body: string | Uint8Array): Promise<Answer> {
  return request(`${server.url}/predict/${model}`, {
    method: 'POST',
    headers: { 'Content-Type': type },
    body: typeof body === 'string' ? body : Buffer.from(body),
  });
}

test('a picture is answered with the names of its classes, the best first', async () => {
  const server = await start();
  const answer = await send(server, 'colours', 'image/png', await picture('#00ff00'));
  // (255 − 2) ÷ 1 for green, (0 − 1) ÷ 1 for red, (0 − 3) ÷ 2 for blue.
  const classes = [
    { label: 'green', score: 253 },
    { label: 'red', score: -1 },
    { label: 'blue', score: -1.5 },
  ];
  expect(answer).toMatchObject({ status: 200, json: { predictions: [{ label: 'green', score: 253, classes }] } });
  const b64 = (await picture('#f00')).toString('base64');
  const json = await send(
    server,
    'colours',
    'application/json',
    JSON.stringify({ instances: [{ b64 }, { image: { b64 } }] }),
  );
  expect(json.json.predictions.map(({ label }: { label: string }) => label)).toEqual(['red', 'red']);
  const viaSageMaker = await request(`${server.url}/models/colours/invoke`, {
    method: 'POST',
    headers: { 'Content-Type': 'image/png' },
    body: await picture('#00f'),
  });
  expect(viaSageMaker.json.predictions[0].label).toBe('blue');
});

test('a sentence is answered as text, as JSON, in a list, in a record and as CSV', async () => {
  const server = await start();
  const plain = await send(server, 'lengths', 'text/plain', 'the quick brown fox jumps over the lazy dog');
  expect(plain.json.predictions[0].scores).toMatchObject({ label: 'long', score: 7 });
  expect(plain.json.predictions[0].seen).toHaveLength(12);
  const labels = async (type: string, body: string): Promise<unknown> =>
    (await send(server, 'lengths', type, body)).json.predictions.map((row: any) => row.scores.label);
  expect(await labels('application/json', '"fox"')).toEqual(['short']);
  expect(await labels('application/json', '["fox", "the quick brown fox jumps"]')).toEqual(['short', 'long']);
  expect(await labels('application/json', '{"text": "fox"}')).toEqual(['short']);
  expect(await labels('application/json', '{"instances": ["fox"]}')).toEqual(['short']);
  expect(await labels('application/json', '{"inputs": "fox"}')).toEqual(['short']);
  expect(await labels('text/csv', 'text\nfox\n"the quick, brown fox jumps"\n')).toEqual(['short', 'long']);
});

test('a record is answered by the names of its columns', async () => {
  const server = await start();
  const predictions = async (type: string, body: string): Promise<unknown> =>
    (await send(server, 'records', type, body)).json.predictions;
  expect(await predictions('application/json', '{"plan": "paid", "age": 50}')).toEqual([[1, 0, 1]]);
  expect(await predictions('application/json', '[{"plan": "free", "age": 30}]')).toEqual([[-1, 1, 0]]);
  expect(await predictions('text/csv', 'id,plan,age\n7,free,35\n8,paid,45\n')).toEqual([
    [-0.5, 1, 0],
    [0.5, 0, 1],
  ]);
  expect(await predictions('text/csv', '35,free\n')).toEqual([[-0.5, 1, 0]]);
});

test('tensors are taken as before, and answered as before', async () => {
  const server = await start();
  const tensor = { name: 'input', shape: [1, 3], datatype: 'FP32', data: [1, 2, 3] };
  expect((await server.infer('records', { inputs: [tensor] })).json.outputs[0].data).toEqual([1, 2, 3]);
  expect((await server.post('/predict/records', [[1, 2, 3]])).json).toEqual({ predictions: [[1, 2, 3]] });
  const image = { name: 'image', shape: [1, 3, 4, 6], datatype: 'FP32', data: new Array<number>(72).fill(1) };
  const classes = { name: 'scores', parameters: { classification: 1 } };
  const classified = await server.infer('colours', { inputs: [image], outputs: [classes] });
  expect(classified.json.outputs[0].data).toEqual(['1.000000:0:red']);
});

describe('what nothing can be made of gets 400 with the reason', () => {
  const CASES: readonly [what: string, model: string, type: string, body: string, error: string][] = [
    ['no picture', 'colours', 'image/png', 'x', 'the request must be a picture: PNG, JPEG or WebP'],
    ['a picture that is no base64 of one', 'colours', 'application/json', '{"b64":"eA=="}', 'must be a picture'],
    [
      'a text too long',
      'lengths',
      'text/plain',
      'x'.repeat(5_000),
      'a text must have at most 4096 characters, got 5000',
    ],
    ['text that is no UTF-8', 'lengths', 'text/plain', '\xff\xfe', 'the request must be UTF-8 text'],
    [
      'a number for a text',
      'lengths',
      'application/json',
      '7',
      'the request must be a JSON object or list, or a text, got 7',
    ],
    ['a number among texts', 'lengths', 'application/json', '["fox", 7]', 'row 1: must be a text, got 7'],
    ['a record that lacks a column', 'records', 'application/json', '{"age": 3}', "the record must have 'plan'"],
    [
      'a category that nobody knows',
      'records',
      'application/json',
      '{"age":3,"plan":"gold"}',
      'must be one of free, paid, got "gold"',
    ],
    [
      'a list in a column',
      'records',
      'application/json',
      '{"age":[3],"plan":"paid"}',
      "the column 'age' must hold one value, got [3]",
    ],
    [
      'a header that lacks a column',
      'records',
      'text/csv; header=present',
      'age,id\n1,2',
      'the header must have the column "plan"',
    ],
    [
      'CSV of another width',
      'records',
      'text/csv',
      '1,2,3',
      'must have 2 columns, or the first one the names of all, got 3',
    ],
  ];
  test('case by case', async () => {
    const server = await start();
    for (const [what, model, type, body, error] of CASES) {
      const answer = await send(server, model, type, Buffer.from(body, 'latin1'));
      expect(answer.json?.error, what).toContain(error);
      expect(answer.status, what).toBe(400);
    }
  });

  test('too many rows are refused before any of them costs work', async () => {
    const server = await start();
    // Each of them is too long as well: had one been looked at, the answer would say so.
    const rows = JSON.stringify(Array.from({ length: 33 }, () => 'x'.repeat(5_000)));
    const answer = await send(server, 'lengths', 'application/json', rows);
    expect(answer.json.error).toBe(
      "model 'lengths' takes at most 32 rows in one request, got 33; send them in several",
    );
  });
});

test('a tokenizer that was changed keeps the version from being served', async () => {
  await start();
  const version = path.join(repository, 'lengths/1/tokenizer.json');
  const before = readFileSync(version);
  writeFileSync(version, before.toString('utf8').replace('"fox"', '"dog"'));
  const server = await startServer({ modelRepository: repository });
  writeFileSync(version, before);
  const ready = await server.get('/v2/models/lengths/ready');
  expect(ready.status).toBe(503);
  expect((await server.get('/readyz')).text).toContain('tokenizer.json');
});
