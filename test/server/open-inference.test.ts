import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { showValue } from '../../runtime/server/classification';
import {
  addOneModel,
  buildModel,
  floatTensor,
  identityModel,
  matmulModel,
  node,
  twoInputsModel,
  value,
} from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, startServer } from './harness/running-server';

const ROW = floats('input', [1, 4], [0.5, 3, -1, 3]) as object;
const outputs = (parameters: object): object => ({ outputs: [{ name: 'output', parameters }] });

test('classifies: the greatest elements of each row, with their values and places', async () => {
  const server = await startServer({ modelRepository: plainRepository({ id: identityModel() }) });
  const two = { inputs: [{ name: 'input', shape: [2, 4], datatype: 'FP32', data: [0.5, 3, -1, 3, 0.1, 0, 0, 0] }] };
  const answer = await server.infer('id', { ...two, ...outputs({ classification: 2 }) });
  expect(answer.json.outputs).toEqual([
    {
      name: 'output',
      datatype: 'BYTES',
      shape: [2, 2],
      data: ['3.000000:1', '3.000000:3', '0.100000:0', '0.000000:1'],
    },
  ]);
  const all = await server.infer('id', { ...ROW, ...outputs({ classification: 9 }) });
  expect(all.json.outputs[0]).toMatchObject({
    shape: [1, 4],
    data: ['3.000000:1', '3.000000:3', '0.500000:0', '-1.000000:2'],
  });
  const binary = await server.post('/v2/models/id/infer', {
    ...ROW,
    ...outputs({ classification: 1, binary_data: true }),
  });
  expect(binary.text).toContain('"parameters":{"binary_data_size":14}');
  expect(binary.text.endsWith('\x0a\0\0\x003.000000:1')).toBe(true);
});

test('classifies integers and half precision, and a model without rows', async () => {
  const server = await startServer({
    modelRepository: plainRepository({
      long: identityModel({ datatype: 'INT64' }),
      half: identityModel({ datatype: 'FP16' }),
      flat: identityModel({ shape: [4] }),
    }),
  });
  const ask = async (model: string, datatype: string, shape: number[], data: string): Promise<unknown> => {
    const request = `{"inputs":[{"name":"input","shape":[${shape.join(',')}],"datatype":"${datatype}","data":[${data}]}],"outputs":[{"name":"output","parameters":{"classification":2}}]}`;
    return (await server.infer(model, request)).json.outputs[0];
  };
  expect(await ask('long', 'INT64', [1, 4], '1,9007199254740993,2,9007199254740992')).toMatchObject({
    data: ['9007199254740993:1', '9007199254740992:3'],
  });
  expect(await ask('half', 'FP16', [1, 4], 'NaN,0.5,-1,Infinity')).toMatchObject({ data: ['inf:3', '0.500000:1'] });
  expect(await ask('flat', 'FP32', [4], '1,2,3,4')).toMatchObject({ shape: [2], data: ['4.000000:3', '3.000000:2'] });
});

test.each([
  ['FP64', 1e-7, '0.000000'],
  ['FP64', -0, '-0.000000'],
  ['FP64', 123456789.125, '123456789.125000'],
  ['FP64', -1e23, '-99999999999999991611392.000000'],
  ['FP32', Math.fround(0.1), '0.100000'],
  ['FP16', 1 / 128, '0.007812'],
  ['FP16', 3 / 128, '0.023438'],
  ['FP32', -5 / 128, '-0.039062'],
  ['FP32', NaN, 'nan'],
  ['FP32', -Infinity, '-inf'],
  ['INT8', -5, '-5'],
] as const)('a class of %s with the value %d has the text that C prints: %s', (datatype, value, text) => {
  expect(showValue(value, datatype)).toBe(text);
});

test('an input with a default has that value, and none from a request: the runtime would drop it without a word', async () => {
  const model = buildModel({
    node: [node('Add', ['input', 'step'], ['output'])],
    input: [value('input', 'FP32', ['batch', 4]), value('step', 'FP32', [1])],
    output: [value('output', 'FP32', ['batch', 4])],
    initializer: [floatTensor('step', [1], [1])],
  });
  const server = await startServer({ modelRepository: plainRepository({ m: model }) });
  expect((await server.get('/v2/models/m')).json.inputs).toMatchObject([{ name: 'input' }]);
  const row = floats('input', [1, 4], [1, 2, 3, 4]) as { inputs: object[] };
  expect((await server.infer('m', row)).json.outputs[0].data).toEqual([2, 3, 4, 5]);
  const step = { name: 'step', shape: [1], datatype: 'FP32', data: [10] };
  expect(await server.infer('m', { inputs: [...row.inputs, step] })).toMatchObject({
    status: 400,
    json: { error: `unexpected inference input "step" for model 'm'. Expected 'input'` },
  });
  // The reason; once this is another number, such inputs can be taken.
  const session = await InferenceSession.create(Buffer.from(model), { logSeverityLevel: 4 });
  const feeds = {
    input: new Tensor('float32', [1, 2, 3, 4], [1, 4]),
    step: new Tensor('float32', [10], [1]),
  };
  expect(Array.from((await session.run(feeds))['output']!.data as Float32Array)).toEqual([2, 3, 4, 5]);
});

test('takes what clients leave empty, and parameters that it does not know', async () => {
  const server = await startServer({
    modelRepository: plainRepository({ id: identityModel(), free: identityModel({ shape: ['n', 'm'] }) }),
  });
  const sparse = { ...ROW, id: null, parameters: null, outputs: null };
  expect((await server.infer('id', sparse)).status).toBe(200);
  const parameters = {
    sequence_id: 5,
    headers: { a: 'b' },
    triton_enable_empty_final_response: [],
    priority: 1,
    timeout: 1e9,
    temperature: 0.5,
  };
  expect((await server.infer('id', { ...ROW, parameters })).status).toBe(200);
  // As KServe's client sends a tensor without elements.
  const empty = { name: 'input', shape: [0, 4], datatype: 'FP32', parameters: { binary_data_size: 0 }, data: null };
  expect((await server.infer('free', { inputs: [empty] })).json.outputs[0]).toMatchObject({ shape: [0, 4], data: [] });
});

test('reads text in base64 where the input says so', async () => {
  const server = await startServer({
    modelRepository: plainRepository({ text: identityModel({ datatype: 'BYTES', shape: ['n'] }) }),
  });
  const input = { name: 'input', shape: [2], datatype: 'BYTES', parameters: { content_type: 'base64' } };
  const data = ['é', ''].map((text) => Buffer.from(text).toString('base64'));
  expect((await server.infer('text', { inputs: [{ ...input, data }] })).json.outputs[0].data).toEqual(['é', '']);
});

test('a large tensor comes through bit by bit, nested and flat, whatever the order of its keys', async () => {
  const server = await startServer({
    modelRepository: plainRepository({ id: identityModel({ datatype: 'FP64', shape: ['n', 50] }) }),
  });
  const rows = Array.from({ length: 20 }, (_, i) =>
    Array.from({ length: 50 }, (_, k) => Math.sin(i * 50 + k) * 10 ** (k - 25)),
  );
  const data = rows.flat();
  const bodies = [
    { inputs: [{ name: 'input', shape: [20, 50], datatype: 'FP64', data }] },
    { inputs: [{ data: rows, datatype: 'FP64', shape: [20, 50], name: 'input' }] },
  ];
  for (const body of bodies) expect((await server.infer('id', body)).json.outputs[0].data).toEqual(data);
});

test('keeps the sign of zero', async () => {
  const server = await startServer({ modelRepository: plainRepository({ id: identityModel() }) });
  const request = '{"inputs":[{"name":"input","shape":[1,4],"datatype":"FP32","data":[-0,0,-0.0,1]}]}';
  expect((await server.infer('id', request)).text).toContain('"data":[-0,0,-0,1]');
});

test('describes extensions, configuration and free dimensions', async () => {
  const server = await startServer({ modelRepository: plainRepository({ two: twoInputsModel() }), maxBatchSize: 8 });
  expect((await server.get('/v2/')).json.extensions).toEqual(
    expect.arrayContaining(['binary_tensor_data', 'classification', 'model_configuration', 'statistics']),
  );
  const model = await server.get('/v2/models/two');
  expect(model.json.properties).toMatchObject({ 'slipway.dimensions.left': 'batch,3' });
  const { json } = await server.get('/v2/models/two/config');
  expect(json).toMatchObject({ name: 'two', max_batch_size: 8 });
  expect(json.input).toEqual([
    expect.objectContaining({ name: 'left', data_type: 'TYPE_FP32' }),
    expect.objectContaining({ name: 'right', data_type: 'TYPE_FP32' }),
  ]);
  // JSON of a message of protobuf: 64-bit numbers may be text.
  expect(json.input[0].dims.map(Number)).toEqual([3]);
  expect((await server.get('/v2/models/two/versions/1/config')).json).toEqual(json);
  expect((await server.get('/v2/models/nope/config')).status).toBe(404);
});

test('counts requests and rows for each model and for all', async () => {
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel(), matmul: matmulModel() }),
  });
  await server.infer('addone', ROW);
  await server.infer('addone', { inputs: [] });
  const one = await server.get('/v2/models/addone/stats');
  expect(one.json.model_stats).toEqual([
    expect.objectContaining({ name: 'addone', version: '1', inference_count: 1, execution_count: 1 }),
  ]);
  const { success, fail } = one.json.model_stats[0].inference_stats;
  expect([success.count, fail.count]).toEqual([1, 1]);
  expect(success.ns).toBeGreaterThan(0);
  const all = await server.get('/v2/models/stats');
  expect(all.json.model_stats.map(({ name }: { name: string }) => name).toSorted()).toEqual(['addone', 'matmul']);
  expect((await server.get('/v2/models/addone/versions/1/stats')).json.model_stats).toHaveLength(1);
  expect((await server.get('/v2/models/nope/stats')).status).toBe(404);
});
