import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { startTracing } from '../../runtime/server/tracing';
import { readEnvironment } from '../../runtime/spec/environment';
import { addOneModel } from '../support/onnx-models';
import { plainRepository, temporaryFolder } from './harness/model-repository';
import { floats, request, startServer } from './harness/running-server';
import { startServerProcess } from './harness/server-process';
import { startTraceCollector, type ReceivedSpan } from './harness/trace-collector';
import { until } from './harness/until';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const GOOD = JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4]));

test('a request becomes a span with its wait and its run below it, in the trace of the caller', async () => {
  const collector = await startTraceCollector();
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel() }),
    tracesEndpoint: collector.endpoint,
    serviceName: 'svc',
    clusterName: 'c',
  });
  const answer = await request(`${server.url}/v2/models/addone/infer?secret=1`, {
    method: 'POST',
    body: GOOD,
    headers: { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=x', 'x-request-id': 'abc' },
  });
  await until('three spans arrive', () => collector.spans.length >= 3);
  const [root, queue, run] = ['POST /v2/models/{model}/infer', 'queue', 'run'].map((name) =>
    collector.spans.find((span) => span.name === name)!,
  ) as [ReceivedSpan, ReceivedSpan, ReceivedSpan];
  expect(root).toMatchObject({
    traceId: TRACE,
    parentId: PARENT,
    traceState: 'vendor=x',
    kind: 2,
    statusCode: 0,
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/v2/models/{model}/infer',
      'http.response.status_code': 200,
      'url.path': '/v2/models/addone/infer',
      'url.scheme': 'http',
      'slipway.request.id': 'abc',
      'slipway.model.name': 'addone',
      'slipway.model.version': 1,
    },
  });
  for (const child of [queue, run]) expect(child).toMatchObject({ traceId: TRACE, parentId: root.spanId });
  expect(run.attributes).toEqual({ 'slipway.batch.rows': 1, 'slipway.batch.requests': 1 });
  expect([root.startNanos, queue.startNanos, queue.endNanos, run.endNanos, root.endNanos].map(Number)).toEqual(
    [root.startNanos, queue.startNanos, queue.endNanos, run.endNanos, root.endNanos].map(Number).sort((a, b) => a - b),
  );
  expect(Math.abs(Number(root.endNanos / 1_000_000n) - Date.now())).toBeLessThan(60_000);
  expect(answer.headers.get('traceparent')).toBe(`00-${TRACE}-${root.spanId}-01`);
  expect(answer.headers.get('tracestate')).toBe('vendor=x');
  expect(collector.resources[0]).toMatchObject({ 'service.name': 'svc', 'service.namespace': 'c' });
  expect(new Set(collector.contentTypes)).toEqual(new Set(['application/x-protobuf']));
  await until('the access line', () => server.log.some((line) => line['traceId'] === TRACE));
  expect(server.log.find((line) => line['traceId'] === TRACE)).toMatchObject({ requestId: 'abc', status: 200 });
});

test('requests that share a run link to each other, each in its own trace', async () => {
  const collector = await startTraceCollector();
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel() }),
    tracesEndpoint: collector.endpoint,
    maxQueueDelayMicroseconds: 50_000,
  });
  await Promise.all(Array.from({ length: 16 }, () => server.post('/v2/models/addone/infer', GOOD)));
  await until('all spans arrive', () => collector.spans.length >= 48);
  const runs = collector.spans.filter(({ name }) => name === 'run');
  expect(runs).toHaveLength(16);
  expect(new Set(runs.map(({ traceId }) => traceId)).size).toBe(16);
  const shared = runs.filter(({ attributes }) => Number(attributes['slipway.batch.requests']) > 1);
  expect(shared.length).toBeGreaterThan(0);
  const roots = new Set(collector.spans.filter(({ kind }) => kind === 2).map(({ spanId }) => spanId));
  for (const run of shared) {
    expect(run.links).toHaveLength(Number(run.attributes['slipway.batch.requests']) - 1);
    for (const link of run.links) expect(roots).toContain(link);
    expect(run.links).not.toContain(run.parentId);
  }
});

test('a caller that decided against recording is followed, and so is one that sent nonsense', async () => {
  const collector = await startTraceCollector();
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel() }),
    tracesEndpoint: collector.endpoint,
  });
  const send = (traceparent: string): ReturnType<typeof request> =>
    request(`${server.url}/v2/models/addone/infer`, { method: 'POST', body: GOOD, headers: { traceparent } });
  const unsampled = await send(`00-${TRACE}-${PARENT}-00`);
  expect(unsampled.headers.get('traceparent')).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  for (const nonsense of [
    'nonsense',
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `ff-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01-more`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
  ]) {
    const answer = await send(nonsense);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(answer.headers.get('traceparent')).not.toContain(TRACE);
  }
  const later = await send(`01-${TRACE}-${PARENT}-01-what-a-later-version-adds`);
  expect(later.headers.get('traceparent')).toContain(TRACE);
  await until('seven traces arrive', () => collector.spans.filter(({ kind }) => kind === 2).length >= 7);
  expect(collector.spans.filter(({ traceId }) => traceId === TRACE)).toHaveLength(3);
});

test('a ratio of 0 records nothing that begins here, and an error of the server is marked', async () => {
  const collector = await startTraceCollector();
  const server = await startServer({
    modelRepository: plainRepository({ broken: Buffer.from('not a model') }),
    tracesEndpoint: collector.endpoint,
    tracesSampleRatio: 0,
  });
  await server.get('/livez');
  await request(`${server.url}/v2/models/broken/infer`, {
    method: 'POST',
    body: GOOD,
    headers: { traceparent: `00-${TRACE}-${PARENT}-01` },
  });
  await until('the span arrives', () => collector.spans.length > 0);
  expect(collector.spans).toHaveLength(1);
  expect(collector.spans[0]).toMatchObject({
    statusCode: 2,
    attributes: { 'http.response.status_code': 503, 'error.type': '503' },
  });
});

test('what waits to be sent leaves when the server closes, and a collector that is gone holds nobody up', async () => {
  const collector = await startTraceCollector();
  const log = pino({ level: 'silent' });
  const settings = { ...readEnvironment({}), tracesEndpoint: collector.endpoint };
  const begin = { header: () => undefined, startedAt: performance.now(), name: 'test', attributes: {} };
  const tracing = (await startTracing(settings, log))!;
  tracing.begin(begin).end({ attributes: {} });
  await tracing.close();
  expect(collector.spans.map(({ name }) => name)).toEqual(['test']);
  const gone = (await startTracing({ ...settings, tracesEndpoint: 'http://127.0.0.1:9/v1/traces' }, log))!;
  gone.begin(begin).end({ attributes: {} });
  await gone.close();
});

test('no address means no traces, and plain HTTP to another machine must be allowed by name', async () => {
  const log = pino({ level: 'silent' });
  const start = (more: object): ReturnType<typeof startTracing> =>
    startTracing({ ...readEnvironment({}), ...more }, log);
  expect(await start({})).toBeUndefined();
  await expect(start({ tracesEndpoint: 'http://collector:4318/v1/traces' })).rejects.toThrow(
    'ENVIRONMENT_INVALID SLIPWAY_TRACES_ENDPOINT: must be an https:// URL, or http:// of this machine',
  );
  await expect(start({ tracesEndpoint: 'collector:4318' })).rejects.toThrow('SLIPWAY_TRACES_ENDPOINT');
  const allowed = await start({ tracesEndpoint: 'http://collector:4318/v1/traces', tracesPlaintext: true });
  await allowed!.close();
});

test('a gRPC call is followed in the same way, and its caller is told which trace it is', async () => {
  const collector = await startTraceCollector();
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel() }),
    tracesEndpoint: collector.endpoint,
  });
  const session = connect(`http://127.0.0.1:${server.grpcPort}`);
  onTestFinished(() => session.destroy());
  const call = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ModelInfer',
    'content-type': 'application/grpc',
    te: 'trailers',
    traceparent: `00-${TRACE}-${PARENT}-01`,
    'x-request-id': 'over-grpc',
  });
  // model_name "addone", one input of FP32 [1, 4] as raw bytes.
  const input = '0a05696e7075741204465033321a020104';
  const message = Buffer.from(`0a066164646f6e652a${(input.length / 2).toString(16).padStart(2, '0')}${input}`, 'hex');
  const raw = Buffer.concat([Buffer.from('3a10', 'hex'), Buffer.from(new Float32Array([1, 2, 3, 4]).buffer)]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length + raw.length, 1);
  call.end(Buffer.concat([prefix, message, raw]));
  call.resume();
  const [[headers], [trailers]] = await Promise.all([once(call, 'response'), once(call, 'trailers')]);
  expect(trailers['grpc-status']).toBe('0');
  await until('three spans arrive', () => collector.spans.length >= 3);
  const root = collector.spans.find(({ kind }) => kind === 2)!;
  expect(root).toMatchObject({
    traceId: TRACE,
    parentId: PARENT,
    name: 'inference.GRPCInferenceService/ModelInfer',
    statusCode: 0,
    attributes: {
      'rpc.system': 'grpc',
      'rpc.service': 'inference.GRPCInferenceService',
      'rpc.method': 'ModelInfer',
      'rpc.grpc.status_code': 0,
      'slipway.request.id': 'over-grpc',
      'slipway.model.name': 'addone',
    },
  });
  expect(collector.spans.filter(({ parentId }) => parentId === root.spanId).map(({ name }) => name)).toEqual([
    'queue',
    'run',
  ]);
  expect(headers['traceparent']).toBe(`00-${TRACE}-${root.spanId}-01`);
  expect(headers['x-request-id']).toBe('over-grpc');
});

test('the server as it is shipped checks tokens, and sends its last spans before it ends', async () => {
  const { exportJWK, generateKeyPair, SignJWT } = await import('jose');
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const keys = path.join(temporaryFolder(), 'keys.json');
  writeFileSync(keys, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }));
  const collector = await startTraceCollector();
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel() }),
    SLIPWAY_TRACES_ENDPOINT: collector.endpoint,
    SLIPWAY_JWT_JWKS: pathToFileURL(keys).href,
    SLIPWAY_JWT_ISSUER: 'issuer',
    SLIPWAY_JWT_AUDIENCE: 'slipway',
  });
  const url = await server.url();
  await server.waitFor('ready');
  const token = await new SignJWT({ sub: 'job', iss: 'issuer', aud: 'slipway', slipway_groups: ['infer'] })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setExpirationTime('5 minutes')
    .sign(privateKey);
  const headers = { authorization: `Bearer ${token}` };
  const answer = await request(`${url}/v2/models/addone/infer`, { method: 'POST', body: GOOD, headers });
  expect(answer.status).toBe(200);
  server.child.kill('SIGTERM');
  expect(await server.exited).toEqual({ code: 0, signal: null });
  await until('the spans are there', () => collector.spans.length >= 3);
});
