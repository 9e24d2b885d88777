import { assert, assertEqual, assertRefused, assertStatus, SOURCES, type ConformanceCase } from '../conformance-case';
import { DATATYPES, identityOf } from '../conformance-models';
import { SAMPLES, stringifyExact } from '../tensors';

const COUNT = Array.from({ length: 16 }, (_, i) => i);
const ONES = COUNT.map(() => 1);

/** A request that `simple` answers, with parts of it replaced. */
function simple(change: { input0?: object; input1?: object; request?: object } = {}): unknown {
  return {
    inputs: [
      { name: 'INPUT0', shape: [1, 16], datatype: 'INT32', data: COUNT, ...change.input0 },
      { name: 'INPUT1', shape: [1, 16], datatype: 'INT32', data: ONES, ...change.input1 },
    ],
    ...change.request,
  };
}

const INFER = '/v2/models/simple/infer';

interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}
interface Answer {
  readonly model_name: string;
  readonly model_version?: string;
  readonly id?: string;
  readonly outputs: readonly Output[];
}

const rest = (section: string): string => `${SOURCES.rest}: ${section}`;

export const HEALTH_CASES: readonly ConformanceCase[] = [
  {
    id: 'rest-live',
    area: 'health',
    kind: 'spec',
    source: rest('Server Live'),
    title: 'a live server answers 200',
    run: async ({ http }) => assertStatus(await http.get('/v2/health/live'), 200),
  },
  {
    id: 'rest-ready',
    area: 'health',
    kind: 'spec',
    source: rest('Server Ready'),
    title: 'a server with all models ready answers 200',
    run: async ({ http }) => assertStatus(await http.get('/v2/health/ready'), 200),
  },
  {
    id: 'rest-live-body',
    area: 'health',
    kind: 'spec',
    source: rest('Server Live Response JSON Object'),
    title: 'liveness is told as {"live": true} as well',
    run: async ({ http }) => assertEqual((await http.get('/v2/health/live')).json(), { live: true }, 'body'),
  },
  {
    id: 'rest-ready-body',
    area: 'health',
    kind: 'ours',
    source: `${SOURCES.kserve}: its client reads the key`,
    title: 'readiness is told as "ready": true',
    run: async ({ http }) => {
      const body = (await http.get('/v2/health/ready')).json() as { ready?: unknown };
      assertEqual(body.ready, true, 'ready');
    },
  },
  {
    id: 'rest-model-ready',
    area: 'health',
    kind: 'spec',
    source: rest('Model Ready'),
    title: 'a ready model answers 200',
    run: async ({ http }) => assertStatus(await http.get('/v2/models/simple/ready'), 200),
  },
  {
    id: 'rest-model-version-ready',
    area: 'health',
    kind: 'spec',
    source: rest('Model Ready, with a version'),
    title: 'a ready version answers 200',
    run: async ({ http }) => assertStatus(await http.get('/v2/models/simple/versions/1/ready'), 200),
  },
  {
    id: 'rest-model-ready-unknown',
    area: 'health',
    kind: 'spec',
    source: rest('Model Ready: 4xx where it is not'),
    title: 'a model that is not there is not ready',
    run: async ({ http }) => {
      const { status } = await http.get('/v2/models/no-such-model/ready');
      assert(status >= 400 && status < 500, `expected a 4xx, got ${status}`);
    },
  },
];

export const METADATA_CASES: readonly ConformanceCase[] = [
  {
    id: 'rest-server-metadata',
    area: 'metadata',
    kind: 'spec',
    source: rest('Server Metadata Response JSON Object'),
    title: 'the server tells its name, version and extensions',
    run: async ({ http }) => {
      const answer = await http.get('/v2');
      assertStatus(answer, 200);
      const { name, version, extensions } = answer.json() as Record<string, unknown>;
      assert(typeof name === 'string' && typeof version === 'string', 'name and version must be strings');
      assert(
        Array.isArray(extensions) && extensions.every((each) => typeof each === 'string'),
        'extensions must be strings',
      );
    },
  },
  {
    id: 'rest-server-metadata-slash',
    area: 'metadata',
    kind: 'spec',
    source: 'Open Inference Protocol, open_inference_rest.yaml: path /v2/',
    title: 'the path may end in a slash',
    run: async ({ http }) => assertStatus(await http.get('/v2/'), 200),
  },
  {
    id: 'rest-model-metadata',
    area: 'metadata',
    kind: 'spec',
    source: rest('Model Metadata Response JSON Object'),
    title: 'a model tells its inputs and outputs, -1 for what may vary',
    run: async ({ http }) => {
      const answer = await http.get('/v2/models/simple');
      assertStatus(answer, 200);
      const { name, platform, inputs, outputs } = answer.json() as Record<string, unknown>;
      assertEqual(name, 'simple', 'name');
      assert(typeof platform === 'string', 'platform must be a string');
      const tensors = (names: readonly string[]): unknown =>
        names.map((tensor) => ({ name: tensor, datatype: 'INT32', shape: [-1, 16] }));
      assertEqual(inputs, tensors(['INPUT0', 'INPUT1']), 'inputs');
      assertEqual(outputs, tensors(['OUTPUT0', 'OUTPUT1']), 'outputs');
    },
  },
  {
    id: 'rest-model-metadata-versions',
    area: 'metadata',
    kind: 'spec',
    source: rest('Model Metadata Response JSON Object: versions'),
    title: 'versions are strings',
    run: async ({ http }) => {
      const { versions } = (await http.get('/v2/models/simple')).json() as { versions?: unknown };
      assertEqual(versions, ['1'], 'versions');
    },
  },
  {
    id: 'rest-model-metadata-version',
    area: 'metadata',
    kind: 'spec',
    source: rest('Model Metadata, with a version'),
    title: 'a version has metadata of its own',
    run: async ({ http }) => assertStatus(await http.get('/v2/models/simple/versions/1'), 200),
  },
  {
    id: 'rest-model-metadata-unknown',
    area: 'metadata',
    kind: 'spec',
    source: rest('Model Metadata Response JSON Error Object'),
    title: 'a model that is not there is refused with the reason as {"error"}',
    run: async ({ http }) => assertRefused(await http.get('/v2/models/no-such-model'), 400, 404),
  },
  {
    id: 'rest-model-metadata-unknown-404',
    area: 'metadata',
    kind: 'ours',
    source: `${SOURCES.slipway}: 404 for what is not there`,
    title: 'the status of a model that is not there is 404',
    run: async ({ http }) => assertRefused(await http.get('/v2/models/no-such-model'), 404),
  },
  {
    id: 'rest-model-metadata-unknown-version',
    area: 'metadata',
    kind: 'spec',
    source: rest('Model Metadata Response JSON Error Object'),
    title: 'a version that is not there is refused',
    run: async ({ http }) => assertRefused(await http.get('/v2/models/simple/versions/99'), 400, 404),
  },
  {
    id: 'rest-metadata-scalar',
    area: 'metadata',
    kind: 'spec',
    source: rest('Tensor: shape'),
    title: 'a tensor without dimensions has the shape []',
    run: async ({ http }) => {
      const { inputs } = (await http.get('/v2/models/scalar')).json() as { inputs: Output[] };
      assertEqual(inputs[0]!.shape, [], 'shape');
    },
  },
  ...DATATYPES.map((datatype): ConformanceCase => ({
    id: `rest-metadata-${datatype.toLowerCase()}`,
    area: 'metadata',
    kind: 'spec',
    source: rest('Tensor Data Types'),
    title: `an input of ${datatype} is called ${datatype}`,
    run: async ({ http }) => {
      const { inputs } = (await http.get(`/v2/models/${identityOf(datatype)}`)).json() as { inputs: Output[] };
      assertEqual(inputs, [{ name: 'INPUT0', datatype, shape: [-1, -1] }], 'inputs');
    },
  })),
];

/** A request that must be refused with a reason. */
function refused(
  id: string,
  title: string,
  body: unknown,
  options: { kind?: ConformanceCase['kind']; section: string; names?: string; path?: string },
): ConformanceCase {
  return {
    id: `rest-refuses-${id}`,
    area: 'json',
    kind: options.kind ?? 'spec',
    source: rest(options.section),
    title,
    run: async ({ http }) => {
      const answer = await http.post(options.path ?? INFER, body);
      assertRefused(answer);
      const { error } = answer.json() as { error: string };
      if (options.names !== undefined)
        assert(error.includes(options.names), `the reason must name ${options.names}: ${error}`);
    },
  };
}

export const JSON_CASES: readonly ConformanceCase[] = [
  {
    id: 'rest-infer',
    area: 'json',
    kind: 'spec',
    source: rest('Inference Response JSON Object'),
    title: 'an inference answers with the model, and every output in the order of the model',
    run: async ({ http }) => {
      const answer = await http.post(INFER, simple());
      assertStatus(answer, 200);
      const { model_name, outputs } = answer.json() as Answer;
      assertEqual(model_name, 'simple', 'model_name');
      assertEqual(
        outputs.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, data })),
        [
          { name: 'OUTPUT0', datatype: 'INT32', shape: [1, 16], data: COUNT.map((i) => i + 1) },
          { name: 'OUTPUT1', datatype: 'INT32', shape: [1, 16], data: COUNT.map((i) => i - 1) },
        ],
        'outputs',
      );
    },
  },
  {
    id: 'rest-infer-content-type',
    area: 'json',
    kind: 'spec',
    source: rest('HTTP/REST: bodies are JSON'),
    title: 'an answer without binary tensors is application/json',
    run: async ({ http }) => {
      const { headers } = await http.post(INFER, simple());
      assert(/^application\/json\b/.test(headers['content-type'] ?? ''), `got ${headers['content-type']}`);
    },
  },
  {
    id: 'rest-infer-no-content-type',
    area: 'json',
    kind: 'Triton behaviour',
    source: 'Triton, client library: its HTTP client names no content type',
    title: 'a request without content type is read as JSON',
    run: async ({ http }) => assertStatus(await http.send('POST', INFER, { body: JSON.stringify(simple()) }), 200),
  },
  {
    id: 'rest-infer-form-content-type',
    area: 'json',
    kind: 'Triton behaviour',
    source: 'Triton, http_server.cc: the content type is not read',
    title: 'a request with the content type of a form is read as JSON, as curl sends it',
    run: async ({ http }) =>
      assertStatus(await http.post(INFER, simple(), { 'Content-Type': 'application/x-www-form-urlencoded' }), 200),
  },
  {
    id: 'rest-infer-version',
    area: 'json',
    kind: 'spec',
    source: rest('Inference, with a version'),
    title: 'a version can be named',
    run: async ({ http }) => {
      const answer = await http.post('/v2/models/simple/versions/1/infer', simple());
      assertStatus(answer, 200);
      assertEqual((answer.json() as Answer).model_version, '1', 'model_version');
    },
  },
  {
    id: 'rest-infer-id',
    area: 'json',
    kind: 'spec',
    source: rest('Inference Request JSON Object: id'),
    title: 'an id comes back',
    run: async ({ http }) =>
      assertEqual(
        ((await http.post(INFER, simple({ request: { id: 'a "quoted" id' } }))).json() as Answer).id,
        'a "quoted" id',
        'id',
      ),
  },
  {
    id: 'rest-infer-no-id',
    area: 'json',
    kind: 'spec',
    source: rest('Inference Response JSON Object: id'),
    title: 'without an id none comes back',
    run: async ({ http }) => {
      const { id } = (await http.post(INFER, simple())).json() as Answer;
      assert(id === undefined || id === '', `got ${JSON.stringify(id)}`);
    },
  },
  {
    id: 'rest-infer-nested',
    area: 'json',
    kind: 'spec',
    source: rest('Tensor Data: nested arrays'),
    title: 'data may be nested as the shape says',
    run: async ({ http }) => assertStatus(await http.post(INFER, simple({ input0: { data: [COUNT] } })), 200),
  },
  {
    id: 'rest-infer-rows',
    area: 'json',
    kind: 'spec',
    source: rest('Tensor Data: row-major order'),
    title: 'several rows come back in their order',
    run: async ({ http }) => {
      const rows = { shape: [2, 16] };
      const answer = await http.post(
        INFER,
        simple({ input0: { ...rows, data: [...COUNT, ...ONES] }, input1: { ...rows, data: [...ONES, ...ONES] } }),
      );
      assertStatus(answer, 200);
      const [sum] = (answer.json() as Answer).outputs;
      assertEqual(
        [sum!.shape, sum!.data],
        [
          [2, 16],
          [...COUNT.map((i) => i + 1), ...ONES.map(() => 2)],
        ],
        'OUTPUT0',
      );
    },
  },
  {
    id: 'rest-infer-some-outputs',
    area: 'json',
    kind: 'spec',
    source: rest('Inference Request JSON Object: outputs'),
    title: 'only the outputs that are asked for come back',
    run: async ({ http }) => {
      const answer = await http.post(INFER, simple({ request: { outputs: [{ name: 'OUTPUT1' }] } }));
      assertEqual(
        (answer.json() as Answer).outputs.map(({ name }) => name),
        ['OUTPUT1'],
        'outputs',
      );
    },
  },
  {
    id: 'rest-infer-output-order',
    area: 'json',
    kind: 'ours',
    source: `${SOURCES.slipway}: outputs in the order of the request`,
    title: 'outputs come in the order in which they are asked for',
    run: async ({ http }) => {
      const outputs = [{ name: 'OUTPUT1' }, { name: 'OUTPUT0' }];
      const answer = (await http.post(INFER, simple({ request: { outputs } }))).json() as Answer;
      assertEqual(
        answer.outputs.map(({ name }) => name),
        ['OUTPUT1', 'OUTPUT0'],
        'outputs',
      );
    },
  },
  {
    id: 'rest-infer-input-order',
    area: 'json',
    kind: 'spec',
    source: rest('Inference Request JSON Object: inputs are named'),
    title: 'inputs may come in any order',
    run: async ({ http }) => {
      const body = simple() as { inputs: unknown[] };
      const answer = await http.post(INFER, { inputs: [...body.inputs].reverse() });
      assertEqual(
        (answer.json() as Answer).outputs[1]!.data,
        COUNT.map((i) => i - 1),
        'OUTPUT1',
      );
    },
  },
  {
    id: 'rest-infer-parameters',
    area: 'json',
    kind: 'spec',
    source: rest('Parameters: unknown ones are the server’s to ignore'),
    title: 'parameters that mean nothing to the server do no harm',
    run: async ({ http }) => {
      const parameters = { text: 'a', number: 1, flag: true };
      assertStatus(await http.post(INFER, simple({ request: { parameters }, input0: { parameters } })), 200);
    },
  },
  {
    id: 'rest-infer-unknown-key',
    area: 'json',
    kind: 'Triton behaviour',
    source: 'Triton, http_server.cc: keys that it does not know are not read',
    title: 'a key that is not in the protocol does no harm',
    run: async ({ http }) =>
      assertStatus(await http.post(INFER, simple({ request: { model_name: 'simple', extra: [] } })), 200),
  },
  {
    id: 'rest-infer-scalar',
    area: 'json',
    kind: 'spec',
    source: rest('Tensor: shape'),
    title: 'a tensor without dimensions holds one element',
    run: async ({ http }) => {
      const inputs = [{ name: 'INPUT0', shape: [], datatype: 'FP32', data: [2] }];
      const answer = await http.post('/v2/models/scalar/infer', { inputs });
      assertStatus(answer, 200);
      const [output] = (answer.json() as Answer).outputs;
      assertEqual([output!.shape, output!.data], [[], [3]], 'OUTPUT0');
    },
  },
  {
    id: 'rest-infer-not-batchable',
    area: 'json',
    kind: 'spec',
    source: rest('Inference Request JSON Object'),
    title: 'a model whose first dimension is fixed is served as well',
    run: async ({ http }) => {
      const inputs = [{ name: 'INPUT0', shape: [1, 4], datatype: 'FP32', data: [0, 1, 2, 3] }];
      const answer = await http.post('/v2/models/fixed/infer', { inputs });
      assertEqual((answer.json() as Answer).outputs[0]!.data, [1, 2, 3, 4], 'OUTPUT0');
    },
  },
  {
    id: 'rest-infer-empty-tensor',
    area: 'json',
    kind: 'spec',
    source: rest('Tensor Data'),
    title: 'a tensor of no elements is a tensor',
    run: async ({ http }) => {
      const inputs = [{ name: 'INPUT0', shape: [1, 0], datatype: 'FP32', data: [] }];
      const answer = await http.post('/v2/models/identity_fp32/infer', { inputs });
      assertStatus(answer, 200);
      const [output] = (answer.json() as Answer).outputs;
      assertEqual([output!.shape, output!.data], [[1, 0], []], 'OUTPUT0');
    },
  },
  ...DATATYPES.map((datatype): ConformanceCase => ({
    id: `rest-infer-${datatype.toLowerCase()}`,
    area: 'json',
    kind: datatype === 'FP16' ? 'ours' : 'spec',
    source: datatype === 'FP16' ? `${SOURCES.slipway}: FP16 as JSON numbers` : rest('Tensor Data Types'),
    title: `elements of ${datatype} come back as they were sent, no digit lost`,
    run: async ({ http }) => {
      const { json } = SAMPLES[datatype];
      const inputs = [{ name: 'INPUT0', shape: [1, json.length], datatype, data: json }];
      const answer = await http.post(`/v2/models/${identityOf(datatype)}/infer`, stringifyExact({ inputs }));
      assertStatus(answer, 200);
      const [output] = (answer.json() as Answer).outputs;
      assertEqual([output!.datatype, output!.data], [datatype, json], 'OUTPUT0');
    },
  })),
  {
    id: 'rest-infer-nonfinite',
    area: 'json',
    kind: 'Triton behaviour',
    source: 'Triton, triton_json.h: NaN and infinities are read and written as tokens',
    title: 'NaN and the infinities go in and come out as tokens',
    run: async ({ http }) => {
      const body = '{"inputs":[{"name":"INPUT0","shape":[1,3],"datatype":"FP32","data":[NaN,Infinity,-Infinity]}]}';
      const answer = await http.post('/v2/models/identity_fp32/infer', body);
      assertStatus(answer, 200);
      assertEqual((answer.json() as Answer).outputs[0]!.data, [Number.NaN, Infinity, -Infinity], 'OUTPUT0');
    },
  },
  {
    id: 'rest-infer-text',
    area: 'json',
    kind: 'spec',
    source: rest('Tensor Data: BYTES as strings'),
    title: 'text comes back as it was, escapes and characters beyond the first plane included',
    run: async ({ http }) => {
      const data = ['', 'a"b\\c', 'line\nbreak', 'żółw', '🐢'];
      const inputs = [{ name: 'INPUT0', shape: [1, data.length], datatype: 'BYTES', data }];
      const answer = await http.post('/v2/models/identity_bytes/infer', { inputs });
      assertEqual((answer.json() as Answer).outputs[0]!.data, data, 'OUTPUT0');
    },
  },
  refused('text-that-is-no-json', 'a body that is not JSON is refused', '{"inputs": [', {
    section: 'Inference Response JSON Error Object',
  }),
  refused('an-empty-body', 'an empty body is refused', '', { section: 'Inference Response JSON Error Object' }),
  refused('a-list', 'a body that is no object is refused', '[]', { section: 'Inference Request JSON Object' }),
  refused('no-inputs', 'a request without inputs is refused', {}, { section: 'Inference Request JSON Object: inputs' }),
  refused(
    'an-unknown-input',
    'an input that the model does not have is refused by name',
    simple({ input0: { name: 'INPUT9' } }),
    {
      section: 'Tensor: name',
      names: 'INPUT9',
    },
  ),
  refused(
    'a-missing-input',
    'a missing input is refused by name',
    { inputs: [(simple() as { inputs: unknown[] }).inputs[0]] },
    {
      section: 'Inference Request JSON Object: inputs',
      names: 'INPUT1',
    },
  ),
  refused('an-input-twice', 'an input that is given twice is refused', simple({ input1: { name: 'INPUT0' } }), {
    section: 'Tensor: name',
  }),
  refused(
    'another-datatype',
    'a datatype that is not the model’s is refused',
    simple({ input0: { datatype: 'FP32' } }),
    {
      section: 'Tensor: datatype',
      names: 'INPUT0',
    },
  ),
  refused('an-unknown-datatype', 'a datatype that there is not is refused', simple({ input0: { datatype: 'INT33' } }), {
    section: 'Tensor Data Types',
  }),
  refused(
    'another-width',
    'a shape that does not fit is refused',
    simple({ input0: { shape: [1, 15], data: COUNT.slice(1) } }),
    {
      section: 'Tensor: shape',
      names: 'INPUT0',
    },
  ),
  refused('another-rank', 'a shape of another rank is refused', simple({ input0: { shape: [16] } }), {
    section: 'Tensor: shape',
  }),
  refused('a-negative-size', 'a negative size is refused', simple({ input0: { shape: [-1, 16] } }), {
    section: 'Tensor: shape',
  }),
  refused(
    'a-size-that-is-no-number',
    'a size that is no whole number is refused',
    simple({ input0: { shape: [1.5, 16] } }),
    {
      section: 'Tensor: shape',
    },
  ),
  refused('too-few-elements', 'too few elements are refused', simple({ input0: { data: COUNT.slice(1) } }), {
    section: 'Tensor Data',
  }),
  refused('too-many-elements', 'too many elements are refused', simple({ input0: { data: [...COUNT, 1] } }), {
    section: 'Tensor Data',
  }),
  refused(
    'a-string-for-a-number',
    'text in place of a number is refused',
    simple({ input0: { data: COUNT.map(String) } }),
    {
      section: 'Tensor Data',
      kind: 'ours',
    },
  ),
  refused(
    'a-fraction-for-an-integer',
    'a fraction in place of a whole number is refused',
    simple({ input0: { data: COUNT.map((i) => i + 0.5) } }),
    {
      section: 'Tensor Data',
      kind: 'ours',
    },
  ),
  refused(
    'an-integer-out-of-range',
    'a number that its datatype cannot hold is refused',
    simple({ input0: { data: COUNT.map(() => 2 ** 31) } }),
    {
      section: 'Tensor Data Types',
      kind: 'ours',
    },
  ),
  refused(
    'an-unknown-output',
    'an output that the model does not have is refused by name',
    simple({ request: { outputs: [{ name: 'OUTPUT9' }] } }),
    {
      section: 'Inference Request JSON Object: outputs',
      names: 'OUTPUT9',
    },
  ),
  refused(
    'rows-that-disagree',
    'inputs with different numbers of rows are refused',
    simple({ input0: { shape: [2, 16], data: [...COUNT, ...COUNT] } }),
    {
      section: 'Tensor: shape',
    },
  ),
  refused('no-data', 'an input without data is refused', simple({ input0: { data: undefined } }), {
    section: 'Tensor Data',
  }),
  {
    id: 'rest-refuses-an-unknown-model',
    area: 'json',
    kind: 'spec',
    source: rest('Inference Response JSON Error Object'),
    title: 'inference on a model that is not there is refused with the reason',
    run: async ({ http }) => assertRefused(await http.post('/v2/models/no-such-model/infer', simple()), 400, 404),
  },
  {
    id: 'rest-refuses-bf16',
    area: 'json',
    kind: 'ours',
    source: `${SOURCES.slipway}: BF16 cannot be carried`,
    title: 'BF16 is refused, and the reason names it',
    run: async ({ http }) => {
      const answer = await http.post(INFER, simple({ input0: { datatype: 'BF16' } }));
      assertRefused(answer);
      assert((answer.json() as { error: string }).error.includes('BF16'), 'the reason must name BF16');
    },
  },
  {
    id: 'rest-method',
    area: 'json',
    kind: 'ours',
    source: `${SOURCES.slipway}: 405 names what a path takes`,
    title: 'another method is answered 405 with Allow',
    run: async ({ http }) => {
      const answer = await http.get(INFER);
      assertStatus(answer, 405);
      assert((answer.headers['allow'] ?? '').includes('POST'), `Allow must name POST, got ${answer.headers['allow']}`);
    },
  },
  {
    id: 'rest-path',
    area: 'json',
    kind: 'ours',
    source: `${SOURCES.slipway}: 404 for what is not there`,
    title: 'a path that there is not is answered 404 with a reason',
    run: async ({ http }) => assertRefused(await http.get('/v2/nothing/here'), 404),
  },
];
