import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeTensorData, elementCount, encodeTensorData } from '../../runtime/onnx/tensor-encoding';
import { parseJsonText } from '../../runtime/onnx/json-text';
import { tensorDataFromJson } from '../../runtime/onnx/tensor-json';
import { ELEMENT_BYTES, type Datatype } from '../../runtime/spec/datatypes';
import {
  addOneModel,
  externalDataModel,
  identityModel,
  lookupModel,
  matmulModel,
  twoInputsModel,
} from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, startServer, type RunningServer } from './harness/running-server';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const DATATYPES = Object.keys(ELEMENT_BYTES) as Datatype[];

interface BinaryAnswer {
  readonly status: number;
  readonly header: any;
  readonly tensors: Uint8Array;
}

async function inferBinary(url: string, model: string, header: unknown, tensors: Uint8Array): Promise<BinaryAnswer> {
  const json = Buffer.from(JSON.stringify(header));
  const response = await fetch(`${url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { 'Inference-Header-Content-Length': String(json.byteLength) },
    body: Buffer.concat([json, tensors]),
  });
  const body = new Uint8Array(await response.arrayBuffer());
  const length = Number(response.headers.get('inference-header-content-length') ?? body.byteLength);
  return {
    status: response.status,
    header: JSON.parse(Buffer.from(body.subarray(0, length)).toString()),
    tensors: body.slice(length),
  };
}

test('answers with the outputs of the model, its name and version, and the id of the request', async () => {
  const { infer } = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }) });
  const answer = await infer('addone', {
    id: 'a "quoted" id',
    ...(floats('input', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]) as object),
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(answer.json).toEqual({
    model_name: 'addone',
    model_version: '1',
    id: 'a "quoted" id',
    outputs: [{ name: 'output', datatype: 'FP32', shape: [2, 4], data: [2, 3, 4, 5, 6, 7, 8, 9] }],
  });
});

test('reads nested data and serves a version by its number', async () => {
  const { post } = await startServer({ modelRepository: plainRepository({ addone: addOneModel() }) });
  const nested = {
    inputs: [
      {
        name: 'input',
        shape: [2, 4],
        datatype: 'FP32',
        data: [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ],
      },
    ],
  };
  const answer = await post('/v2/models/addone/versions/1/infer', nested);
  expect(answer.json.outputs[0].data).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
});

test('describes the server and its models', async () => {
  const { get } = await startServer({
    modelRepository: plainRepository({ two: twoInputsModel(), one: addOneModel() }),
  });
  expect((await get('/v2')).json).toMatchObject({
    name: 'slipway',
    extensions: expect.arrayContaining(['binary_tensor_data']),
  });
  expect((await get('/v2/')).status).toBe(200);
  expect((await get('/v2/models')).json.models.toSorted()).toEqual(['one', 'two']);
  expect((await get('/v2/models/two')).json).toMatchObject({
    name: 'two',
    versions: ['1'],
    platform: 'onnx_onnxv1',
    inputs: [
      { name: 'left', datatype: 'FP32', shape: [-1, 3] },
      { name: 'right', datatype: 'FP32', shape: [-1, 3] },
    ],
    outputs: [
      { name: 'sum', datatype: 'FP32', shape: [-1, 3] },
      { name: 'larger', datatype: 'BOOL', shape: [-1, 3] },
    ],
    properties: { 'slipway.dimensions.left': 'batch,3' },
  });
  expect((await get('/v2/models/two/ready')).json).toEqual({ name: 'two', ready: true });
  expect((await get('/v2/models/two/versions/1/ready')).status).toBe(200);
});

test('answers only the outputs that are asked for, in the order asked for, however inputs are ordered', async () => {
  const { infer } = await startServer({ modelRepository: plainRepository({ two: twoInputsModel() }) });
  const input = (name: string, data: number[]): unknown => ({ name, shape: [1, 3], datatype: 'FP32', data });
  const inputs = [input('right', [1, 1, 1]), input('left', [0, 1, 2])];
  const both = await infer('two', { inputs, outputs: [{ name: 'larger' }, { name: 'sum' }] });
  expect(both.json.outputs).toEqual([
    { name: 'larger', datatype: 'BOOL', shape: [1, 3], data: [false, false, true] },
    { name: 'sum', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] },
  ]);
  const one = await infer('two', { inputs, outputs: [{ name: 'sum' }] });
  expect(one.json.outputs.map(({ name }: { name: string }) => name)).toEqual(['sum']);
});

// What each datatype can hold at its ends, as JSON text: not every number survives JSON.parse.
const EXTREMES: Record<Datatype, string> = {
  BOOL: 'true,false,true,true',
  UINT8: '0,1,254,255',
  UINT16: '0,1,65534,65535',
  UINT32: '0,1,4294967294,4294967295',
  UINT64: '0,9007199254740993,18446744073709551614,18446744073709551615',
  INT8: '-128,-1,0,127',
  INT16: '-32768,-1,0,32767',
  INT32: '-2147483648,-1,0,2147483647',
  INT64: '-9223372036854775808,9007199254740993,-1,9223372036854775807',
  FP16: '0.5,-65504,Infinity,NaN',
  FP32: '0.5,-Infinity,16777216,NaN',
  FP64: '0.1,1e+300,-Infinity,NaN',
  BYTES: '"","a","é\\n\\"","日本"',
};

test.each(DATATYPES)('carries %s as JSON and as bytes, no element changed', async (datatype) => {
  const { url, infer } = await startServer({ modelRepository: plainRepository({ id: identityModel({ datatype }) }) });
  const head = { name: 'input', shape: [1, 4], datatype };
  const json = await infer('id', `{"inputs":[${JSON.stringify(head).slice(0, -1)},"data":[${EXTREMES[datatype]}]}]}`);
  expect(json.status).toBe(200);
  expect(json.text).toContain(`"data":[${EXTREMES[datatype]}]`);

  const data = tensorDataFromJson(datatype, [1, 4], parseJsonText(`[${EXTREMES[datatype]}]`));
  const bytes = encodeTensorData(datatype, data);
  const binary = await inferBinary(
    url,
    'id',
    {
      inputs: [{ ...head, parameters: { binary_data_size: bytes.byteLength } }],
      outputs: [{ name: 'output', parameters: { binary_data: true } }],
    },
    bytes,
  );
  expect(binary.header.outputs).toEqual([
    { ...head, name: 'output', parameters: { binary_data_size: bytes.byteLength } },
  ]);
  expect(binary.tensors).toEqual(Uint8Array.from(bytes));
});

test('mixes JSON and binary tensors in one request and one answer', async () => {
  const { url } = await startServer({ modelRepository: plainRepository({ two: twoInputsModel() }) });
  const { status, header, tensors } = await inferBinary(
    url,
    'two',
    {
      inputs: [
        { name: 'left', shape: [1, 3], datatype: 'FP32', data: [1, 2, 3] },
        { name: 'right', shape: [1, 3], datatype: 'FP32', parameters: { binary_data_size: 12 } },
      ],
      parameters: { binary_data_output: true },
      outputs: [{ name: 'sum' }, { name: 'larger', parameters: { binary_data: false } }],
    },
    encodeTensorData('FP32', Float32Array.of(3, 2, 1)),
  );
  expect(status).toBe(200);
  expect(header.outputs).toEqual([
    { name: 'sum', datatype: 'FP32', shape: [1, 3], parameters: { binary_data_size: 12 } },
    { name: 'larger', datatype: 'BOOL', shape: [1, 3], data: [false, false, true] },
  ]);
  expect(decodeTensorData('FP32', [1, 3], tensors)).toEqual(Float32Array.of(4, 4, 4));
});

test('answers in binary when the request asks for it and names no outputs, whatever the alignment of the tensor', async () => {
  const { url } = await startServer({ modelRepository: plainRepository({ two: twoInputsModel() }) });
  for (const id of ['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg']) {
    const { header, tensors } = await inferBinary(
      url,
      'two',
      {
        id,
        inputs: ['left', 'right'].map((name) => ({
          name,
          shape: [1, 3],
          datatype: 'FP32',
          parameters: { binary_data_size: 12 },
        })),
        parameters: { binary_data_output: true },
      },
      encodeTensorData('FP32', Float32Array.of(1, 2, 3, 4, 5, 6)),
    );
    expect(header.id).toBe(id);
    expect(decodeTensorData('FP32', [1, 3], tensors.slice(0, 12))).toEqual(Float32Array.of(5, 7, 9));
    expect([...tensors.slice(12)]).toEqual([0, 0, 0]);
  }
});

test('takes a body that is one raw tensor, and answers in binary', async () => {
  const { url } = await startServer({
    modelRepository: plainRepository({
      addone: addOneModel(),
      strings: identityModel({ datatype: 'BYTES', shape: ['batch', 1] }),
    }),
  });
  const raw = async (model: string, body: Uint8Array): Promise<{ header: string; tensor: Uint8Array }> => {
    const response = await fetch(`${url}/v2/models/${model}/infer`, {
      method: 'POST',
      headers: { 'Inference-Header-Content-Length': '0' },
      body: Buffer.from(body),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const length = Number(response.headers.get('inference-header-content-length'));
    return { header: Buffer.from(bytes.subarray(0, length)).toString(), tensor: bytes.slice(length) };
  };
  const numbers = await raw('addone', encodeTensorData('FP32', Float32Array.of(1, 2, 3, 4)));
  expect(JSON.parse(numbers.header)).toMatchObject({
    outputs: [{ shape: [1, 4], parameters: { binary_data_size: 16 } }],
  });
  expect(decodeTensorData('FP32', [1, 4], numbers.tensor)).toEqual(Float32Array.of(2, 3, 4, 5));
  const text = await raw('strings', encodeTensorData('BYTES', ['héllo']));
  expect(decodeTensorData('BYTES', [1, 1], text.tensor)).toEqual(['héllo']);
});

test('carries scalars and tensors without elements', async () => {
  const { infer } = await startServer({
    modelRepository: plainRepository({
      scalar: identityModel({ shape: [] }),
      free: identityModel({ shape: ['n', 'm'] }),
    }),
  });
  expect((await infer('scalar', floats('input', [], [7]))).json.outputs[0]).toMatchObject({ shape: [], data: [7] });
  expect((await infer('free', floats('input', [0, 4], []))).json.outputs[0]).toMatchObject({ shape: [0, 4], data: [] });
  expect((await infer('free', floats('input', [2, 0], []))).json.outputs[0]).toMatchObject({ shape: [2, 0], data: [] });
});

test('serves a model with external data from a tree without manifests', async () => {
  const { model, weights } = externalDataModel();
  const repository = plainRepository({ external: model });
  writeFileSync(path.join(repository, 'external', '1', 'weights.bin'), weights);
  const { infer } = await startServer({ modelRepository: repository });
  expect((await infer('external', floats('input', [1, 4], [0, 0, 0, 0]))).json.outputs[0].data).toEqual([1, 2, 3, 4]);
});

test('gives every client exactly its own rows, whatever comes together', async () => {
  const running = await startServer({
    modelRepository: plainRepository({ matmul: matmulModel(), free: identityModel({ shape: ['n', 'm'] }) }),
  });
  const expected = await rowsOfMatmul(running);
  const client = fc.record({
    model: fc.constantFrom('matmul', 'free'),
    width: fc.integer({ min: 1, max: 3 }),
    rows: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(client, { minLength: 2, maxLength: 40 }), async (clients) => {
      const answers = await Promise.all(
        clients.map(({ model, width, rows }) =>
          model === 'matmul'
            ? running.infer(
                model,
                floats(
                  'input',
                  [rows.length, 4],
                  rows.flatMap((row) => UNIT_ROWS[row]!),
                ),
              )
            : running.infer(
                model,
                floats(
                  'input',
                  [rows.length, width],
                  rows.flatMap((row) => new Array<number>(width).fill(row)),
                ),
              ),
        ),
      );
      answers.forEach((answer, i) => {
        const { model, width, rows } = clients[i]!;
        const wanted = rows.flatMap((row) =>
          model === 'matmul' ? expected[row]! : new Array<number>(width).fill(row),
        );
        expect(answer.json.outputs[0].data).toEqual(wanted);
      });
    }),
    { numRuns: 25 },
  );
  const metrics = await (await fetch(`${running.metricsUrl}/metrics`)).text();
  const runs = Number(/slipway_batch_rows_count\{model="matmul",version="1"\} (\d+)/.exec(metrics)![1]);
  const rows = Number(/slipway_batch_rows_sum\{model="matmul",version="1"\} (\d+)/.exec(metrics)![1]);
  expect(rows / runs, 'rows per run').toBeGreaterThan(5);
});

const UNIT_ROWS = [0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((k) => (k === i ? 1 : 0)));

async function rowsOfMatmul({ infer }: RunningServer): Promise<number[][]> {
  const answers = [];
  for (const row of UNIT_ROWS) answers.push(await infer('matmul', floats('input', [1, 4], row)));
  return answers.map((answer) => answer.json.outputs[0].data as number[]);
}

test('values that make a run fail are refused, and cost only the request that brought them', async () => {
  const { infer } = await startServer({ modelRepository: plainRepository({ lookup: lookupModel() }) });
  const ask = (index: number): ReturnType<typeof infer> =>
    infer('lookup', { inputs: [{ name: 'index', shape: [1], datatype: 'INT64', data: [index] }] });
  const answers = await Promise.all([ask(1), ask(99), ask(2), ask(3)]);
  expect(answers.map(({ status }) => status)).toEqual([200, 400, 200, 200]);
  expect(answers[1].json.error).toContain("model 'lookup' cannot run these inputs: ");
  expect(answers[1].json.error).toContain('idx=99');
  expect(elementCount(answers[0].json.outputs[0].shape)).toBe(2);
});
