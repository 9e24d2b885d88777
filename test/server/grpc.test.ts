import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import type { Datatype } from '../../runtime/spec/datatypes';
import { addOneModel, identityModel, slowModel, twoInputsModel } from '../support/onnx-models';
import { findTool } from '../support/tools';
import { call, connect, connectInference, floatsOf, infer, rawFloats, type Client } from './grpc/grpc-client';
import { Authority, type Certificate } from './harness/certificates';
import { plainRepository } from './harness/model-repository';
import { request, startServer, type RunningServer } from './harness/running-server';
import { until, untilQueued, untilStarted } from './harness/until';
import type { ServerSettings } from '../../runtime/spec/environment';

const STATUS = grpc.status;
const INFERENCE = 'inference.GRPCInferenceService';

async function start(
  models: Readonly<Record<string, Uint8Array>>,
  settings: Partial<ServerSettings> = {},
): Promise<{ readonly server: RunningServer; readonly client: Client }> {
  const server = await startServer({ modelRepository: plainRepository(models), ...settings });
  return { server, client: connectInference(server.grpcPort) };
}

/** The error that a call ends with. */
async function refusal(answer: Promise<unknown>): Promise<grpc.ServiceError> {
  return answer.then(
    () => Promise.reject(new Error('was answered')),
    (error: grpc.ServiceError) => error,
  );
}

/** Everything that a stream answers, once it has ended well. */
function answersOf(stream: grpc.ClientReadableStream<any>): Promise<any[]> {
  return new Promise((resolve, reject) => {
    const answers: any[] = [];
    stream.on('data', (answer) => answers.push(answer));
    stream.on('error', reject);
    stream.on('end', () => resolve(answers));
  });
}

function slow(iterations: number): object {
  return {
    model_name: 'slow',
    inputs: [{ name: 'iterations', datatype: 'INT64', shape: [1, 1], contents: { int64_contents: [iterations] } }],
  };
}

/** The value of one row of slipway_requests_total. */
async function counted(server: RunningServer, outcome: string): Promise<number> {
  const { text } = await request(`${server.metricsUrl}/metrics`);
  const row = new RegExp(`^slipway_requests_total\\{.*protocol="oip-grpc",outcome="${outcome}"\\} (\\d+)$`, 'm');
  return Number(row.exec(text)?.[1] ?? 0);
}

describe('inference', () => {
  const samples: readonly [Datatype, string | undefined, unknown[], string][] = [
    ['BOOL', 'bool_contents', [true, false], '0100'],
    ['INT8', 'int_contents', [-1, 127], 'ff7f'],
    ['INT16', 'int_contents', [-1, 256], 'ffff0001'],
    ['INT32', 'int_contents', [-2, 65_536], 'feffffff00000100'],
    ['INT64', 'int64_contents', ['-3', '9007199254740993'], 'fdffffffffffffff0100000000002000'],
    ['UINT8', 'uint_contents', [0, 255], '00ff'],
    ['UINT16', 'uint_contents', [1, 65_535], '0100ffff'],
    ['UINT32', 'uint_contents', [1, 4_294_967_295], '01000000ffffffff'],
    ['UINT64', 'uint64_contents', ['1', '18446744073709551615'], '0100000000000000ffffffffffffffff'],
    ['FP16', undefined, [], '003c00c0'],
    ['FP32', 'fp32_contents', [0.5, -1], '0000003f000080bf'],
    ['FP64', 'fp64_contents', [0.1, -1], '9a9999999999b93f000000000000f0bf'],
    ['BYTES', 'bytes_contents', [Buffer.from('a'), Buffer.from('é')], '010000006102000000c3a9'],
  ];

  test('carries every datatype, raw and typed, and answers as it was asked', async () => {
    const models = samples.map(([datatype]) => [datatype, identityModel({ datatype, shape: ['n'] })] as const);
    const { client } = await start(Object.fromEntries(models));
    for (const [datatype, field, elements, hex] of samples) {
      const input = { name: 'input', datatype, shape: [2] };
      const raw = await infer(client, {
        model_name: datatype,
        inputs: [input],
        raw_input_contents: [Buffer.from(hex, 'hex')],
      });
      expect(raw.raw_output_contents.map((bytes: Buffer) => bytes.toString('hex'))).toEqual([hex]);
      expect(raw.outputs).toMatchObject([{ name: 'output', datatype, shape: ['2'], contents: null }]);
      if (field === undefined) continue;
      const contents = { [field]: elements };
      const typed = await infer(client, { model_name: datatype, inputs: [{ ...input, contents }] });
      expect(typed.raw_output_contents).toEqual([]);
      expect(typed.outputs[0].contents[field]).toEqual(elements);
    }
  });

  test('takes inputs in any order, and sends the outputs that are asked for in the order asked for', async () => {
    const { client } = await start({ two: twoInputsModel() });
    const tensor = (name: string, data: number[]): object => ({
      name,
      datatype: 'FP32',
      shape: [1, 3],
      contents: { fp32_contents: data },
    });
    const answer = await infer(client, {
      model_name: 'two',
      inputs: [tensor('right', [1, 1, 1]), tensor('left', [0, 1, 2])],
      outputs: [{ name: 'larger' }, { name: 'sum' }],
    });
    expect(answer.outputs).toMatchObject([
      { name: 'larger', contents: { bool_contents: [false, false, true] } },
      { name: 'sum', contents: { fp32_contents: [1, 2, 3] } },
    ]);
  });

  test('gives classes instead of numbers when asked for them', async () => {
    const { client } = await start({ plus: addOneModel() });
    const answer = await infer(client, {
      ...rawFloats('plus', [1, 4], [1, 4, 3, 2]),
      outputs: [{ name: 'output', parameters: { classification: { int64_param: 2 } } }],
    });
    expect(answer.outputs).toMatchObject([{ datatype: 'BYTES', shape: ['1', '2'] }]);
    expect(answer.raw_output_contents[0].toString()).toBe('\u0003\0\0\x005:1\u0003\0\0\x004:2');
  });

  test('takes messages of 12 MB and answers with as many', async () => {
    const { client } = await start({ same: identityModel({ shape: ['batch', 'n'] }) });
    const numbers = Float32Array.from({ length: 3_000_000 }, (_, i) => i);
    const answer = await infer(client, rawFloats('same', [1, numbers.length], numbers));
    const bytes = Buffer.from(numbers.buffer);
    expect(answer.raw_output_contents[0].equals(bytes)).toBe(true);
  });

  test('takes messages that are compressed with gzip', async () => {
    const { server } = await start({ same: identityModel({ shape: ['batch', 'n'] }) });
    const client = connectInference(server.grpcPort, { 'grpc.default_compression_algorithm': 2 });
    const numbers = new Float32Array(100_000).fill(1);
    const answer = await infer(client, rawFloats('same', [1, numbers.length], numbers));
    expect(answer.raw_output_contents[0].byteLength).toBe(400_000);
  });

  test('names the version that answered, and finds one by its number', async () => {
    const { client } = await start({ plus: addOneModel() });
    const asked = rawFloats('plus', [1, 4], [1, 2, 3, 4]);
    expect(await infer(client, { ...asked, model_version: '1' })).toMatchObject({ model_version: '1' });
    const error = await refusal(infer(client, { ...asked, model_version: '2' }));
    expect(error.code).toBe(STATUS.NOT_FOUND);
  });

  test('refuses with the status and the reason, whatever letters it has', async () => {
    const { client, server } = await start({ plus: addOneModel() });
    const unknown = await refusal(infer(client, rawFloats('größe 100%\n', [1, 4], [1, 2, 3, 4])));
    expect(unknown).toMatchObject({ code: STATUS.NOT_FOUND, details: "no model 'größe 100%\n' here" });
    const wrong = await refusal(infer(client, rawFloats('plus', [1, 5], [1, 2, 3, 4, 5])));
    expect(wrong).toMatchObject({
      code: STATUS.INVALID_ARGUMENT,
      details: "unexpected shape for input 'input' for model 'plus'. Expected [-1,4], got [1,5]",
    });
    expect(await counted(server, 'client_error')).toBe(1);
  });

  test('refuses a message above the limit as exhausting the resource', async () => {
    const { client } = await start({ same: identityModel({ shape: ['batch', 'n'] }) }, { maxBodyMiB: 0.5 });
    const error = await refusal(infer(client, rawFloats('same', [1, 200_000], new Float32Array(200_000))));
    expect(error.code).toBe(STATUS.RESOURCE_EXHAUSTED);
    expect(error.details).toMatch(/^a message must be at most 524288 bytes, got 8000\d\d$/);
  });

  test('drops what waits in the queue when its client cancels, and counts it as cancelled', async () => {
    const { client, server } = await start({ slow: slowModel() }, { maxBatchSize: 1 });
    const running = infer(client, slow(8_000));
    await untilStarted(server.metricsUrl, 1);
    const waiting = client['ModelInfer'](slow(0), () => {});
    await untilQueued(server.metricsUrl, 1);
    waiting.cancel();
    await untilQueued(server.metricsUrl, 0);
    await until('the call is counted', async () => (await counted(server, 'cancelled')) === 1);
    await running;
    expect(await counted(server, 'ok')).toBe(1);
  });

  test('passes a deadline on to the queue', async () => {
    const { client, server } = await start({ slow: slowModel() }, { maxBatchSize: 1 });
    const running = infer(client, slow(8_000));
    await untilStarted(server.metricsUrl, 1);
    const error = await refusal(infer(client, slow(0), { deadline: Date.now() + 200 }));
    expect(error.code).toBe(STATUS.DEADLINE_EXCEEDED);
    await untilQueued(server.metricsUrl, 0);
    await running;
  });

  test('gives the queue back as exhausted, with the time to wait', async () => {
    const { client, server } = await start({ slow: slowModel() }, { maxBatchSize: 1, queueDepthRows: 1 });
    const running = infer(client, slow(8_000));
    await untilStarted(server.metricsUrl, 1);
    const waiting = infer(client, slow(0));
    await untilQueued(server.metricsUrl, 1);
    const error = await refusal(infer(client, slow(0)));
    expect(error.code).toBe(STATUS.RESOURCE_EXHAUSTED);
    expect(Number(error.metadata.get('grpc-retry-pushback-ms')[0])).toBeGreaterThan(0);
    await Promise.all([running, waiting]);
  });
});

describe('a stream of inference', () => {
  test('answers each message by itself, in their order', async () => {
    const { client } = await start({ slow: slowModel(), plus: addOneModel() });
    const stream = client['ModelStreamInfer']();
    const answers = answersOf(stream);
    stream.write({ ...slow(3_000), id: 'slow' });
    for (let i = 0; i < 300; i++) stream.write({ ...rawFloats('plus', [1, 4], [i, 0, 0, 0]), id: `${i}` });
    stream.end();
    const received = (await answers).map(({ infer_response }) => infer_response);
    expect(received.map(({ id }) => id)).toEqual(['slow', ...Array.from({ length: 300 }, (_, i) => `${i}`)]);
    expect(received.slice(1).map((answer) => floatsOf(answer.raw_output_contents[0])[0])).toEqual(
      Array.from({ length: 300 }, (_, i) => i + 1),
    );
  });

  test('says what is wrong with a message in its answer, and goes on', async () => {
    const { client, server } = await start({ plus: addOneModel() });
    const stream = client['ModelStreamInfer']();
    const answers = answersOf(stream);
    stream.write({ ...rawFloats('nobody', [1, 4], [1, 2, 3, 4]), id: 'a' });
    stream.write({ ...rawFloats('plus', [1, 4], [1, 2, 3, 4]), id: 'b' });
    stream.end();
    expect(await answers).toMatchObject([
      { error_message: "no model 'nobody' here", infer_response: { id: 'a' } },
      { error_message: '', infer_response: { id: 'b', parameters: { triton_final_response: { bool_param: true } } } },
    ]);
    expect(await counted(server, 'ok')).toBe(1);
  });

  test('may stay silent and open', async () => {
    const { client } = await start({ plus: addOneModel() });
    const stream = client['ModelStreamInfer']();
    const answers = answersOf(stream);
    await infer(client, rawFloats('plus', [1, 4], [1, 2, 3, 4]));
    stream.end();
    expect(await answers).toEqual([]);
  });

  test('drops what waits when its client cancels', async () => {
    const { client, server } = await start({ slow: slowModel() }, { maxBatchSize: 1 });
    const stream = client['ModelStreamInfer']();
    stream.on('error', () => {});
    stream.write(slow(8_000));
    await untilStarted(server.metricsUrl, 1);
    stream.write(slow(0));
    await untilQueued(server.metricsUrl, 1);
    stream.cancel();
    await untilQueued(server.metricsUrl, 0);
    await until('the run is over', () => server.server.isIdle);
  });
});

describe('what can be asked about server and models', () => {
  test('is said as over HTTP', async () => {
    const { client, server } = await start({ two: twoInputsModel() });
    expect(await call(client, 'ServerLive')).toEqual({ live: true });
    expect(await call(client, 'ServerReady')).toEqual({ ready: true });
    expect(await call(client, 'ModelReady', { name: 'two' })).toEqual({ ready: true });
    expect(await call(client, 'ModelReady', { name: 'two', version: '1' })).toEqual({ ready: true });
    expect(await call(client, 'ServerMetadata')).toEqual((await server.get('/v2')).json);
    const metadata = await call(client, 'ModelMetadata', { name: 'two' });
    const shown = (await server.get('/v2/models/two')).json;
    const text = ({ shape, ...rest }: any): any => ({ ...rest, shape: shape.map(String) });
    expect(metadata).toEqual({ ...shown, inputs: shown.inputs.map(text), outputs: shown.outputs.map(text) });
    expect(await call(client, 'RepositoryIndex')).toEqual({
      models: [{ name: 'two', version: '1', state: 'READY', reason: '' }],
    });
  });

  test('has the configuration in force', async () => {
    const { client } = await start({ plus: addOneModel() }, { maxBatchSize: 8 });
    const { config } = await call(client, 'ModelConfig', { name: 'plus' });
    expect(config).toMatchObject({
      name: 'plus',
      platform: 'onnxruntime_onnx',
      backend: 'onnxruntime',
      max_batch_size: 8,
      input: [{ name: 'input', data_type: 11, dims: ['4'] }],
      output: [{ name: 'output', data_type: 11, dims: ['4'] }],
      scheduling_choice: 'dynamic_batching',
    });
  });

  test('has what the model did', async () => {
    const { client } = await start({ plus: addOneModel() });
    await infer(client, rawFloats('plus', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]));
    await refusal(infer(client, rawFloats('plus', [2, 4], [1])));
    for (const asked of [{}, { name: 'plus' }, { name: 'plus', version: '1' }]) {
      const { model_stats } = await call(client, 'ModelStatistics', asked);
      expect(model_stats).toMatchObject([
        { name: 'plus', version: '1', inference_count: '2', execution_count: '1', batch_stats: [{ batch_size: '2' }] },
      ]);
      expect(model_stats[0].inference_stats).toMatchObject({ success: { count: '1' }, fail: { count: '1' } });
      expect(Number(model_stats[0].inference_stats.compute_infer.ns)).toBeGreaterThan(0);
    }
  });

  test('is not there for a model that is not: it is not ready, and for the rest not found', async () => {
    const { client } = await start({ plus: addOneModel() });
    expect(await call(client, 'ModelReady', { name: 'nobody' })).toEqual({ ready: false });
    for (const method of ['ModelMetadata', 'ModelConfig', 'ModelStatistics']) {
      expect((await refusal(call(client, method, { name: 'nobody' }))).code).toBe(STATUS.NOT_FOUND);
    }
  });

  test('says of a model that cannot be opened that it is unavailable, and why', async () => {
    const { client } = await start({ plus: addOneModel(), broken: Uint8Array.of(1, 2, 3) });
    expect(await call(client, 'ServerReady')).toEqual({ ready: false });
    expect(await call(client, 'ModelReady', { name: 'broken' })).toEqual({ ready: false });
    const error = await refusal(infer(client, rawFloats('broken', [1, 4], [1, 2, 3, 4])));
    expect(error.code).toBe(STATUS.UNAVAILABLE);
    const { models } = await call(client, 'RepositoryIndex');
    expect(models.find(({ name }: any) => name === 'broken')).toMatchObject({ state: 'UNAVAILABLE' });
    expect((await call(client, 'RepositoryIndex', { ready: true })).models).toMatchObject([{ name: 'plus' }]);
  });
});

describe('health', () => {
  const SERVICE = 'grpc.health.v1.Health';

  test('is that of the server, for the server and for the inference service', async () => {
    const { server } = await start({ plus: addOneModel() });
    const client = connect(server.grpcPort, SERVICE);
    for (const service of ['', 'inference.GRPCInferenceService']) {
      expect(await call(client, 'Check', { service })).toEqual({ status: 1 });
    }
    const error = await refusal(call(client, 'Check', { service: 'other.Service' }));
    expect(error.code).toBe(STATUS.NOT_FOUND);
  });

  test('is not good while models load, and watchers hear of it when it is', async () => {
    const server = await startServer({ modelRepository: plainRepository({ plus: addOneModel() }) }, { load: false });
    const client = connect(server.grpcPort, SERVICE);
    expect(await call(client, 'Check')).toEqual({ status: 2 });
    const watch = client['Watch']({ service: '' });
    const unknown = client['Watch']({ service: 'other.Service' });
    const seen: number[] = [];
    const seenOfUnknown: number[] = [];
    watch.on('data', ({ status }: { status: number }) => seen.push(status)).on('error', () => {});
    unknown.on('data', ({ status }: { status: number }) => seenOfUnknown.push(status)).on('error', () => {});
    await until('both watchers know the state', () => seen.length === 1 && seenOfUnknown.length === 1);
    await server.server.load();
    await until('the watcher hears that it serves', () => seen.length === 2);
    expect(seen).toEqual([2, 1]);
    expect(seenOfUnknown).toEqual([3]);
    watch.cancel();
    unknown.cancel();
  });
});

describe('reflection', () => {
  test.each(['v1', 'v1alpha'])('%s shows every service with all messages that it needs', async (version) => {
    const { server } = await start({ plus: addOneModel() });
    const client = connect(server.grpcPort, `grpc.reflection.${version}.ServerReflection`);
    const ask = async (question: object): Promise<any> => {
      const stream = client['ServerReflectionInfo']();
      const answers = answersOf(stream);
      stream.write(question);
      stream.end();
      return (await answers)[0];
    };
    const { list_services_response } = await ask({ list_services: '' });
    const services = list_services_response.service.map(({ name }: { name: string }) => name);
    expect(services.sort()).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'inference.GRPCInferenceService',
    ]);
    const describe = async (question: object): Promise<string[]> => {
      const { file_descriptor_response } = await ask(question);
      const file = file_descriptor_response.file_descriptor_proto.map((bytes: Buffer) =>
        fromBinary(FileDescriptorProtoSchema, bytes),
      );
      // Fails when a file that is imported is missing.
      createFileRegistry({ $typeName: FileDescriptorSetSchema.typeName, file: file.reverse() });
      return file.map(({ name }: { name: string }) => name);
    };
    for (const symbol of [
      'inference.GRPCInferenceService',
      'inference.GRPCInferenceService.ModelInfer',
      'inference.ModelInferRequest.InferInputTensor',
      'inference.ModelInferRequest.raw_input_contents',
    ]) {
      expect(await describe({ file_containing_symbol: symbol })).toEqual([
        'inference/model_config.proto',
        'inference/grpc_service.proto',
      ]);
    }
    expect(await describe({ file_by_filename: 'grpc/health/v1/health.proto' })).toEqual([
      'grpc/health/v1/health.proto',
    ]);
    expect((await ask({ file_containing_symbol: 'no.Such' })).error_response.error_code).toBe(STATUS.NOT_FOUND);
    expect((await ask({})).error_response.error_code).toBe(STATUS.UNIMPLEMENTED);
  });
});

test('asks callers who they are where keys are configured, but not for health', async () => {
  const { createHash } = await import('node:crypto');
  const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
  const apiKeys = JSON.stringify([{ name: 'asker', sha256: sha256('key-of-asker'), groups: ['infer'] }]);
  const { client, server } = await start({ plus: addOneModel() }, { apiKeys });
  const asked = rawFloats('plus', [1, 4], [1, 2, 3, 4]);
  const withKey = (key: string): object => ({ metadata: { authorization: `Bearer ${key}` } });
  expect((await refusal(infer(client, asked))).code).toBe(STATUS.UNAUTHENTICATED);
  expect((await refusal(infer(client, asked, withKey('other')))).code).toBe(STATUS.UNAUTHENTICATED);
  expect(await infer(client, asked, withKey('key-of-asker'))).toMatchObject({ model_name: 'plus' });
  const forbidden = await refusal(call(client, 'ModelConfig', { name: 'plus' }, withKey('key-of-asker')));
  expect(forbidden.code).toBe(STATUS.PERMISSION_DENIED);
  expect(await call(connect(server.grpcPort, 'grpc.health.v1.Health'), 'Check')).toEqual({ status: 1 });
});

test('speaks TLS with the certificate of HTTPS, and knows callers by theirs', async (context) => {
  const openssl = findTool('openssl');
  if (openssl === undefined) return context.skip('no openssl on the PATH');
  const ca = new Authority(openssl);
  const { cert, key } = ca.issue('server');
  const { server } = await start({ plus: addOneModel() }, { tlsCertificate: cert, tlsKey: key, tlsClientCa: ca.cert });
  const caller = ca.issue('caller');
  const secure = (service: string, own?: Certificate): Client => {
    const pair = own === undefined ? [] : [readFileSync(own.key), readFileSync(own.cert)];
    return connect(server.grpcPort, service, {}, grpc.credentials.createSsl(readFileSync(ca.cert), ...pair));
  };
  const asked = rawFloats('plus', [1, 4], [1, 2, 3, 4]);
  expect(await infer(secure(INFERENCE, caller), asked)).toMatchObject({ model_name: 'plus' });
  expect((await refusal(infer(secure(INFERENCE), asked))).code).toBe(STATUS.UNAUTHENTICATED);
  expect(await call(secure('grpc.health.v1.Health'), 'Check')).toEqual({ status: 1 });
  const plain = await refusal(
    call(connectInference(server.grpcPort), 'ServerLive', {}, { deadline: Date.now() + 3_000 }),
  );
  expect([STATUS.UNAVAILABLE, STATUS.DEADLINE_EXCEEDED]).toContain(plain.code);
});

describe('a server that drains', () => {
  test('answers what it has, tells the rest to go elsewhere, and is then idle', async () => {
    const { client, server } = await start({ slow: slowModel() });
    const health = connect(server.grpcPort, 'grpc.health.v1.Health');
    const running = infer(client, slow(5_000));
    const stream = client['ModelStreamInfer']();
    const streamed: any[] = [];
    const ended = new Promise<grpc.ServiceError>((resolve) => stream.on('error', resolve));
    stream.on('data', (answer: any) => streamed.push(answer));
    stream.write({ ...slow(0), id: 'a' });
    const watch = health['Watch']({});
    const seen: number[] = [];
    const watchEnded = new Promise<grpc.ServiceError>((resolve) => watch.on('error', resolve));
    watch.on('data', ({ status }: { status: number }) => seen.push(status));
    await until('the watcher is heard', () => seen.length === 1);
    await untilStarted(server.metricsUrl, 1);
    expect(await server.server.drain()).toBe(true);
    expect(await running).toMatchObject({ model_name: 'slow' });
    expect((await ended).code).toBe(STATUS.UNAVAILABLE);
    expect((await watchEnded).code).toBe(STATUS.UNAVAILABLE);
    expect(streamed).toMatchObject([{ infer_response: { id: 'a' } }]);
    const late = await refusal(infer(client, slow(0), { deadline: Date.now() + 5_000 }));
    expect(late.code).toBe(STATUS.UNAVAILABLE);
  });

  test('still answers new calls during the deregistration lag, and says that it is not ready', async () => {
    const { client, server } = await start({ plus: addOneModel() }, { deregistrationLagSeconds: 2 });
    const health = connect(server.grpcPort, 'grpc.health.v1.Health');
    const asked = rawFloats('plus', [1, 4], [1, 2, 3, 4]);
    await infer(client, asked);
    const drained = server.server.drain();
    expect(await call(health, 'Check')).toEqual({ status: 2 });
    expect(await infer(client, asked)).toMatchObject({ model_name: 'plus' });
    expect(await drained).toBe(true);
  });

  test('answers what waits with UNAVAILABLE when it is abandoned', async () => {
    const { client, server } = await start({ slow: slowModel() }, { requestDeadlineSeconds: 0.3, maxBatchSize: 1 });
    const calls = [refusal(infer(client, slow(8_000))), refusal(infer(client, slow(0)))];
    await untilQueued(server.metricsUrl, 1);
    await server.server.abandon();
    for (const { code } of await Promise.all(calls))
      expect([STATUS.UNAVAILABLE, STATUS.DEADLINE_EXCEEDED]).toContain(code);
    await until('the run is over', () => server.server.isIdle);
  });
});
