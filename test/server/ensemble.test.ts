import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { addOneModel, buildModel, floatTensor, matmulModel, node, slowModel, value } from '../support/onnx-models';
import { connectInference, floatsOf, infer as grpcInfer } from './grpc/grpc-client';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer, type RunningServer } from './harness/running-server';

/** Doubles and adds: `output = input × 2`, FP32 [batch, 4]. */
const double = buildModel({
  node: [node('Mul', ['input', 'two'], ['output'])],
  input: [value('input', 'FP32', ['batch', 4])],
  output: [value('output', 'FP32', ['batch', 4])],
  initializer: [floatTensor('two', [], [2])],
});

/** `sum = left + right`, FP32 [batch, 4]. */
const add = buildModel({
  node: [node('Add', ['left', 'right'], ['sum'])],
  input: [value('left', 'FP32', ['batch', 4]), value('right', 'FP32', ['batch', 4])],
  output: [value('sum', 'FP32', ['batch', 4])],
});

const HEAD = `platform: "ensemble" max_batch_size: 8
  input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
  output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }`;

/** y = (x + 1) + 2x: two steps side by side that read the same tensor, and one behind both. */
const DIAMOND = `${HEAD}
  ensemble_scheduling {
    step { model_name: "add" model_version: -1
      input_map { key: "left" value: "more" } input_map { key: "right" value: "twice" }
      output_map { key: "sum" value: "y" } }
    step { model_name: "one" input_map { key: "input" value: "x" } output_map { key: "output" value: "more" } }
    step { model_name: "double" input_map { key: "input" value: "x" } output_map { key: "output" value: "twice" } }
  }`;

function repository(models: Readonly<Record<string, Uint8Array>>, ensembles: Readonly<Record<string, string>>): string {
  const folder = plainRepository(models);
  for (const [name, configuration] of Object.entries(ensembles)) {
    mkdirSync(path.join(folder, name, '1'), { recursive: true });
    writeFileSync(path.join(folder, name, 'config.pbtxt'), configuration);
  }
  return folder;
}

const MODELS = { one: addOneModel(), double, add };

async function reasonOf({ get }: RunningServer, model = 'e'): Promise<string> {
  const { status, json } = await get(`/v2/models/${model}/ready`);
  expect(status).toBe(503);
  return json.reason as string;
}

test('steps run as their tensors come, and the answer is that of the whole', async () => {
  const { infer, get } = await startServer({ modelRepository: repository(MODELS, { diamond: DIAMOND }) });
  const { status, json } = await infer('diamond', floats('x', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]));
  expect(status).toBe(200);
  expect(json).toMatchObject({ model_name: 'diamond', model_version: '1' });
  expect(json.outputs).toEqual([
    { name: 'y', datatype: 'FP32', shape: [2, 4], data: [1, 2, 3, 4, 5, 6, 7, 8].map((x) => x + 1 + 2 * x) },
  ]);
  expect((await get('/v2/models/diamond')).json).toMatchObject({
    platform: 'ensemble',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
  });
});

test('many requests at once keep their own tensors, though their steps share runs', async () => {
  const { infer } = await startServer({ modelRepository: repository(MODELS, { diamond: DIAMOND }) });
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const rows = 1 + (i % 3);
      const data = Array.from({ length: rows * 4 }, (_x, j) => i * 100 + j);
      const { status, json } = await infer('diamond', floats('x', [rows, 4], data));
      return { status, data, got: json.outputs?.[0]?.data as unknown };
    }),
  );
  for (const { status, data, got } of answers) {
    expect(status).toBe(200);
    expect(got).toEqual(data.map((x) => 3 * x + 1));
  }
});

test('steps whose models answer from a cache, or share runs of equal requests, stay right', async () => {
  const folder = repository(MODELS, { diamond: DIAMOND });
  // Not the last step: it runs, and a run takes the buffers of its inputs with it.
  for (const name of ['one', 'double']) {
    writeFileSync(path.join(folder, name, 'config.pbtxt'), 'response_cache { enable: true }');
  }
  const { infer } = await startServer({ modelRepository: folder, responseCacheMiB: 16, singleFlight: true });
  const ask = async (first: number): Promise<unknown> =>
    (await infer('diamond', floats('x', [1, 4], [first, 1, 2, 3]))).json.outputs?.[0]?.data;
  for (let round = 0; round < 4; round++) expect(await ask(5)).toEqual([16, 4, 7, 10]);
  for (let round = 0; round < 4; round++) {
    const got = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(i % 3)));
    expect(got).toEqual(got.map((_, i) => [3 * (i % 3) + 1, 4, 7, 10]));
  }
});

test.each(['HTTP', 'gRPC'])('inputs that came over %s in one body go to steps of their own', async (protocol) => {
  const wide = buildModel({
    node: [node('Identity', ['input'], ['output'])],
    input: [value('input', 'FP32', ['batch', 1_024])],
    output: [value('output', 'FP32', ['batch', 1_024])],
  });
  const apart = `platform: "ensemble" max_batch_size: 8
    input { name: "a" data_type: TYPE_FP32 dims: [ 1024 ] } input { name: "b" data_type: TYPE_FP32 dims: [ 4 ] }
    output { name: "y" data_type: TYPE_FP32 dims: [ 1024 ] } output { name: "z" data_type: TYPE_FP32 dims: [ 4 ] }
    ensemble_scheduling {
      step { model_name: "wide" input_map { key: "input" value: "a" } output_map { key: "output" value: "y" } }
      step { model_name: "one" input_map { key: "input" value: "b" } output_map { key: "output" value: "z" } }
    }`;
  const server = await startServer({ modelRepository: repository({ ...MODELS, wide }, { apart }) });
  const [a, b] = [new Float32Array(1_024).fill(5), Float32Array.of(1, 2, 3, 4)].map(({ buffer }) =>
    Buffer.from(buffer),
  );
  const inputs = [
    { name: 'a', datatype: 'FP32', shape: [1, 1_024], parameters: { binary_data_size: a!.byteLength } },
    { name: 'b', datatype: 'FP32', shape: [1, 4], parameters: { binary_data_size: b!.byteLength } },
  ];
  if (protocol === 'gRPC') {
    const client = connectInference(server.grpcPort);
    const named = inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape }));
    const message = { model_name: 'apart', inputs: named, raw_input_contents: [a, b], outputs: [{ name: 'z' }] };
    expect(floatsOf((await grpcInfer(client, message)).raw_output_contents[0])).toEqual([2, 3, 4, 5]);
    return;
  }
  const header = Buffer.from(JSON.stringify({ inputs, outputs: [{ name: 'z' }] }));
  const { json } = await request(`${server.url}/v2/models/apart/infer`, {
    method: 'POST',
    headers: { 'Inference-Header-Content-Length': String(header.byteLength) },
    body: Buffer.concat([header, a!, b!]),
  });
  expect(json.outputs[0].data).toEqual([2, 3, 4, 5]);
});

test('the models of the steps answer on their own as well, and count what the ensemble ran', async () => {
  const { server, infer } = await startServer({ modelRepository: repository(MODELS, { diamond: DIAMOND }) });
  expect((await infer('one', floats('input', [1, 4], [1, 2, 3, 4]))).status).toBe(200);
  for (let i = 0; i < 3; i++) await infer('diamond', floats('x', [1, 4], [0, 0, 0, 0]));
  const statistics = (name: string) => server['models'].find({ name }).statistics;
  expect(statistics('diamond').success.count).toBe(3);
  expect(statistics('diamond').rows).toBe(3);
  expect(statistics('one').success.count).toBe(4);
  expect(statistics('add').success.count).toBe(3);
});

test('the server is ready once all steps are, and the ensemble names the step that is not', async () => {
  const running = await startServer({
    modelRepository: repository({ one: MODELS.one, double, add: new Uint8Array([1, 2, 3]) }, { e: DIAMOND }),
  });
  expect(await reasonOf(running)).toMatch(/^step 1 \(model 'add'\) is not ready: /);
  expect((await running.get('/readyz')).status).toBe(503);
  const answer = await running.infer('e', floats('x', [1, 4], [1, 2, 3, 4]));
  expect([answer.status, answer.json.error]).toEqual([
    503,
    expect.stringMatching(/^model 'e' version 1 is not ready: step 1 \(model 'add'\)/),
  ]);
});

test('a request is checked against the ensemble before any step runs', async () => {
  const { infer, server } = await startServer({ modelRepository: repository(MODELS, { diamond: DIAMOND }) });
  expect((await infer('diamond', floats('input', [1, 4], [1, 2, 3, 4]))).status).toBe(400);
  expect((await infer('diamond', floats('x', [1, 3], [1, 2, 3]))).status).toBe(400);
  expect((await infer('diamond', floats('x', [9, 4], new Array<number>(36).fill(0)))).json.error).toBe(
    "model 'diamond' takes at most 8 rows in one request, got 9; send them in several",
  );
  expect(server['models'].find({ name: 'one' }).statistics.success.count).toBe(0);
});

test('a request of no rows passes through', async () => {
  const { infer } = await startServer({ modelRepository: repository(MODELS, { diamond: DIAMOND }) });
  const { status, json } = await infer('diamond', floats('x', [0, 4], []));
  expect([status, json.outputs[0].shape]).toEqual([200, [0, 4]]);
});

test('a deadline ends the steps that run and those that would follow', async () => {
  const slow = `platform: "ensemble" max_batch_size: 1
    input { name: "n" data_type: TYPE_INT64 dims: [ 1 ] } output { name: "m" data_type: TYPE_INT64 dims: [ 1 ] }
    ensemble_scheduling {
      step { model_name: "slow" input_map { key: "iterations" value: "n" } output_map { key: "done" value: "half" } }
      step { model_name: "slow" input_map { key: "iterations" value: "half" } output_map { key: "done" value: "m" } } }`;
  const { url, server } = await startServer({ modelRepository: repository({ slow: slowModel() }, { e: slow }) });
  const response = await fetch(`${url}/v2/models/e/infer`, {
    method: 'POST',
    headers: { 'X-Request-Timeout': '0.2' },
    body: JSON.stringify({ inputs: [{ name: 'n', datatype: 'INT64', shape: [1, 1], data: [20_000] }] }),
  });
  expect(response.status).toBe(504);
  const { statistics } = server['models'].find({ name: 'slow' });
  expect([statistics.success.count, statistics.fail.count]).toEqual([0, 1]);
});

test('a step that fails is the answer, and its model is named', async () => {
  const picky = buildModel({
    node: [node('Gather', ['table', 'index'], ['output'])],
    input: [value('index', 'INT64', ['batch'])],
    output: [value('output', 'FP32', ['batch', 2])],
    initializer: [floatTensor('table', [10, 2], new Array<number>(20).fill(1))],
  });
  const configuration = `platform: "ensemble" max_batch_size: 8
    input { name: "i" data_type: TYPE_INT64 dims: [ ] } output { name: "o" data_type: TYPE_FP32 dims: [ 2 ] }
    ensemble_scheduling {
      step { model_name: "look" input_map { key: "index" value: "i" } output_map { key: "output" value: "o" } } }`;
  const { infer } = await startServer({ modelRepository: repository({ look: picky }, { e: configuration }) });
  const ask = (index: number) => infer('e', { inputs: [{ name: 'i', datatype: 'INT64', shape: [1], data: [index] }] });
  expect((await ask(3)).json.outputs[0].data).toEqual([1, 1]);
  const direct = await infer('look', { inputs: [{ name: 'index', datatype: 'INT64', shape: [1], data: [99] }] });
  const through = await ask(99);
  expect([through.status, through.json.error]).toEqual([direct.status, direct.json.error]);
});

test('an ensemble may be a step of another one', async () => {
  const outer = `${HEAD}
    ensemble_scheduling {
      step { model_name: "diamond" input_map { key: "x" value: "x" } output_map { key: "y" value: "middle" } }
      step { model_name: "one" input_map { key: "input" value: "middle" } output_map { key: "output" value: "y" } } }`;
  const { infer } = await startServer({ modelRepository: repository(MODELS, { diamond: DIAMOND, outer }) });
  const { json } = await infer('outer', floats('x', [1, 4], [1, 2, 3, 4]));
  expect(json.outputs[0].data).toEqual([5, 8, 11, 14]);
});

test('ensembles that use each other in a circle are refused, and nobody hangs', async () => {
  const uses = (model: string) => `${HEAD} ensemble_scheduling {
    step { model_name: "${model}" input_map { key: "x" value: "x" } output_map { key: "y" value: "y" } } }`;
  const running = await startServer({ modelRepository: repository(MODELS, { a: uses('b'), b: uses('a') }) });
  expect(await reasonOf(running, 'a')).toBe(
    "step 1 (model 'b') is not ready: step 1 (model 'a') is not ready: its steps lead back to itself",
  );
});

const step = (model: string, input: string, from: string, output: string, to: string): string =>
  `step { model_name: "${model}" input_map { key: "${input}" value: "${from}" } output_map { key: "${output}" value: "${to}" } }`;
const steps = (...written: readonly string[]): string => `${HEAD} ensemble_scheduling { ${written.join(' ')} }`;

test('each of these is refused with its reason', async () => {
  const refusals: readonly (readonly [what: string, configuration: string, reason: string])[] = [
    [
      'a tensor that nothing makes',
      steps(step('one', 'input', 'z', 'output', 'y')),
      "step 1 (model 'one') reads tensor 'z' as 'input', and nothing makes it",
    ],
    [
      'a tensor that is made twice',
      steps(step('one', 'input', 'x', 'output', 'y'), step('double', 'input', 'x', 'output', 'y')),
      "tensor 'y' is made by step 1 (model 'one') and by step 2 (model 'double')",
    ],
    [
      'steps in a circle',
      steps(
        step('one', 'input', 'b', 'output', 'a'),
        step('double', 'input', 'a', 'output', 'b'),
        step('one', 'input', 'x', 'output', 'y'),
      ),
      "step 1 (model 'one'), step 2 (model 'double') wait for each other in a circle",
    ],
    [
      'a step for nothing',
      steps(step('one', 'input', 'x', 'output', 'y'), step('double', 'input', 'x', 'output', 'z')),
      "step 2 (model 'double') makes nothing that leads to an output",
    ],
    ['an output that nothing makes', steps(step('one', 'input', 'x', 'output', 'z')), "output 'y' is made by no step"],
    [
      'a model that is not there',
      steps(step('none', 'input', 'x', 'output', 'y')),
      "step 1 (model 'none') is not ready: no model 'none' here",
    ],
    ['itself', steps(step('e6', 'x', 'x', 'y', 'y')), "step 1 (model 'e6') is the ensemble itself"],
    [
      'an input that the model has not',
      steps(step('one', 'in', 'x', 'output', 'y')),
      "step 1 (model 'one') needs input 'input', which input_map leaves out",
    ],
    [
      'an output that the model has not',
      steps(step('one', 'input', 'x', 'out', 'y')),
      "step 1 (model 'one') has no tensor 'out' that output_map names, it has 'output'",
    ],
    [
      'another shape',
      steps(step('matmul', 'input', 'x', 'output', 'y')),
      "output 'y': it must be FP32 [-1, 4], and is FP32 [-1, 3]",
    ],
    [
      'more rows than a step takes',
      steps(step('one', 'input', 'x', 'output', 'y')).replace('max_batch_size: 8', 'max_batch_size: 800'),
      "step 1 (model 'one') takes at most 32 rows, so max_batch_size must not be above, got 800",
    ],
    [
      'rows for a step without',
      steps(step('fixed', 'input', 'x', 'output', 'y')),
      "step 1 (model 'fixed') does not take rows, so max_batch_size must be 0, got 8",
    ],

    [
      'an input that no step reads',
      steps(step('one', 'input', 'x', 'output', 'y')).replace(
        'output {',
        'input { name: "spare" data_type: TYPE_FP32 dims: [ 4 ] } output {',
      ),
      "input 'spare' is read by no step",
    ],
  ];
  const models = { one: MODELS.one, double, matmul: matmulModel(), fixed: addOneModel({ shape: [1, 4] }) };
  const ensembles = Object.fromEntries(refusals.map(([, configuration], i) => [`e${i}`, configuration]));
  const running = await startServer({ modelRepository: repository(models, ensembles) });
  const reasons = await Promise.all(refusals.map((_, i) => reasonOf(running, `e${i}`)));
  expect(refusals.map(([what], i) => [what, reasons[i]])).toEqual(refusals.map(([what, , reason]) => [what, reason]));
});

test('steps follow their models when these are reloaded', async () => {
  const folder = repository(MODELS, { diamond: DIAMOND });
  const { infer, server } = await startServer({ modelRepository: folder, hotReload: true, reloadSeconds: 0.1 });
  const ask = async (): Promise<unknown> => (await infer('diamond', floats('x', [1, 4], [1, 1, 1, 1]))).json;
  expect(await ask()).toMatchObject({ outputs: [{ data: [4, 4, 4, 4] }] });
  mkdirSync(path.join(folder, 'one', '2.partial'));
  writeFileSync(path.join(folder, 'one', '2.partial', 'model.onnx'), double);
  renameSync(path.join(folder, 'one', '2.partial'), path.join(folder, 'one', '2'));
  const isSwapped = (): boolean => server['models'].find({ name: 'one' }).version === 2;
  for (let i = 0; i < 200 && !isSwapped(); i++) {
    expect(await ask()).toHaveProperty('outputs');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(isSwapped()).toBe(true);
  expect(await ask()).toMatchObject({ outputs: [{ data: [4, 4, 4, 4] }] });
  expect((await infer('diamond', floats('x', [1, 4], [5, 5, 5, 5]))).json.outputs[0].data).toEqual([20, 20, 20, 20]);
});
