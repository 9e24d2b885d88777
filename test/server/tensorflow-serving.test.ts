import { expect, test } from 'vitest';
import {
  buildModel,
  identityModel,
  lookupModel,
  matmulModel,
  node,
  twoInputsModel,
  value,
} from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { startServer, type RunningServer } from './harness/running-server';

function start(): Promise<RunningServer> {
  return startServer({
    modelRepository: plainRepository({
      matmul: matmulModel(),
      two: twoInputsModel(),
      text: identityModel({ datatype: 'BYTES', shape: ['n'] }),
      grid: identityModel({ datatype: 'BYTES', shape: ['n', 'm'] }),
      long: identityModel({ datatype: 'INT64', shape: ['n', 2] }),
      double: identityModel({ datatype: 'FP64', shape: ['n', 2] }),
      scalar: identityModel({ shape: [] }),
      images: buildModel({
        node: [node('Identity', ['input'], ['image_bytes'])],
        input: [value('input', 'BYTES', ['n'])],
        output: [value('image_bytes', 'BYTES', ['n'])],
      }),
      lookup: lookupModel(),
    }),
  });
}

const predict = (server: RunningServer, model: string, body: unknown): ReturnType<RunningServer['post']> =>
  server.post(`/v1/models/${model}:predict`, body);

test('rows of one input become rows of one output', async () => {
  const server = await start();
  const plain = await predict(server, 'double', {
    instances: [
      [1, 2.5],
      [-1, 1e300],
    ],
  });
  expect(plain).toMatchObject({
    status: 200,
    json: {
      predictions: [
        [1, 2.5],
        [-1, 1e300],
      ],
    },
  });
  const withSignature = await predict(server, 'double', { signature_name: 'serving_default', instances: [[1, 2]] });
  expect(withSignature.json).toEqual({ predictions: [[1, 2]] });
  const named = await predict(server, 'double', { instances: [{ input: [1, 2] }, { input: [3, 4] }] });
  expect(named.json).toEqual({
    predictions: [
      [1, 2],
      [3, 4],
    ],
  });
});

test('rows of several inputs are objects, and so are rows of several outputs', async () => {
  const server = await start();
  const instances = [
    { left: [1, 2, 3], right: [0, 5, 0] },
    { right: [1, 1, 1], left: [1, 1, 1] },
  ];
  expect((await predict(server, 'two', { instances })).json).toEqual({
    predictions: [
      { sum: [1, 7, 3], larger: [true, false, true] },
      { sum: [2, 2, 2], larger: [false, false, false] },
    ],
  });
});

test('columns bring a tensor for each input and get one for each output', async () => {
  const server = await start();
  expect((await predict(server, 'double', { inputs: [[1, 2]] })).json).toEqual({ outputs: [[1, 2]] });
  expect((await predict(server, 'double', { inputs: { input: [[1, 2]], more: 1 } })).json).toEqual({
    outputs: [[1, 2]],
  });
  expect((await predict(server, 'two', { inputs: { left: [[1, 2, 3]], right: [[3, 2, 1]] } })).json).toEqual({
    outputs: { sum: [[4, 4, 4]], larger: [[false, false, true]] },
  });
  expect((await predict(server, 'scalar', { inputs: 7 })).text).toBe('{"outputs":7.0}');
});

test('whole numbers of floating point are written so, and integers with every digit', async () => {
  const server = await start();
  const floats = await predict(server, 'double', '{"instances":[[1,-0],[NaN,Infinity],[-Infinity,1e22]]}');
  expect(floats.text).toBe('{"predictions":[[1.0,-0.0],[NaN,Infinity],[-Infinity,1e+22]]}');
  const integers = await predict(server, 'long', '{"instances":[[9007199254740993,-9223372036854775808]]}');
  expect(integers.text).toBe('{"predictions":[[9007199254740993,-9223372036854775808]]}');
});

test('a large tensor in rows comes through bit by bit', async () => {
  const server = await start();
  const instances = Array.from({ length: 32 }, (_, i) => [Math.sin(i) / 3, Math.cos(i) * 1e-8]);
  expect((await predict(server, 'double', { instances })).json).toEqual({ predictions: instances });
  const objects = instances.map((row) => ({ input: row }));
  expect((await predict(server, 'double', { instances: objects })).json).toEqual({ predictions: instances });
});

test('text comes as it is or as base64, and leaves as base64 where the name of the output says so', async () => {
  const server = await start();
  const instances = ['é', { b64: Buffer.from('日本').toString('base64') }];
  expect((await predict(server, 'text', { instances })).json).toEqual({ predictions: ['é', '日本'] });
  expect((await predict(server, 'text', { instances: [{ input: 'a' }, { input: { b64: 'Yg==' } }] })).json).toEqual({
    predictions: ['a', 'b'],
  });
  expect((await predict(server, 'grid', { instances: [['a', { b64: 'Yg==' }]] })).json).toEqual({
    predictions: [['a', 'b']],
  });
  expect((await predict(server, 'images', { inputs: ['a'] })).json).toEqual({ outputs: [{ b64: 'YQ==' }] });
});

const REFUSED: readonly [what: string, model: string, body: unknown, error: string][] = [
  ['neither rows nor columns', 'double', {}, "a predict request must have either 'instances' or 'inputs', got neither"],
  ['both', 'double', { instances: [], inputs: [] }, "must have either 'instances' or 'inputs', got both"],
  ['no rows', 'double', { instances: [] }, "'instances' must be a list of at least one instance, got []"],
  ['rows that are none', 'double', { instances: 7 }, "'instances' must be a list of at least one instance, got 7"],
  [
    'another signature',
    'double',
    { signature_name: 'x', instances: [[1, 2]] },
    'Serving signature name: "x" not found',
  ],
  ['rows of different lengths', 'grid', { instances: [['a'], ['b', 'c']] }, 'expecting shape [1], got: [2]'],
  ['numbers of different lengths', 'double', { instances: [[1, 2], [3]] }, 'expecting shape [2], got: [1]'],
  [
    'another shape',
    'double',
    { instances: [[1, 2, 3]] },
    "unexpected shape for input 'input' for model 'double'. Expected [-1,2], got [1,3]",
  ],
  ['text for a number', 'double', { instances: [[1, 'x']] }, 'FP64 element 1 must be a number, got "x"'],
  ['a fraction for an integer', 'long', { instances: [[1, 1.5]] }, 'INT64 element 1 must be a whole number'],
  ['too few keys', 'two', { instances: [{ left: [1, 2, 3] }] }, 'keys must be equal to: left,right, got "left"'],
  [
    'too many keys',
    'two',
    { instances: [{ left: [1, 2, 3], right: [1, 2, 3], x: 1 }] },
    'keys must be equal to: left,right',
  ],
  [
    'no objects',
    'two',
    { instances: [[1, 2, 3]] },
    'instance 0 must be an object whose keys must be equal to: left,right, got [1,2,3]',
  ],
  ['a missing column', 'two', { inputs: { left: [[1, 2, 3]] } }, "Missing named input: right in 'inputs' object."],
  ['no named columns', 'two', { inputs: [[1]] }, "'inputs' must be an object with a tensor for each input"],
  ['no base64', 'text', { instances: [{ b64: '!' }] }, 'BYTES element 0 must be base64, got "!"'],
  ['bytes that are no text', 'text', { instances: [{ b64: '/w==' }] }, 'BYTES element 0 must be UTF-8 text'],
  ['no JSON', 'double', '{"instances":', 'the request must be JSON: '],
  [
    'a scalar model in rows',
    'scalar',
    { instances: [1] },
    "unexpected shape for input 'input' for model 'scalar'. Expected [], got [1]",
  ],
  [
    'too deep',
    'grid',
    `{"instances":${'['.repeat(100)}"a"${']'.repeat(100)}}`,
    'must not be nested deeper than 16 lists',
  ],
  ['an index out of range', 'lookup', { instances: [99] }, "model 'lookup' cannot run these inputs"],
];

test('every mistake gets 400 with the reason', async () => {
  const server = await start();
  for (const [what, model, body, error] of REFUSED) {
    const answer = await predict(server, model, body);
    expect(answer.json?.error, what).toContain(error);
    expect(answer.status, what).toBe(400);
  }
});

test('says what state versions are in, in the words of TensorFlow Serving and of KServe', async () => {
  const server = await start();
  const available = {
    model_version_status: [{ version: '1', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } }],
    name: 'two',
    ready: true,
  };
  expect(await server.get('/v1/models/two')).toMatchObject({ status: 200, json: available });
  expect(await server.get('/v1/models/two/versions/1')).toMatchObject({ status: 200, json: available });
  expect((await server.get('/v1/models')).json.models.toSorted()).toEqual([
    'double',
    'grid',
    'images',
    'long',
    'lookup',
    'matmul',
    'scalar',
    'text',
    'two',
  ]);
});

test('a model that is still loading is not ready', async () => {
  const server = await startServer({ modelRepository: plainRepository({ broken: Buffer.from('x') }) });
  const answer = await server.get('/v1/models/broken');
  expect(answer).toMatchObject({ status: 503, json: { name: 'broken', ready: false } });
  expect(answer.json.model_version_status[0]).toMatchObject({ state: 'END', status: { error_code: 'UNKNOWN' } });
  expect(answer.json.model_version_status[0].status.error_message).not.toBe('');
});

test('describes the signature', async () => {
  const server = await start();
  const tensor = (name: string, dtype: string): unknown => ({
    dtype,
    tensor_shape: {
      dim: [
        { size: '-1', name: '' },
        { size: '3', name: '' },
      ],
      unknown_rank: false,
    },
    name: `${name}:0`,
  });
  expect((await server.get('/v1/models/two/metadata')).json).toEqual({
    model_spec: { name: 'two', signature_name: '', version: '1' },
    metadata: {
      signature_def: {
        signature_def: {
          serving_default: {
            inputs: { left: tensor('left', 'DT_FLOAT'), right: tensor('right', 'DT_FLOAT') },
            outputs: { sum: tensor('sum', 'DT_FLOAT'), larger: tensor('larger', 'DT_BOOL') },
            method_name: 'tensorflow/serving/predict',
            defaults: {},
          },
        },
      },
    },
  });
});

test('versions are numbers in the path, case does not matter, and what is unknown gets 404 in their words', async () => {
  const server = await start();
  const body = { instances: [[1, 2]] };
  expect((await server.post('/v1/models/double/versions/1:predict', body)).status).toBe(200);
  expect((await server.post('/V1/Models/double/Versions/001:Predict', body)).status).toBe(200);
  expect(await server.post('/v1/models/double/versions/2:predict', body)).toMatchObject({ status: 404 });
  expect((await server.post('/v1/models/double/versions/2:predict', body)).json.error).toContain(
    'Servable not found for request: Specific(double, 2)',
  );
  expect((await server.post('/v1/models/nope:predict', body)).json.error).toContain(
    'Servable not found for request: Latest(nope)',
  );
  expect((await server.get('/v1/models/nope')).status).toBe(404);
  expect((await server.get('/v1/models/nope/metadata')).status).toBe(404);
});

test('what an ONNX model cannot do gets 501, and any other path 400', async () => {
  const server = await start();
  for (const method of ['classify', 'regress', 'explain']) {
    const answer = await server.post(`/v1/models/double:${method}`, { examples: [] });
    expect(answer.status).toBe(501);
    expect(answer.json.error).toContain('use predict');
  }
  expect(await server.post('/v1/models/double:guess', '')).toMatchObject({
    status: 400,
    json: { error: 'Malformed request: POST /v1/models/double:guess' },
  });
  expect(await server.get('/v1/nothing/here')).toMatchObject({
    status: 400,
    json: { error: 'Malformed request: GET /v1/nothing/here' },
  });
});
