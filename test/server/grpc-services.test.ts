import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import { addOneModel, slowModel, twoInputsModel } from '../support/onnx-models';
import { findTool } from '../support/tools';
import { call, connect, connectInference, infer, rawFloats, type Client } from './grpc/grpc-client';
import { answersOf, refusal, slow, start } from './grpc/grpc-server';
import { Authority, type Certificate } from './harness/certificates';
import { plainRepository } from './harness/model-repository';
import { startServer } from './harness/running-server';
import { until, untilQueued, untilStarted } from './harness/until';

const STATUS = grpc.status;
const INFERENCE = 'inference.GRPCInferenceService';

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

describe('what a load balancer asks', () => {
  const ask = (port: number): Promise<number> => {
    const client = connect(port, 'grpc.health.v1.Health');
    return new Promise((resolve) => {
      const path = '/AWS.ALB/healthcheck';
      client.makeUnaryRequest(
        path,
        () => Buffer.alloc(0),
        (bytes) => bytes,
        {},
        (error) => resolve(error?.code ?? 0),
      );
    });
  };

  test('is answered with a status that says whether this replica is ready, for it looks at no message', async () => {
    const server = await startServer({ modelRepository: plainRepository({ plus: addOneModel() }) }, { load: false });
    expect(await ask(server.grpcPort)).toBe(STATUS.UNAVAILABLE);
    await server.server.load();
    expect(await ask(server.grpcPort)).toBe(0);
  });

  test('is that it may send no more, once the replica drains', async () => {
    const { server } = await start({ plus: addOneModel() }, { deregistrationLagSeconds: 1 });
    const drained = server.server.drain();
    expect(await ask(server.grpcPort)).toBe(STATUS.UNAVAILABLE);
    expect(await drained).toBe(true);
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
