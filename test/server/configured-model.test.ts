import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { addOneModel, buildModel, identityModel, matmulModel, node, value } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, startServer, type RunningServer } from './harness/running-server';

function repository(models: Readonly<Record<string, readonly [model: Uint8Array, configuration: string]>>): string {
  const folder = plainRepository(Object.fromEntries(Object.entries(models).map(([name, [model]]) => [name, model])));
  for (const [name, [, configuration]] of Object.entries(models)) {
    writeFileSync(path.join(folder, name, 'config.pbtxt'), configuration);
  }
  return folder;
}

async function reasonOf({ get }: RunningServer, model: string): Promise<string> {
  const { status, json } = await get(`/v2/models/${model}/ready`);
  expect(status).toBe(503);
  return json.reason as string;
}

test('a configuration that does not fit its model makes it not ready, with what does not fit', async () => {
  const running = await startServer({
    modelRepository: repository({
      named: [identityModel(), 'input { name: "image" }'],
      typed: [identityModel(), 'output { name: "output" data_type: TYPE_INT8 }'],
      shaped: [identityModel(), 'max_batch_size: 4 input { name: "input" dims: [ 5 ] }'],
      fixed: [addOneModel({ shape: [1, 4] }), 'max_batch_size: 4'],
      unknown: [identityModel(), 'max_batch_sise: 4'],
      fine: [identityModel(), 'max_batch_size: 4 input { name: "input" data_type: TYPE_FP32 dims: [ 4 ] }'],
    }),
  });
  expect(await reasonOf(running, 'named')).toContain("input 'image': the model has no such input, it has 'input'");
  expect(await reasonOf(running, 'typed')).toContain(
    "output 'output': data_type is TYPE_INT8, the model has TYPE_FP32",
  );
  expect(await reasonOf(running, 'shaped')).toContain("input 'input': dims are [5], the model has [4]");
  expect(await reasonOf(running, 'fixed')).toContain("'input' has the fixed first dimension 1");
  expect(await reasonOf(running, 'unknown')).toBe(
    "MODEL_CONFIGURATION_UNSUPPORTED unknown/config.pbtxt:1: max_batch_sise is no field of a model configuration that this server knows; did you mean 'max_batch_size'?",
  );
  expect((await running.get('/v2/models/fine/ready')).status).toBe(200);
});

test('dims of a configuration hold for requests, where the graph itself takes any size', async () => {
  const { infer, get } = await startServer({
    modelRepository: repository({
      m: [identityModel({ shape: ['batch', 'width'] }), 'max_batch_size: 4 input { name: "input" dims: [ 3 ] }'],
    }),
  });
  expect((await infer('m', floats('input', [2, 3], [1, 2, 3, 4, 5, 6]))).status).toBe(200);
  const wide = await infer('m', floats('input', [1, 4], [1, 2, 3, 4]));
  expect([wide.status, wide.json.error]).toEqual([
    400,
    "unexpected shape for input 'input' for model 'm'. Expected [-1,3], got [1,4]",
  ]);
  const many = await infer('m', floats('input', [5, 3], new Array<number>(15).fill(0)));
  expect([many.status, many.json.error]).toEqual([400, expect.stringContaining('at most 4 rows')]);
  expect((await get('/v2/models/m')).json.inputs).toEqual([{ name: 'input', datatype: 'FP32', shape: [-1, 3] }]);
  expect((await get('/v2/models/m/config')).json).toMatchObject({ max_batch_size: 4, input: [{ dims: [3] }] });
});

test('a reshape gives clients one dimension more than the model has, and its answers too', async () => {
  const scalars = buildModel({
    node: [node('Neg', ['x'], ['y'])],
    input: [value('x', 'FP32', ['batch'])],
    output: [value('y', 'FP32', ['batch'])],
  });
  const configuration = `max_batch_size: 8
    input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] reshape: { shape: [ ] } }
    output { name: "y" data_type: TYPE_FP32 dims: [ 1, 1 ] reshape: { shape: [ ] } }
    model_warmup { name: "one" batch_size: 4 inputs { key: "x" value { data_type: TYPE_FP32 dims: 1 random_data: true } } }`;
  const { infer } = await startServer({ modelRepository: repository({ m: [scalars, configuration] }) });
  const answers = await Promise.all(
    [1, 2, 3].map(async (rows) => {
      const data = Array.from({ length: rows }, (_, i) => rows * 10 + i);
      const { json } = await infer('m', floats('x', [rows, 1], data));
      return { output: json.outputs[0] as unknown, data };
    }),
  );
  for (const { output, data } of answers) {
    expect(output).toEqual({ name: 'y', datatype: 'FP32', shape: [data.length, 1, 1], data: data.map((x) => -x) });
  }
  expect((await infer('m', floats('x', [2], [1, 2]))).status).toBe(400);
});

test('max_batch_size 0 leaves requests whole', async () => {
  const { infer, get } = await startServer({
    modelRepository: repository({ m: [matmulModel(), 'max_batch_size: 0'] }),
  });
  expect((await infer('m', floats('input', [100, 4], new Array<number>(400).fill(1)))).status).toBe(200);
  expect((await get('/v2/models/m/config')).json).toMatchObject({ max_batch_size: 0, input: [{ dims: [-1, 4] }] });
});

test('a label file names the classes of an answer', async () => {
  const folder = repository({
    m: [identityModel({ shape: ['batch', 3] }), 'output { name: "output" label_filename: "names.txt" }'],
    missing: [identityModel(), 'output { name: "output" label_filename: "none.txt" }'],
  });
  writeFileSync(path.join(folder, 'm', 'names.txt'), 'cat\r\ndog\nowl\n');
  const running = await startServer({ modelRepository: folder });
  const { json } = await running.infer('m', {
    inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 3], data: [0.5, 2, 1] }],
    outputs: [{ name: 'output', parameters: { classification: 2 } }],
  });
  expect(json.outputs[0]).toMatchObject({
    datatype: 'BYTES',
    data: ['2.000000:1:dog', '1.000000:2:owl'],
  });
  expect(await reasonOf(running, 'missing')).toBe("label file 'none.txt' cannot be read: it is not there");
});

test('fields without effect are told in the log', async () => {
  const { log } = await startServer({
    modelRepository: repository({ m: [identityModel(), 'metric_tags { key: "team" value: "a" }'] }),
  });
  expect(
    log.filter(({ msg }) => msg === 'configuration').map(({ level, model, reason }) => [level, model, reason]),
  ).toEqual([['warn', 'm', 'metric_tags (line 1) is without effect: the labels of metrics are a closed set']]);
});
