import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { slipway } from './terminal';

const ROOT = path.resolve(__dirname, '../..');
const BIN = path.join(ROOT, 'dist/runtime/cli/bin.js');
const ANY_PORTS = ['--http-port', '0', '--grpc-port', '0', '--metrics-port', '0'];
let folder: string;
let models: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-serve-'));
  models = path.join(folder, 'models');
  await slipway('model', 'publish', path.join(ROOT, 'models/digits/model.onnx'), models);
});
afterAll(() => rmSync(folder, { recursive: true }));

function environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('SLIPWAY_'));
  return { ...Object.fromEntries(inherited), ...extra };
}

function serveAndFail(flags: readonly string[], extra?: Record<string, string>) {
  const { status, stderr } = spawnSync(process.execPath, [BIN, 'serve', ...flags], {
    encoding: 'utf8',
    env: environment(extra),
    timeout: 30_000,
  });
  return { status, stderr };
}

describe('slipway serve ends with exit 1 and one clear line', () => {
  test.each([
    ['a flag that is out of range', ['--http-port', '70000'], '--http-port: must be a whole number from 0 to 65535'],
    ['no model repository', ANY_PORTS, 'no model to serve: '],
    ['a repository that is not there', ['--model-repository', '/nowhere', ...ANY_PORTS], '/nowhere'],
    ['a repository without a model', ['--model-repository', __dirname, ...ANY_PORTS], 'no model found in '],
  ])('for %s', (_what, flags, message) => {
    const { status, stderr } = serveAndFail(flags);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toContain(message);
  });

  test('for an unknown variable, naming the nearest one', () => {
    const { status, stderr } = serveAndFail(['--model-repository', models], { SLIPWAY_HTP_PORT: '1' });
    expect(status).toBe(1);
    expect(stderr).toBe(
      'error: ENVIRONMENT_UNKNOWN SLIPWAY_HTP_PORT: no such variable, the nearest one is SLIPWAY_HTTP_PORT\n',
    );
  });

  test('for a port that another process uses', async () => {
    const occupant = createServer();
    await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve));
    const { port } = occupant.address() as AddressInfo;
    const child = spawn(process.execPath, [
      ...[BIN, 'serve', '--model-repository', models],
      ...['--http-port', String(port), '--metrics-port', '0'],
    ]);
    const stderr = await collect(child);
    occupant.close();
    expect(child.exitCode).toBe(1);
    expect(stderr).toMatch(new RegExp(`^error: [^\\n]*\\b${port}\\b[^\\n]*\\n$`));
  });
});

test('a flag wins over the variable of the same name, and Ctrl-C drains to exit 0', async () => {
  const child = spawn(process.execPath, [BIN, 'serve', '--model-repository', models, ...ANY_PORTS], {
    env: environment({ SLIPWAY_HTTP_PORT: '1', SLIPWAY_MODEL_REPOSITORY: '/nowhere' }),
  });
  const log = await readyLog(child);
  const { httpPort } = JSON.parse(
    log()
      .split('\n')
      .find((line) => line.includes('"listening"'))!,
  );
  const metadata = await (await fetch(`http://127.0.0.1:${httpPort}/v2/models/digits`)).json();
  expect(metadata).toMatchObject({ name: 'digits', versions: ['1'] });

  child.kill('SIGINT');
  await new Promise((resolve) => child.once('close', resolve));
  expect(child.exitCode).toBe(0);
});

test.each([
  ['nobody is waited for', {}, 0],
  ['a lag that was asked for is kept', { SLIPWAY_DEREGISTRATION_LAG_SECONDS: '1' }, 1],
])('no load balancer is in front of a server by hand, so when it ends %s', async (_what, extra, lagSeconds) => {
  const flags = ['serve', '--model-repository', models, ...ANY_PORTS];
  const child = spawn(process.execPath, [BIN, ...flags], { env: environment(extra) });
  const log = await readyLog(child);
  child.kill('SIGINT');
  await new Promise((resolve) => child.once('close', resolve));
  const draining = log()
    .split('\n')
    .find((line) => line.includes('"msg":"draining"'))!;
  expect(JSON.parse(draining)).toMatchObject({ lagSeconds });
});

/** What the server wrote so far, once it is ready. */
async function readyLog(child: ChildProcess): Promise<() => string> {
  let log = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (log += text));
  while (!log.includes('"msg":"ready"')) {
    if (child.exitCode !== null) throw new Error(log);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return () => log;
}

async function collect(child: ChildProcess): Promise<string> {
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await new Promise((resolve) => child.once('close', resolve));
  return stderr;
}
