import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { addOneModel, identityModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer, type Answer, type RunningServer } from './harness/running-server';
import { heavyModel, putVersion } from './harness/versions';
import { withPlatformVariables } from '../../runtime/server/settings';

function start(settings: Parameters<typeof startServer>[0] = {}): Promise<RunningServer> {
  return startServer({ modelRepository: plainRepository({ addone: addOneModel() }), ...settings });
}

function invoke(
  server: RunningServer,
  headers: Record<string, string>,
  body: string | Uint8Array,
  path = '/invocations',
): Promise<Answer> {
  return request(`${server.url}${path}`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : Buffer.from(body),
  });
}

test('answers the ping when all models are ready, and only then', async () => {
  const server = await start();
  expect(await server.get('/ping')).toMatchObject({ status: 200 });
  const broken = await startServer({ modelRepository: plainRepository({ broken: Buffer.from('x') }) });
  expect(await broken.get('/ping')).toMatchObject({ status: 503 });
});

test('invocations bring a body of any type to the only model, answered as the client accepts it', async () => {
  const server = await start();
  const csv = await invoke(server, { 'Content-Type': 'text/csv', Accept: 'text/csv' }, '1,2,3,4\n');
  expect(csv).toMatchObject({ status: 200, text: '2,3,4,5\n' });
  expect(csv.headers.get('content-type')).toBe('text/csv');
  const json = await invoke(server, { 'Content-Type': 'application/json', Accept: '*/*' }, '{"instances":[[1,2,3,4]]}');
  expect(json.json).toEqual({ predictions: [[2, 3, 4, 5]] });
});

test("reads and writes binary tensors the way Triton's container does", async () => {
  const server = await start();
  const input = { name: 'input', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } };
  const json = JSON.stringify({ inputs: [input], parameters: { binary_data_output: true } });
  const type = `application/vnd.sagemaker-triton.binary+json;json-header-size=${json.length}`;
  const response = await fetch(`${server.url}/invocations`, {
    method: 'POST',
    headers: { 'Content-Type': type },
    body: Buffer.concat([Buffer.from(json), Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)]),
  });
  const body = Buffer.from(await response.arrayBuffer());
  const size = Number(
    /^application\/vnd\.sagemaker-triton\.binary\+json;json-header-size=(\d+)$/.exec(
      response.headers.get('content-type')!,
    )![1],
  );
  expect(JSON.parse(body.toString('utf8', 0, size)).outputs[0].shape).toEqual([1, 4]);
  expect([0, 4, 8, 12].map((at) => body.readFloatLE(size + at))).toEqual([2, 3, 4, 5]);
  const wrong = await invoke(server, { 'Content-Type': 'application/vnd.sagemaker-triton.binary+json' }, json);
  expect(wrong).toMatchObject({ status: 400, json: { error: expect.stringContaining('json-header-size') } });
});

test('endpoints of many models name theirs in a header or in the path', async () => {
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel(), id: identityModel() }),
  });
  const headers = { 'Content-Type': 'application/json', 'X-Amzn-SageMaker-Target-Model': 'addone.tar.gz' };
  const body = JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4]));
  expect((await invoke(server, headers, body)).json.outputs[0].data).toEqual([2, 3, 4, 5]);
  const path = await invoke(server, { 'Content-Type': 'application/json' }, body, '/models/id/invoke');
  expect(path.json.outputs[0].data).toEqual([1, 2, 3, 4]);
  expect(
    (await server.get('/models')).json.models.map(({ modelName }: { modelName: string }) => modelName).toSorted(),
  ).toEqual(['addone', 'id']);
  expect((await server.get('/models/id')).json).toEqual({ modelName: 'id', modelUrl: 'id' });
  expect((await server.get('/models/nope')).status).toBe(404);
  expect((await invoke(server, { 'Content-Type': 'text/csv' }, '1')).status).toBe(400);
});

test('models are not loaded and unloaded by request where nobody has allowed it', async () => {
  const server = await start();
  const load = await server.post('/models', { model_name: 'addone', url: '/opt/ml/models/1' });
  expect(load).toMatchObject({ status: 403, json: { error: expect.stringContaining('SLIPWAY_ADMIN_PORT') } });
  expect((await request(`${server.url}/models/addone`, { method: 'DELETE' })).status).toBe(403);
});

test('where the port is open to the network, models are loaded and unloaded only by callers who have shown who they are', async () => {
  const key = 'k'.repeat(43);
  const sha256 = createHash('sha256').update(key).digest('hex');
  const unload = ({ url }: RunningServer, headers: Record<string, string> = {}): Promise<Answer> =>
    request(`${url}/models/addone`, { method: 'DELETE', headers });
  const open = await start({ host: '0.0.0.0', adminPort: 0 });
  expect(await unload(open)).toMatchObject({ status: 403, json: { error: expect.stringContaining('group admin') } });
  expect((await open.post('/models', { model_name: 'addone' })).status).toBe(403);
  expect((await open.get('/v2/models/addone/ready')).status).toBe(200);
  const local = await start({ adminPort: 0 });
  expect((await unload(local)).status).toBe(200);
  const apiKeys = JSON.stringify([{ name: 'operator', sha256, groups: ['admin'] }]);
  const guarded = await start({ host: '0.0.0.0', adminPort: 0, apiKeys });
  expect((await unload(guarded)).status).toBe(401);
  expect((await unload(guarded, { 'X-API-Key': key })).status).toBe(200);
});

test('a load says whether the model is there already, does not fit in memory, is broken, or is not to be had', async () => {
  const modelRepository = plainRepository({ addone: addOneModel() });
  const server = await start({ modelRepository, adminPort: 0, modelMemoryMiB: 60 });
  const load = (model: string): Promise<Answer> =>
    server.post('/models', { model_name: model, url: '/opt/ml/models/1' });
  putVersion(modelRepository, 'small', 1, addOneModel());
  putVersion(modelRepository, 'large', 1, heavyModel(1, 20 * 2 ** 20));
  putVersion(modelRepository, 'broken', 1, Buffer.from('x'));
  expect(await load('addone')).toMatchObject({ status: 409, json: { error: "model 'addone' is loaded already" } });
  expect(await load('small')).toMatchObject({ status: 200, json: { modelName: 'small' } });
  expect((await load('small')).status).toBe(409);
  const large = await load('large');
  expect(large.status).toBe(507);
  expect(large.json.error).toMatch(/^model 'large' cannot be loaded: version 1: it needs about \d+ MiB of memory/);
  expect((await load('broken')).status).toBe(400);
  expect((await load('nobody')).status).toBe(404);
  expect((await invoke(server, { 'Content-Type': 'text/csv' }, '1,2,3,4\n', '/models/small/invoke')).status).toBe(200);
});

test.each(['/ping', '/health'])('%s says so when the server is on its way out', async (probe) => {
  const server = await start({ vertexHealthRoute: '/health', deregistrationLagSeconds: 1 });
  expect((await server.get(probe)).status).toBe(200);
  const drained = server.server.drain();
  expect((await server.get(probe)).status).toBe(503);
  expect(await drained).toBe(true);
});

test('the port comes from the platform, unless our own variable says otherwise', () => {
  expect(withPlatformVariables({ SAGEMAKER_BIND_TO_PORT: '9001' })['SLIPWAY_HTTP_PORT']).toBe('9001');
  expect(withPlatformVariables({ SAGEMAKER_BIND_TO_PORT: '9001', SLIPWAY_HTTP_PORT: '1' })['SLIPWAY_HTTP_PORT']).toBe(
    '1',
  );
});
