import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test, type TestContext } from 'vitest';
import { findTool } from '../support/tools';
import { publishedRepository, temporaryFolder } from './harness/model-repository';
import { floats, request } from './harness/running-server';
import { startServerProcess } from './harness/server-process';
import { until } from './harness/until';

const KEY = 'slipway_a-key-of-a-test';

/** All that a server can be asked to do by itself, but no address of anybody. */
const EVERYTHING = {
  SLIPWAY_API_KEYS: JSON.stringify([
    { name: 'test', sha256: createHash('sha256').update(KEY).digest('hex'), groups: ['infer', 'metadata', 'admin'] },
  ]),
  SLIPWAY_ADMIN_PORT: '0',
  SLIPWAY_CLOUDWATCH_METRICS: 'true',
  SLIPWAY_HOT_RELOAD: 'true',
  SLIPWAY_LOG_LEVEL: 'debug',
  SLIPWAY_RELOAD_SECONDS: '0.1',
  SLIPWAY_RESPONSE_CACHE_MIB: '8',
  SLIPWAY_SINGLE_FLIGHT: 'true',
};

/** Lines of system calls by which something would leave the process for another machine. */
function outgoing(trace: string): readonly string[] {
  return trace
    .split('\n')
    .filter((line) => /sa_family=AF_INET6?/.test(line))
    .filter((line) => !/inet_addr\("127\.|inet_pton\(AF_INET6, "::1"/.test(line));
}

function strace(ctx: TestContext): string {
  const program = findTool('strace') ?? ctx.skip('no strace on the PATH');
  const works = spawnSync(program, ['-o', '/dev/null', process.execPath, '--version']).status === 0;
  return works ? program : ctx.skip('strace may not trace processes here');
}

test('with everything on and no address given, nothing leaves the machine and nothing is written at home', async (ctx) => {
  const home = temporaryFolder();
  const trace = path.join(temporaryFolder(), 'trace');
  const repository = pathToFileURL(await publishedRepository('digits', 'models/digits/model.onnx')).href;
  // As a process of its own, so that signals reach the server itself.
  const wrapper = [strace(ctx), '-D', '-f', '-qq', '-o', trace, '-e', 'trace=connect,sendto,sendmsg,sendmmsg'];
  const environment = { ...EVERYTHING, HOME: home, SLIPWAY_MODEL_REPOSITORY: repository };
  const server = await startServerProcess(environment, undefined, wrapper);
  const url = await server.url();
  await server.waitFor('ready');
  const headers = { 'x-api-key': KEY };
  const body = JSON.stringify(floats('input', [1, 64], new Array<number>(64).fill(0)));
  for (let i = 0; i < 20; i++) {
    await request(`${url}/v2/models/digits/infer`, { method: 'POST', body, headers });
    await request(`${url}/v2/models/digits`, { headers });
  }
  const { metricsPort } = await server.waitFor('listening');
  expect((await request(`http://127.0.0.1:${String(metricsPort)}/metrics?compat=triton`)).status).toBe(200);
  await server.waitForLine((line) => '_aws' in line);
  server.child.kill('SIGTERM');
  expect(await server.exited).toEqual({ code: 0, signal: null });
  await until('the trace is whole', () => existsSync(trace));
  expect(outgoing(readFileSync(trace, 'utf8'))).toEqual([]);
  expect(readdirSync(home)).toEqual([]);
});

test('the watch over outgoing connections sees one', async (ctx) => {
  const trace = path.join(temporaryFolder(), 'trace');
  const wrapper = [strace(ctx), '-D', '-f', '-qq', '-o', trace, '-e', 'trace=connect,sendto,sendmsg,sendmmsg'];
  // An address that was set aside for examples: nobody has it.
  const server = await startServerProcess(
    {
      SLIPWAY_MODEL_REPOSITORY: 's3://bucket/models',
      AWS_ENDPOINT_URL: 'http://192.0.2.1:9',
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 'b',
      AWS_REGION: 'eu-central-1',
    },
    undefined,
    wrapper,
  );
  await server.waitFor('listening');
  await until('a connection is tried', () => existsSync(trace) && outgoing(readFileSync(trace, 'utf8')).length > 0);
  expect(outgoing(readFileSync(trace, 'utf8'))[0]).toContain('192.0.2.1');
});
