import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Datatype } from '../../runtime/spec/datatypes';
import { startBundledServer, type BundledServer } from '../server/harness/bundled-server';
import { addOneModel, identityModel, slowModel, twoInputsModel } from '../support/onnx-models';
import { canImport, pythonWith } from '../support/python';

const DATATYPES = 'BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64'.split(' ') as Datatype[];
const ODD_NAME = 'Odd.name-1_x';
const MODELS = [
  { name: 'two', bytes: twoInputsModel() },
  { name: 'addone', bytes: addOneModel({ shape: ['batch', 3] }) },
  { name: 'words', bytes: identityModel({ datatype: 'BYTES', shape: ['batch', 3] }) },
  { name: 'large', bytes: identityModel({ shape: ['batch', 'n'] }) },
  { name: 'slow', bytes: slowModel() },
  { name: ODD_NAME, bytes: identityModel() },
  ...DATATYPES.map((datatype) => ({
    name: `identity_${datatype}`,
    bytes: identityModel({ datatype, shape: ['batch', 3] }),
  })),
];
/** Long enough for what a client does while the server leaves. */
const LAG = { SLIPWAY_DEREGISTRATION_LAG_SECONDS: '5' };

const SUM = [
  [1, 2, 3],
  [4, 5, 6],
];
const LARGER = [
  [false, false, true],
  [true, true, true],
];
const TWO = {
  name: 'two',
  versions: ['1'],
  inputs: [
    { name: 'left', datatype: 'FP32', shape: [-1, 3] },
    { name: 'right', datatype: 'FP32', shape: [-1, 3] },
  ],
  outputs: [
    { name: 'sum', datatype: 'FP32', shape: [-1, 3] },
    { name: 'larger', datatype: 'BOOL', shape: [-1, 3] },
  ],
};

async function start(environment: Readonly<Record<string, string>> = {}): Promise<BundledServer> {
  const server = await startBundledServer(MODELS, environment);
  onTestFinished(async () => void (await server.stop()));
  return server;
}

/** What a client printed. */
async function talk(python: string, script: string, ...words: readonly string[]): Promise<any> {
  const { stdout } = await promisify(execFile)(python, [`test/clients/${script}`, ...words], { timeout: 100_000 });
  return JSON.parse(stdout);
}

describe('tritonclient', () => {
  test('speaks HTTP: binary, JSON, compressed, many at once, and while the server leaves', async (context) => {
    const python = pythonWith('tritonclient.http', 'tritonclient.http.aio');
    if (python === undefined) return context.skip('no python3 on the PATH can import tritonclient.http');
    const server = await start(LAG);
    const seen = await talk(python, 'tritonclient_http.py', new URL(server.url).host, String(server.pid));
    expect(seen).toMatchObject({
      live: true,
      ready: true,
      model_ready: [true, true],
      unknown_ready: [false, false],
      server: { name: 'slipway' },
      metadata: TWO,
      metadata_of_version: true,
      config: { name: 'two', max_batch_size: 32, input: [{ name: 'left', data_type: 'TYPE_FP32', dims: [3] }, {}] },
      odd_name: ODD_NAME,
      mixed: SUM,
      all_outputs: ['sum', 'larger'],
      larger: LARGER,
      parameters: SUM,
      'long gzip': true,
      'long deflate': true,
      '12 MB': true,
      'nonfinite True': true,
      'nonfinite False': true,
      'no rows': [0, 5],
      words: { True: ['a', 'é€😀', ''], False: ['a', 'é€😀', ''] },
      classes: [
        ['3.000000:2', '2.000000:1'],
        ['6.000000:2', '5.000000:1'],
      ],
      async: true,
      async_sums: true,
      statistics: { name: 'two', version: '1', inference_count: true, success: true, batches: true },
      aio: [true, 'two', true, true],
      draining: { ready: false, live: true, sum: SUM },
    });
    expect(seen.index.map(({ state }: { state: string }) => state)).toEqual(MODELS.map(() => 'READY'));
    for (const [form, sum] of Object.entries<any>(seen.sums)) {
      const isWhole = Array.isArray(sum[0][0]);
      expect(isWhole ? sum[0] : sum, form).toEqual(SUM);
      if (isWhole) expect(sum.slice(1), form).toEqual([!form.endsWith('json out') && form !== 'json', '7', ['sum']]);
    }
    for (const [datatype, results] of Object.entries<boolean[]>(seen.datatypes)) {
      expect(results, datatype).not.toContain(false);
    }
    expect(Object.keys(seen.datatypes)).toHaveLength(DATATYPES.length);
    const statuses = Object.fromEntries(Object.entries<any>(seen.errors).map(([of, [status]]) => [of, status]));
    expect(statuses).toEqual({
      'unknown model': '404',
      'unknown version': '404',
      'no such output': '400',
      'missing input': '400',
      'wrong datatype': '400',
      'wrong shape': '400',
      'too few bytes': '400',
      load: '404',
      unload: '404',
      timeout: '504',
    });
    expect(server.errors).toEqual([]);
  });

  test('speaks gRPC: every datatype, streams, 48 MB, health, and while the server leaves', async (context) => {
    const python = pythonWith('tritonclient.grpc', 'tritonclient.grpc.aio', 'grpc');
    if (python === undefined) return context.skip('no python3 on the PATH can import tritonclient.grpc');
    const server = await start(LAG);
    const seen = await talk(python, 'tritonclient_grpc.py', new URL(server.grpcUrl).host, String(server.pid));
    expect(seen).toMatchObject({
      server: { name: 'slipway' },
      ready: [true, true, true],
      not_ready: [false, false],
      odd_name: ODD_NAME,
      config: [
        'two',
        'onnxruntime_onnx',
        [
          ['left', 11, [3]],
          ['right', 11, [3]],
        ],
      ],
      health: ['0801', '0801'],
      health_unknown: 'NOT_FOUND',
      watched: ['0801', '0802'],
      words: ['a', 'é€😀', ''],
      'no rows': [0, 5],
      sums: { None: SUM, gzip: SUM, deflate: SUM },
      only: ['larger'],
      '48 MB': true,
      parameters: SUM,
      async: true,
      streamed: true,
      streamed_sums: true,
      statistics: true,
      index: [ODD_NAME, 'addone'],
      aio: [true, true, true],
      draining: { ready: false, live: true, health: '0802', sum: SUM },
    });
    expect(Object.entries(seen.datatypes)).toEqual(DATATYPES.map((datatype) => [datatype, true]));
    const statuses = Object.fromEntries(Object.entries<any>(seen.errors).map(([of, [status]]) => [of, status]));
    expect(statuses).toEqual({
      'unknown model': 'StatusCode.NOT_FOUND',
      'unknown version': 'StatusCode.NOT_FOUND',
      'no such output': 'StatusCode.INVALID_ARGUMENT',
      'missing input': 'StatusCode.INVALID_ARGUMENT',
      'wrong datatype': 'StatusCode.INVALID_ARGUMENT',
      'wrong shape': 'StatusCode.INVALID_ARGUMENT',
      load: 'StatusCode.UNIMPLEMENTED',
      'shared memory': 'StatusCode.UNIMPLEMENTED',
    });
    expect(server.errors).toEqual([]);
  });
});

test("KServe's clients speak both versions of their protocol, over REST and gRPC", async (context) => {
  // Its protocol buffers and tritonclient's cannot be in one process, nor their requirements in one environment.
  const python = process.env['KSERVE_PYTHON'];
  if (python === undefined) return context.skip('KSERVE_PYTHON names no python3 that can import kserve');
  if (!canImport(python, ['kserve'])) return context.skip(`${python} cannot import kserve`);
  const server = await start();
  const seen = await talk(python, 'kserve_client.py', server.url, new URL(server.grpcUrl).host);
  expect(seen.v1).toMatchObject({
    live: true,
    model_ready: true,
    answer: {
      predictions: [
        { sum: SUM[0], larger: LARGER[0] },
        { sum: SUM[1], larger: LARGER[1] },
      ],
    },
    one_input: { predictions: SUM },
    unknown: [404, expect.stringContaining("no model 'nobody' here")],
    malformed: [400, expect.any(String)],
    explain: 501,
  });
  const answer = { sum: SUM, larger: LARGER, model: 'two', has_id: true, encoding: null };
  expect(seen.v2).toMatchObject({
    live: true,
    ready: true,
    model_ready: [true, false],
    'binary True': { ...answer, type: 'application/octet-stream' },
    'binary False': { ...answer, type: 'application/json' },
    'one of each': [SUM, LARGER],
    'empty True': [[0, 5], 'FP32'],
    'empty False': [[0, 5], 'FP32'],
    'words True': ['a', 'é€😀', ''],
    'words False': ['a', 'é€😀', ''],
    half: [[1.5, -0.25, 65504]],
    'long True': [true, null],
    many: true,
    unknown: [404, expect.any(String)],
    missing: [400, expect.any(String)],
  });
  expect(seen.v2['long False'][0]).toBe(true);
  expect(seen.grpc).toMatchObject({
    live: true,
    ready: true,
    model_ready: true,
    raw: [SUM, LARGER],
    typed: [SUM, LARGER],
    words: ['a', 'é€😀', ''],
    empty: [0, 5],
    unknown: ['NOT_FOUND', expect.any(String)],
  });
  expect(server.errors).toEqual([]);
});
