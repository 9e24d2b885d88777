import { assert, assertEqual, assertRefused, assertStatus, SOURCES, type ConformanceCase } from '../conformance-case';

const NUMBERS = [3, 1, 2];

export const EXTENSION_CASES: readonly ConformanceCase[] = [
  {
    id: 'index',
    area: 'extensions',
    kind: 'Triton behaviour',
    source: `${SOURCES.repository}: Index`,
    title: 'the repository index names each model, its version and its state',
    run: async ({ http }) => {
      const answer = await http.post('/v2/repository/index', {});
      assertStatus(answer, 200);
      const models = answer.json() as { name: string; version?: string; state?: string }[];
      const simple = models.find(({ name }) => name === 'simple');
      assertEqual([simple?.version, simple?.state], ['1', 'READY'], 'simple');
    },
  },
  {
    id: 'index-empty-body',
    area: 'extensions',
    kind: 'Triton behaviour',
    source: 'Triton, client library: get_model_repository_index sends an empty body',
    title: 'the index can be asked for with an empty body',
    run: async ({ http }) => assertStatus(await http.post('/v2/repository/index', ''), 200),
  },
  {
    id: 'config',
    area: 'extensions',
    kind: 'Triton behaviour',
    source: `${SOURCES.configuration}: Model Configuration`,
    title: 'a model’s configuration names its tensors without the batch dimension',
    run: async ({ http }) => {
      const answer = await http.get('/v2/models/simple/config');
      assertStatus(answer, 200);
      const config = answer.json() as {
        name: string;
        max_batch_size: number;
        input: { name: string; data_type: string; dims: unknown[] }[];
      };
      assertEqual(config.name, 'simple', 'name');
      assert(config.max_batch_size > 0, 'simple can be batched');
      const inputs = config.input.map(({ name, data_type, dims }) => [name, data_type, dims.map(Number)]);
      assertEqual(
        inputs,
        [
          ['INPUT0', 'TYPE_INT32', [16]],
          ['INPUT1', 'TYPE_INT32', [16]],
        ],
        'input',
      );
    },
  },
  {
    id: 'config-not-batchable',
    area: 'extensions',
    kind: 'Triton behaviour',
    source: `${SOURCES.configuration}: max_batch_size 0`,
    title: 'a model that cannot be batched has max_batch_size 0 and all its dimensions',
    run: async ({ http }) => {
      const config = (await http.get('/v2/models/fixed/config')).json() as {
        max_batch_size: number;
        input: { dims: unknown[] }[];
      };
      assertEqual([config.max_batch_size, config.input[0]!.dims.map(Number)], [0, [1, 4]], 'max_batch_size and dims');
    },
  },
  {
    id: 'statistics',
    area: 'extensions',
    kind: 'Triton behaviour',
    source: `${SOURCES.statistics}: Statistics`,
    title: 'statistics count what was inferred',
    run: async ({ http }) => {
      const count = async (): Promise<number> => {
        const answer = await http.get('/v2/models/fixed/stats');
        assertStatus(answer, 200);
        const { model_stats } = answer.json() as {
          model_stats: { name: string; inference_stats: { success: { count: number } } }[];
        };
        return Number(model_stats.find(({ name }) => name === 'fixed')!.inference_stats.success.count);
      };
      const before = await count();
      const inputs = [{ name: 'INPUT0', shape: [1, 4], datatype: 'FP32', data: [0, 0, 0, 0] }];
      assertStatus(await http.post('/v2/models/fixed/infer', { inputs }), 200);
      assert((await count()) > before, 'a request that succeeded must be counted');
    },
  },
  {
    id: 'classification',
    area: 'extensions',
    kind: 'Triton behaviour',
    source: `${SOURCES.classification}: classification`,
    title: 'the greatest values of an output come with their index, as text',
    run: async ({ http }) => {
      const inputs = [{ name: 'INPUT0', shape: [1, 3], datatype: 'FP32', data: NUMBERS }];
      const outputs = [{ name: 'OUTPUT0', parameters: { classification: 2 } }];
      const answer = await http.post('/v2/models/identity_fp32/infer', { inputs, outputs });
      assertStatus(answer, 200);
      const [output] = (answer.json() as { outputs: { datatype: string; shape: number[]; data: string[] }[] }).outputs;
      assertEqual([output!.datatype, output!.shape], ['BYTES', [1, 2]], 'datatype and shape');
      assertEqual(output!.data, ['3.000000:0', '2.000000:2'], 'values and indices');
    },
  },
  {
    id: 'load-is-not-open',
    area: 'extensions',
    kind: 'ours',
    source: `${SOURCES.slipway}: loading is for the admin port`,
    title: 'models cannot be unloaded on the port that serves',
    run: async ({ http }) => {
      const { status } = await http.post('/v2/repository/models/simple/unload', {});
      assert(status >= 400 && status < 500, `expected a 4xx, got ${status}`);
      assertStatus(await http.get('/v2/models/simple/ready'), 200);
    },
  },
  {
    id: 'gzip-request',
    area: 'extensions',
    kind: 'Triton behaviour',
    source: 'Triton, http_server.cc: Content-Encoding gzip and deflate',
    title: 'a compressed request is read',
    run: async ({ http }) => {
      const { gzipSync, deflateSync } = await import('node:zlib');
      const body = JSON.stringify({ inputs: [{ name: 'INPUT0', shape: [1, 3], datatype: 'FP32', data: NUMBERS }] });
      for (const [encoding, bytes] of [
        ['gzip', gzipSync(body)],
        ['deflate', deflateSync(body)],
      ] as const) {
        const answer = await http.post('/v2/models/identity_fp32/infer', bytes, { 'Content-Encoding': encoding });
        assertStatus(answer, 200);
      }
    },
  },
  {
    id: 'openapi',
    area: 'extensions',
    kind: 'ours',
    source: `${SOURCES.slipway}: OpenAPI for each model`,
    title: 'each model has an OpenAPI 3.1 description',
    run: async ({ http }) => {
      const answer = await http.get('/v2/models/simple/openapi.json');
      assertStatus(answer, 200);
      assert(String((answer.json() as { openapi?: unknown }).openapi).startsWith('3.1'), 'openapi must be 3.1');
    },
  },
];

interface SignatureAnswer {
  readonly metadata: {
    readonly signature_def: {
      readonly signature_def: {
        readonly serving_default: {
          readonly inputs: Readonly<
            Record<
              string,
              { readonly dtype: string; readonly tensor_shape: { readonly dim: readonly { readonly size: string }[] } }
            >
          >;
        };
      };
    };
  };
}

const PREDICT = '/v1/models/identity_fp32:predict';

export const TENSORFLOW_SERVING_CASES: readonly ConformanceCase[] = [
  ...(
    [
      [
        'row',
        'rows come back as predictions',
        {
          instances: [
            [1, 2],
            [3, 4],
          ],
        },
        {
          predictions: [
            [1, 2],
            [3, 4],
          ],
        },
      ],
      [
        'column',
        'columns come back as outputs',
        {
          inputs: [
            [1, 2],
            [3, 4],
          ],
        },
        {
          outputs: [
            [1, 2],
            [3, 4],
          ],
        },
      ],
      ['row-named', 'a row may name the only input', { instances: [{ INPUT0: [1, 2] }] }, { predictions: [[1, 2]] }],
    ] as const
  ).map(([id, title, request, expected]): ConformanceCase => ({
    id: `tfs-${id}`,
    area: 'tensorflow-serving',
    kind: 'spec',
    source: `${SOURCES.tfs}: Predict API`,
    title,
    run: async ({ http }) => {
      const answer = await http.post(PREDICT, request);
      assertStatus(answer, 200);
      assertEqual(answer.json(), expected, 'answer');
    },
  })),
  {
    id: 'tfs-several-outputs',
    area: 'tensorflow-serving',
    kind: 'spec',
    source: `${SOURCES.tfs}: Predict API, several named outputs`,
    title: 'several outputs are an object for each row',
    run: async ({ http }) => {
      const zeros = Array.from({ length: 16 }, () => 0);
      const answer = await http.post('/v1/models/simple:predict', { instances: [{ INPUT0: zeros, INPUT1: zeros }] });
      assertStatus(answer, 200);
      assertEqual(answer.json(), { predictions: [{ OUTPUT0: zeros, OUTPUT1: zeros }] }, 'answer');
    },
  },
  {
    id: 'tfs-b64',
    area: 'tensorflow-serving',
    kind: 'spec',
    source: `${SOURCES.tfs}: Encoding binary values`,
    title: 'text may come as base64',
    run: async ({ http }) => {
      const answer = await http.post('/v1/models/identity_bytes:predict', { instances: [[{ b64: 'YWI=' }, 'c']] });
      assertStatus(answer, 200);
      assertEqual(answer.json(), { predictions: [['ab', 'c']] }, 'answer');
    },
  },
  {
    id: 'tfs-status',
    area: 'tensorflow-serving',
    kind: 'spec',
    source: `${SOURCES.tfs}: Model status API`,
    title: 'a model tells the state of its versions',
    run: async ({ http }) => {
      const { model_version_status } = (await http.get('/v1/models/simple')).json() as {
        model_version_status: unknown;
      };
      const expected = [{ version: '1', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } }];
      assertEqual(model_version_status, expected, 'model_version_status');
    },
  },
  {
    id: 'tfs-metadata',
    area: 'tensorflow-serving',
    kind: 'spec',
    source: `${SOURCES.tfs}: Model Metadata API`,
    title: 'a model tells its signature',
    run: async ({ http }) => {
      const { metadata } = (await http.get('/v1/models/simple/metadata')).json() as SignatureAnswer;
      const input = metadata.signature_def.signature_def.serving_default.inputs['INPUT0']!;
      const sizes = input.tensor_shape.dim.map(({ size }) => size);
      assertEqual([input.dtype, sizes], ['DT_INT32', ['-1', '16']], 'INPUT0');
    },
  },
  {
    id: 'tfs-version',
    area: 'tensorflow-serving',
    kind: 'spec',
    source: `${SOURCES.tfs}: Predict API, with a version`,
    title: 'a version can be named',
    run: async ({ http }) =>
      assertStatus(await http.post('/v1/models/identity_fp32/versions/1:predict', { instances: [[1]] }), 200),
  },
  ...(
    [
      ['unknown', 'a model that is not there is 404', '/v1/models/no-such-model:predict', { instances: [[1]] }, 404],
      ['both', 'instances and inputs together are refused', PREDICT, { instances: [[1]], inputs: [[1]] }, 400],
      ['neither', 'neither instances nor inputs is refused', PREDICT, {}, 400],
      ['empty', 'no instances at all is refused', PREDICT, { instances: [] }, 400],
      ['ragged', 'rows of different lengths are refused', PREDICT, { instances: [[1], [1, 2]] }, 400],
      [
        'signature',
        'a signature that there is not is refused',
        PREDICT,
        { signature_name: 'other', instances: [[1]] },
        400,
      ],
    ] as const
  ).map(([id, title, path, request, status]): ConformanceCase => ({
    id: `tfs-refuses-${id}`,
    area: 'tensorflow-serving',
    kind: 'spec',
    source: `${SOURCES.tfs}: errors`,
    title,
    run: async ({ http }) => assertRefused(await http.post(path, request), status),
  })),
];

export const KSERVE_CASES: readonly ConformanceCase[] = [
  {
    id: 'kserve-list',
    area: 'kserve-v1',
    kind: 'spec',
    source: `${SOURCES.kserve}: list models`,
    title: 'models are listed by name',
    run: async ({ http }) => {
      const { models } = (await http.get('/v1/models')).json() as { models: string[] };
      assert(models.includes('simple'), `got ${models.join(', ')}`);
    },
  },
  {
    id: 'kserve-ready',
    area: 'kserve-v1',
    kind: 'spec',
    source: `${SOURCES.kserve}: model readiness`,
    title: 'a ready model says "ready": true',
    run: async ({ http }) => {
      const { ready } = (await http.get('/v1/models/simple')).json() as { ready?: unknown };
      assert(ready === true || ready === 'True', `got ${JSON.stringify(ready)}`);
    },
  },
];
