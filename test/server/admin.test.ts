import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { ServerSettings } from '../../runtime/spec/environment';
import { temporaryFolder } from './harness/model-repository';
import { floats, request, startServer, type Answer, type RunningServer } from './harness/running-server';
import { until } from './harness/until';
import { addModel, indexOf, putVersion, stepOf } from './harness/versions';

const INFER = '/v2/models/m/infer';

interface Administered extends RunningServer {
  readonly repository: string;
  readonly admin: (path: string, body?: unknown) => Promise<Answer>;
}

async function start(settings: Partial<ServerSettings> = {}): Promise<Administered> {
  const repository = temporaryFolder();
  putVersion(repository, 'm', 1, addModel(1));
  putVersion(repository, 'other', 1, addModel(100));
  const server = await startServer({ modelRepository: repository, adminPort: 0, ...settings });
  const port = server.log.find(({ msg }) => msg === 'listening')?.['adminPort'] as number;
  const admin = (target: string, body?: unknown): Promise<Answer> =>
    request(`http://127.0.0.1:${port}${target}`, {
      method: 'POST',
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  return { ...server, repository, admin };
}

describe('unload', () => {
  test('closes a model, answers its requests with 503 until it is loaded again, and leaves the replica ready', async () => {
    const server = await start();
    expect(await server.admin('/v2/repository/models/m/unload')).toMatchObject({ status: 200, text: '' });
    expect(await indexOf(server, 'm')).toEqual({ '1': 'UNAVAILABLE: unloaded' });
    expect(await stepOf(server, INFER)).toBe("503 model 'm' version 1 is not ready: unloaded");
    expect(await server.get('/v2/models/m/ready')).toMatchObject({
      status: 503,
      json: { name: 'm', ready: false, reason: 'unloaded' },
    });
    expect((await server.get('/readyz')).status).toBe(200);
    expect((await server.get('/v2/health/ready')).status).toBe(200);
    expect(await stepOf(server, '/v2/models/other/infer')).toBe(100);

    expect(await server.admin('/v2/repository/models/m/load')).toMatchObject({ status: 200, text: '' });
    expect(await stepOf(server, INFER)).toBe(1);
    expect(await indexOf(server, 'm')).toEqual({ '1': 'READY' });
  });

  test('waits for requests that run, and twice is once', async () => {
    const server = await start();
    const running = Array.from({ length: 20 }, () => stepOf(server, INFER));
    await Promise.all(running.slice(0, 1));
    await server.admin('/v2/repository/models/m/unload');
    for (const answer of await Promise.all(running))
      expect([1, "503 model 'm' version 1 is not ready: unloaded"]).toContain(answer);
    expect((await server.admin('/v2/repository/models/m/unload', {})).status).toBe(200);
  });

  test('of a model that nobody knows is 404', async () => {
    const server = await start();
    expect(await server.admin('/v2/repository/models/nobody/unload')).toMatchObject({
      status: 404,
      json: { error: "no model 'nobody' here" },
    });
  });

  test('is not undone by hot reload', async () => {
    const server = await start({ hotReload: true, reloadSeconds: 0.05 });
    await server.admin('/v2/repository/models/m/unload');
    putVersion(server.repository, 'm', 2, addModel(2));
    putVersion(server.repository, 'late', 1, addModel(3));
    await until('the new model serves', async () => (await stepOf(server, '/v2/models/late/infer')) === 3);
    expect(await stepOf(server, INFER)).toMatch(/^503 /);
    await server.admin('/v2/repository/models/m/load');
    expect(await stepOf(server, INFER)).toBe(2);
  });
});

describe('load', () => {
  test('serves a model that has come since the start, and a version that has', async () => {
    const server = await start();
    putVersion(server.repository, 'late', 1, addModel(9));
    expect(await stepOf(server, '/v2/models/late/infer')).toMatch(/^404 /);
    expect((await server.admin('/v2/repository/models/late/load')).status).toBe(200);
    expect(await stepOf(server, '/v2/models/late/infer')).toBe(9);
    putVersion(server.repository, 'm', 2, addModel(2));
    expect((await server.admin('/v2/repository/models/m/load')).status).toBe(200);
    expect(await stepOf(server, INFER)).toBe(2);
    await until('version 1 is closed', async () => Object.keys(await indexOf(server, 'm')).join() === '2');
  });

  test('takes a configuration for as long as the model is loaded', async () => {
    const server = await start();
    putVersion(server.repository, 'm', 2, addModel(2));
    const config = JSON.stringify({ version_policy: { all: {} }, max_batch_size: 2 });
    expect((await server.admin('/v2/repository/models/m/load', { parameters: { config } })).status).toBe(200);
    expect(await indexOf(server, 'm')).toEqual({ '2': 'READY', '1': 'READY' });
    const three = floats('input', [3, 4], new Array<number>(12).fill(0));
    expect((await server.infer('m', three)).json.error).toContain('at most 2 rows');
    await server.admin('/v2/repository/models/m/unload');
    await server.admin('/v2/repository/models/m/load');
    expect((await server.infer('m', three)).status).toBe(200);
    expect(await stepOf(server, '/v2/models/m/versions/1/infer')).toMatch(/^404 /);
  });

  test('of a bad version says why, and the old one goes on', async () => {
    const server = await start();
    putVersion(server.repository, 'm', 2, Buffer.from('not a model'));
    const refused = await server.admin('/v2/repository/models/m/load');
    expect(refused.status).toBe(400);
    expect(refused.json.error).toMatch(/^model 'm' cannot be loaded: version 2: /);
    expect(await stepOf(server, INFER)).toBe(1);
    expect(
      await server.admin('/v2/repository/models/m/load', { parameters: { config: '{"max_batch_size":-1}' } }),
    ).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining('max_batch_size') as string },
    });
    expect(await stepOf(server, INFER)).toBe(1);
  });

  test.each(['nobody', '..', '%2e%2e%2fm', 'a%2fb', '%00', '__proto__'])(
    'of a model called %s is 404',
    async (name) => {
      const server = await start();
      expect((await server.admin(`/v2/repository/models/${name}/load`)).status).toBe(404);
    },
  );

  test.each([
    [{ parameters: { 'file:1/model.onnx': 'AAAA' } }, /'file:1\/model\.onnx' is not taken: .* publish it there$/],
    [{ parameters: { config: {} } }, /^config must be the JSON of a model configuration in a string, got /],
    [{ parameters: { priority: 1 } }, /^'priority' is no parameter of load/],
    [{ parameters: [] }, /^parameters must be an object/],
    ['[]', /^the request must be a JSON object/],
    ['{', /^the request must be JSON/],
  ])('refuses the body %j', async (body, reason) => {
    const server = await start();
    const { status, json } = await server.admin('/v2/repository/models/m/load', body);
    expect(status).toBe(400);
    expect(json.error).toMatch(reason);
  });
});

test('the admin paths are on the admin port alone, which is off unless asked for', async () => {
  const server = await start();
  for (const target of ['load', 'unload']) {
    expect((await server.post(`/v2/repository/models/m/${target}`, '')).status).toBe(404);
  }
  expect((await server.post('/v2/logging', '{}')).status).toBe(404);
  expect((await server.admin('/v2/repository/index')).json).toHaveLength(2);
  expect((await server.admin(INFER, '{}')).status).toBe(404);
  const without = await startServer({ modelRepository: server.repository });
  expect(without.log.find(({ msg }) => msg === 'listening')).not.toHaveProperty('adminPort');
});

test('in a deployment models are neither loaded nor unloaded, and the answer says who decides', async () => {
  const repository = temporaryFolder();
  const folder = `${pathToFileURL(putVersion(repository, 'm', 1, addModel(1))).href}/`;
  const server = await start({
    modelRepository: undefined,
    models: JSON.stringify([{ name: 'm', version: 1, folder }]),
  });
  for (const target of ['load', 'unload']) {
    expect(await server.admin(`/v2/repository/models/m/${target}`)).toMatchObject({
      status: 403,
      json: { error: expect.stringContaining('exactly the versions that its deployment names') as string },
    });
  }
  expect(await stepOf(server, INFER)).toBe(1);
});

test('the log level is set for every part of the server', async () => {
  const server = await start();
  const models = (): number => server.log.filter(({ level, msg }) => level === 'info' && msg === 'model ready').length;
  expect((await server.admin('/v2/logging', { log_level: 'error' })).json).toEqual({ log_level: 'error' });
  const before = models();
  await server.admin('/v2/repository/models/m/unload');
  await server.admin('/v2/repository/models/m/load');
  expect(models()).toBe(before);
  await server.admin('/v2/logging', { log_level: 'info' });
  await server.admin('/v2/repository/models/m/unload');
  await server.admin('/v2/repository/models/m/load');
  expect(models()).toBe(before + 1);
  expect((await server.admin('/v2/logging', { log_level: 'loud' })).json.error).toBe(
    'log_level must be debug, info, warn, error, got "loud"',
  );
  expect((await server.admin('/v2/logging', { log_verbose_level: 1 })).json.error).toMatch(
    /^'log_verbose_level' is no setting/,
  );
});

test('a server whose files were swapped under it restarts its executors with what it has proven', async () => {
  const server = await start();
  const folder = path.join(server.repository, 'm', '1');
  renameSync(folder, path.join(temporaryFolder(), 'away'));
  putVersion(server.repository, 'm', 1, addModel(50));
  expect(await stepOf(server, INFER)).toBe(1);
  await server.admin('/v2/repository/models/m/load');
  expect(await stepOf(server, INFER)).toBe(50);
  writeFileSync(path.join(folder, 'model.onnx'), 'spoiled');
  expect(await stepOf(server, INFER)).toBe(50);
});
