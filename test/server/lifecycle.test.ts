import { connect } from 'node:net';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { addOneModel, slowModel } from '../support/onnx-models';
import { plainRepository, publishedRepository, temporaryFolder } from './harness/model-repository';
import { floats, request, type Answer } from './harness/running-server';
import { until, untilQueued, untilStarted } from './harness/until';
import { putVersion } from './harness/versions';
import { startServerProcess, type ServerProcess } from './harness/server-process';

/** Long enough that the run never ends within a test. */
const FOR_EVER = 2 ** 40;

function slowRequest(iterations: number): string {
  return JSON.stringify({ inputs: [{ name: 'iterations', shape: [1, 1], datatype: 'INT64', data: [iterations] }] });
}

function post(url: string, body: string): Promise<Answer> {
  return request(url, { method: 'POST', body });
}

async function runningSlow(
  environment: Record<string, string> = {},
): Promise<{ server: ServerProcess; url: string; metricsUrl: string }> {
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: plainRepository({ slow: slowModel() }),
    ...environment,
  });
  await server.waitFor('ready');
  const { metricsPort } = await server.waitFor('listening');
  return { server, url: await server.url(), metricsUrl: `http://127.0.0.1:${String(metricsPort)}` };
}

test('says which ports it took, and is live and not ready while it loads', async () => {
  const server = await startServerProcess({ SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel() }) });
  const line = await server.waitFor('listening');
  expect(line['httpPort']).toBeGreaterThan(0);
  expect(line['metricsPort']).toBeGreaterThan(0);
  expect(line['contract']).toBe(3);
  const url = await server.url();
  expect(await request(`${url}/livez`)).toMatchObject({ status: 200, json: { live: true } });
  await server.waitFor('ready');
  expect(await request(`${url}/readyz`)).toMatchObject({ status: 200, json: { ready: true } });
  expect(await request(`${url}/startupz`)).toMatchObject({ status: 200, json: { started: true } });
  expect(await request(`${url}/v2/health/ready`)).toMatchObject({ status: 200, json: { ready: true } });
  expect(await request(`${url}/v2/health/live`)).toMatchObject({ status: 200, json: { live: true } });
});

test('is not ready while one of its models cannot be served, and serves the others', async () => {
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel(), broken: Buffer.from('not a model') }),
  });
  await server.waitFor('not ready');
  const url = await server.url();
  const ready = await request(`${url}/readyz`);
  expect(ready.status).toBe(503);
  expect(ready.json.reason).toMatch(/^model 'broken' version 1: Load model from .*model\.onnx failed/);
  expect((await request(`${url}/startupz`)).status).toBe(503);
  expect((await request(`${url}/livez`)).status).toBe(200);
  expect(
    (await post(`${url}/v2/models/addone/infer`, JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4])))).status,
  ).toBe(200);
  const refused = await post(`${url}/v2/models/broken/infer`, '{}');
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('1');
  const index = await post(`${url}/v2/repository/index`, '');
  expect(index.json).toEqual([
    { name: 'addone', version: '1', state: 'READY', reason: '' },
    {
      name: 'broken',
      version: '1',
      state: 'UNAVAILABLE',
      reason: expect.stringContaining('Load model from ') as string,
    },
  ]);
  expect((await post(`${url}/v2/repository/index`, '{"ready":true}')).json).toHaveLength(1);
});

test('after SIGTERM: not ready at once, serves on for the deregistration lag, finishes what runs, exits 0', async () => {
  const { server, url, metricsUrl } = await runningSlow({ SLIPWAY_DEREGISTRATION_LAG_SECONDS: '1' });
  const before = post(`${url}/v2/models/slow/infer`, slowRequest(20_000));
  await untilStarted(metricsUrl, 1);
  server.child.kill('SIGTERM');
  await server.waitFor('draining');
  expect(await request(`${url}/readyz`)).toMatchObject({ status: 503, json: { ready: false, reason: 'draining' } });
  expect((await request(`${url}/livez`)).status).toBe(200);
  const during = await post(`${url}/v2/models/slow/infer`, slowRequest(1));
  expect(during.status).toBe(200);
  expect(during.headers.get('connection')).toBe('close');
  expect((await before).status).toBe(200);
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('loses no request of clients that come and go while it drains', async () => {
  const { server, url } = await runningSlow({ SLIPWAY_DEREGISTRATION_LAG_SECONDS: '1' });
  const statuses: number[] = [];
  let isServing = true;
  const client = async (): Promise<void> => {
    while (isServing) statuses.push((await post(`${url}/v2/models/slow/infer`, slowRequest(50))).status);
  };
  const clients = Promise.all(Array.from({ length: 8 }, client));
  await until('requests are answered', () => statuses.length > 50);
  server.child.kill('SIGTERM');
  // What a load balancer does: it looks at readiness, and sends nothing more to a replica that is not ready.
  await until('the replica is not ready', async () => (await request(`${url}/readyz`)).status === 503);
  isServing = false;
  await clients;
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('refuses new work once the lag is over, on connections that are still open, and finishes the old', async () => {
  const { server, url, metricsUrl } = await runningSlow();
  const running = post(`${url}/v2/models/slow/infer`, slowRequest(20_000));
  await untilStarted(metricsUrl, 1);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  const late = slowRequest(1);
  socket.write(`POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length: ${late.length}\r\n`);
  const open = /^slipway_connections\{port="http"\} ([2-9])$/m;
  const metrics = async (): Promise<string> => (await request(`${metricsUrl}/metrics`)).text;
  await until('both connections are open', async () => open.test(await metrics()));
  // What came before this request has been read when it is answered: the head of the late one has begun.
  await metrics();
  server.child.kill('SIGTERM');
  const isRefused = (): Promise<boolean> =>
    request(`${url}/livez`).then(
      () => false,
      () => true,
    );
  await until('no connection is accepted any more', isRefused);
  socket.write(`\r\n${late}`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 503 [^]*Connection: close[^]*the server is shutting down/);
  expect((await running).status).toBe(200);
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('an answer to a request from before the drain tells the client to leave, too', async () => {
  const { server, url, metricsUrl } = await runningSlow();
  const running = post(`${url}/v2/models/slow/infer`, slowRequest(20_000));
  await untilStarted(metricsUrl, 1);
  server.child.kill('SIGTERM');
  const answer = await running;
  expect(answer.status).toBe(200);
  expect(answer.headers.get('connection')).toBe('close');
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('a run that never returns does not keep the process: it ends when the deadline has passed', async () => {
  const { server, url, metricsUrl } = await runningSlow({ SLIPWAY_REQUEST_DEADLINE_SECONDS: '2' });
  void post(`${url}/v2/models/slow/infer`, slowRequest(FOR_EVER)).catch(() => undefined);
  await untilStarted(metricsUrl, 1);
  server.child.kill('SIGTERM');
  await server.waitFor('draining');
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
});

test('a second signal answers what waits with 503 and ends the process at once', async () => {
  const { server, url, metricsUrl } = await runningSlow({ SLIPWAY_REQUEST_DEADLINE_SECONDS: '600' });
  const running = post(`${url}/v2/models/slow/infer`, slowRequest(FOR_EVER));
  await untilStarted(metricsUrl, 1);
  const waiting = post(`${url}/v2/models/slow/infer`, slowRequest(1));
  await untilQueued(metricsUrl, 1);
  // One Ctrl-C that comes twice, from the terminal and from npm, is one; two of a kind may become one on their way.
  server.child.kill('SIGINT');
  server.child.kill('SIGTERM');
  await server.waitFor('draining');
  await wait(500);
  expect([server.child.exitCode, server.child.signalCode]).toEqual([null, null]);
  server.child.kill('SIGINT');
  expect((await running).status).toBe(503);
  expect(await waiting).toMatchObject({ status: 503, json: { error: 'the server is shutting down' } });
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
});

test('a run that takes too long makes the replica not live', async () => {
  const { url } = await runningSlow({ SLIPWAY_RUN_STUCK_SECONDS: '1', SLIPWAY_REQUEST_DEADLINE_SECONDS: '1' });
  expect((await post(`${url}/v2/models/slow/infer`, slowRequest(FOR_EVER))).status).toBe(504);
  await until('the replica is not live', async () => (await request(`${url}/livez`)).status === 503);
  expect((await request(`${url}/livez`)).json).toMatchObject({
    live: false,
    reason: expect.stringMatching(/a run has taken \d+ s, more than 1/) as string,
  });
  expect((await request(`${url}/v2/health/live`)).status).toBe(503);
});

test.each(['worker', 'native'])(
  'a warm-up run that never returns on a %s fails the model, and not the others',
  async (executor) => {
    const server = await startServerProcess({
      SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel(), stuck: slowModel({ least: FOR_EVER }) }),
      SLIPWAY_EXECUTOR: executor,
      SLIPWAY_RUN_STUCK_SECONDS: '2',
      SLIPWAY_REQUEST_DEADLINE_SECONDS: '1',
    });
    const url = await server.url();
    const reason = async (): Promise<string> => (await request(`${url}/readyz`)).json.reason as string;
    await until('the reason is the run', async () =>
      (await reason()).includes("'stuck' version 1: loading: a warm-up"),
    );
    expect(await reason()).toMatch(
      /model 'stuck' version 1: loading: a warm-up run on a generated input \(1 row\) began at 20\S+Z and has not returned/,
    );
    expect((await request(`${url}/livez`)).status).toBe(200);
    await server.waitFor('not ready');
    expect(await reason()).toBe(
      "model 'stuck' version 1: a warm-up run on a generated input (1 row) does not return, it began 2 s ago " +
        '(SLIPWAY_RUN_STUCK_SECONDS)',
    );
    expect(
      (await post(`${url}/v2/models/addone/infer`, JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4])))).status,
    ).toBe(200);
    if (executor === 'worker') {
      // Nothing ends that run, and the thread is lost: whoever asks is told.
      expect(await request(`${url}/livez`)).toMatchObject({
        status: 503,
        json: { reason: expect.stringMatching(/a run has taken \d+ s, more than 2/) as string },
      });
    } else {
      await until('the run was interrupted', async () => (await request(`${url}/livez`)).status === 200);
    }
    server.child.kill('SIGTERM');
    expect(await server.exited).toEqual(
      executor === 'worker' ? { code: null, signal: 'SIGKILL' } : { code: 0, signal: null },
    );
  },
);

test('a new version that gets stuck in its warm-up is reported, and the old one goes on', async () => {
  const repository = plainRepository({ m: addOneModel() });
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: repository,
    SLIPWAY_HOT_RELOAD: 'true',
    SLIPWAY_RELOAD_SECONDS: '0.2',
    SLIPWAY_RUN_STUCK_SECONDS: '2',
    SLIPWAY_REQUEST_DEADLINE_SECONDS: '1',
  });
  await server.waitFor('ready');
  putVersion(repository, 'm', 2, slowModel({ least: FOR_EVER }));
  const { reason } = await server.waitFor('the old version goes on');
  expect(reason).toMatch(/^a warm-up run on a generated input \(1 row\) does not return/);
  const url = await server.url();
  expect((await post(`${url}/v2/models/m/infer`, JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4])))).status).toBe(
    200,
  );
  expect((await request(`${url}/readyz`)).status).toBe(200);
  // The thread is lost all the same, for as long as the process lives.
  expect((await request(`${url}/livez`)).status).toBe(503);
});

test('SIGTERM while it loads ends it with 0 and without the lag', async () => {
  const server = await startServerProcess({
    SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel() }),
    SLIPWAY_DEREGISTRATION_LAG_SECONDS: '600',
  });
  await server.waitFor('listening');
  server.child.kill('SIGTERM');
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

interface Refusal {
  readonly name: string;
  readonly environment: () => Record<string, string> | Promise<Record<string, string>>;
  readonly line: RegExp;
}

const REFUSALS: readonly Refusal[] = [
  {
    name: 'an unknown SLIPWAY_ variable',
    environment: () => ({ SLIPWAY_HTTP_PROT: '1' }),
    line: /^error: ENVIRONMENT_UNKNOWN SLIPWAY_HTTP_PROT: no such variable, the nearest one is SLIPWAY_HTTP_PORT$/,
  },
  {
    name: 'a contract of a newer library',
    environment: () => ({ SLIPWAY_CONTRACT: '99' }),
    line: /^error: CONTRACT_TOO_NEW SLIPWAY_CONTRACT: .*contract 99, this image speaks contract 3/,
  },
  {
    name: 'a value that cannot be read',
    environment: () => ({ SLIPWAY_HTTP_PORT: 'eighty' }),
    line: /^error: ENVIRONMENT_INVALID SLIPWAY_HTTP_PORT: must be a whole number from 0 to 65535, got 'eighty'$/,
  },
  {
    name: 'a port that is taken',
    environment: async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      return { SLIPWAY_HTTP_PORT: String((other.address() as AddressInfo).port) };
    },
    line: /^error: cannot listen on 127\.0\.0\.1 port \d+: another process uses it; set SLIPWAY_HTTP_PORT to another one$/,
  },
  {
    name: 'an address that this machine does not have',
    // TEST-NET-1 (RFC 5737): nobody's.
    environment: () => ({ SLIPWAY_HOST: '192.0.2.1', SLIPWAY_MODEL_REPOSITORY: temporaryFolder() }),
    line: /^error: cannot listen on 192\.0\.2\.1 port 0: this machine has no such address; set SLIPWAY_HOST to another one$/,
  },
  {
    name: 'no model at all',
    environment: () => ({}),
    line: /^error: no model to serve: set SLIPWAY_MODEL_REPOSITORY /,
  },
  {
    name: 'two answers to which models',
    environment: () => ({ SLIPWAY_MODELS: '[]', SLIPWAY_MODEL_REPOSITORY: '/models' }),
    line: /^error: SLIPWAY_MODELS and SLIPWAY_MODEL_REPOSITORY are both set; unset one of them$/,
  },
  {
    name: 'an empty model repository',
    environment: () => ({ SLIPWAY_MODEL_REPOSITORY: temporaryFolder() }),
    line: /^error: no model found in .*: expected <model>\/<version>\/model\.onnx, as slipway model publish lays it out$/,
  },
  {
    name: 'a model repository that is not there',
    environment: () => ({ SLIPWAY_MODEL_REPOSITORY: '/no/such/folder' }),
    line: /^error: model repository \/no\/such\/folder: \/no\/such\/folder\/ does not exist$/,
  },
  {
    name: 'a model repository of an unknown kind',
    environment: () => ({ SLIPWAY_MODEL_REPOSITORY: 'ftp://bucket' }),
    line: /^error: model repository ftp:\/\/bucket: ftp:\/\/bucket\/ must begin with file:\/\/, s3:\/\/, .* or https:\/\/$/,
  },
  {
    name: 'a file URI that ends before its path does',
    environment: () => ({ SLIPWAY_MODEL_REPOSITORY: `${pathToFileURL(temporaryFolder()).href}#2` }),
    line: /^error: model repository file:.*#2: .*#2\/ names no file of this machine: '#' must be written as %23$/,
  },
  {
    name: 'model references that are no JSON',
    environment: () => ({ SLIPWAY_MODELS: 'resnet' }),
    line: /^error: MODEL_REFERENCE_INVALID SLIPWAY_MODELS: must be JSON/,
  },
  {
    name: 'a file of model references that is not there',
    environment: () => ({ SLIPWAY_MODELS: 'file:///no/such/models.json' }),
    line: /^error: SLIPWAY_MODELS cannot be read: ENOENT/,
  },
  {
    name: 'a disk that is too small',
    environment: () => ({
      SLIPWAY_MODELS: JSON.stringify([
        {
          name: 'm',
          version: 1,
          files: [{ path: 'model.onnx', uri: 's3://b/k', bytes: 2 ** 52, sha256: 'a'.repeat(64) }],
        },
      ]),
    }),
    line: /^error: the models need \d+ MiB in .*, \d+ MiB are free; /,
  },
  {
    name: 'a cache that cannot be written',
    environment: () => {
      const file = path.join(temporaryFolder(), 'file');
      writeFileSync(file, '');
      return {
        SLIPWAY_CACHE_DIRECTORY: file,
        SLIPWAY_MODELS: JSON.stringify([
          { name: 'm', version: 1, files: [{ path: 'model.onnx', uri: 's3://b/k', bytes: 1, sha256: 'a'.repeat(64) }] },
        ]),
      };
    },
    line: /^error: .* cannot be written: .*; set SLIPWAY_CACHE_DIRECTORY /,
  },
];

test.each(REFUSALS)('ends with one clear line for $name', async ({ environment, line }) => {
  const server = await startServerProcess(await environment());
  expect(await server.exited).toEqual({ code: 1, signal: null });
  expect(server.stderr()).toMatch(/^[^\n]+\n$/);
  expect(server.stderr().trimEnd()).toMatch(line);
});

test('a start that takes longer than its budget ends with what was missing', async () => {
  const server = await startServerProcess({
    SLIPWAY_STARTUP_BUDGET_SECONDS: '1',
    // Nobody listens there: a store that does not answer is asked again and again.
    AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
    SLIPWAY_MODELS: JSON.stringify([{ name: 'm', version: 1, folder: 's3://bucket/m/1/' }]),
  });
  const { code, signal } = await server.exited;
  expect([code, signal]).not.toEqual([0, null]);
  const line = server.stderr().trimEnd().split('\n').at(-1);
  expect(line).toMatch(
    /^error: not ready within the startup budget of 1 s: model 'm' version 1: loading: s3:.*ECONNREFUSED/,
  );
});

test('onnxruntime leaves no telemetry behind', async () => {
  const home = temporaryFolder();
  const repository = await publishedRepository('digits', 'models/digits/model.onnx');
  const server = await startServerProcess({ HOME: home, SLIPWAY_MODEL_REPOSITORY: pathToFileURL(repository).href });
  await server.waitFor('ready');
  expect(await openConnections(server.child.pid!)).toEqual([]);
  server.child.kill('SIGTERM');
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(existsSync(path.join(home, '.cache'))).toBe(false);
  expect(readdirSync(home)).toEqual([]);
});

/** Sockets of a process that are anything but listening, as Linux lists them; none are known elsewhere. */
async function openConnections(pid: number): Promise<string[]> {
  if (!existsSync('/proc/net/tcp')) return [];
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''));
  const ours = new Set((await Promise.all(links)).flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  expect(ours.size).toBeGreaterThanOrEqual(2);
  const LISTENING = '0A';
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((protocol) =>
    readFileSync(`/proc/net/${protocol}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => inode !== undefined && ours.has(inode) && state !== LISTENING)
      .map((fields) => `${protocol} ${fields.slice(1, 4).join(' ')}`),
  );
}
