import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../runtime/cli/local-server';
import {
  binary,
  install,
  installedPackages,
  makeScratch,
  packSlipway,
  removeScratch,
  ROOT,
  run,
} from './packed-package';

let scratch: string;
let project: string;
let unreachable: string | undefined;

beforeAll(() => {
  scratch = makeScratch();
  project = path.join(scratch, 'project');
  mkdirSync(project);
  const { tarball } = packSlipway(scratch);
  unreachable = install(project, [tarball, 'onnxruntime-node@1.30.0']);
  cpSync(path.join(ROOT, 'models/digits/model.onnx'), path.join(project, 'digits/model.onnx'));
}, 600_000);
afterAll(() => removeScratch(scratch));
beforeEach((context) => {
  if (unreachable !== undefined) context.skip(unreachable);
});

function slipway(...args: string[]) {
  return run(binary(project, 'slipway'), args, project);
}

test('who only serves installs neither engine', () => {
  expect(installedPackages(project).filter((name) => /cdk|constructs|pulumi/.test(name))).toEqual([]);
});

test('plan, render, inspect and publish work from the installed package', () => {
  writeFileSync(path.join(project, 'service.yaml'), 'name: reader\nmodels:\n  - file: digits/model.onnx\n');
  const planned = slipway('plan', 'service.yaml');
  expect(planned.stdout).toMatch(/startup budget +60 s/);
  const rendered = slipway('render', 'service.yaml', '--image', 'slipway:1', '--model-repository', 's3://models');
  expect(rendered.stdout).toContain('kind: Deployment');
  expect(slipway('model', 'inspect', 'digits/model.onnx').stdout).toContain('image FP32 [batch, 1, 8, 8]');
  const published = slipway('model', 'publish', 'digits/model.onnx', 'models');
  expect(published.stdout, published.stderr).toMatch(/^file:.+\/models\/digits\/1\/\n$/);
});

test('serve answers a real digit, and SIGTERM drains it to exit 0', async () => {
  const server = await serve();
  await expectDigit(server.url);
  expect(await server.stop(), server.log()).toBe(0);
  expect(server.log()).not.toMatch(/koffi|sharp/);
}, 60_000);

test('without koffi and sharp, whoever asks for what needs them is told, and all else is served', async () => {
  expect(installedPackages(project).filter((name) => /koffi|sharp/.test(name))).toEqual([]);
  const server = await serve('--executor', 'native');
  await expectDigit(server.url);
  const answer = await fetch(`${server.url}/predict/digits`, await pngRequest());
  expect([answer.status, await answer.text()]).toEqual([
    501,
    expect.stringContaining('pictures need the package sharp, which is not installed here'),
  ]);
  expect(await server.stop(), server.log()).toBe(0);
  expect(server.log()).toMatch(/koffi.*native executors cannot run here, workers take their place/);
}, 60_000);

test('with koffi and sharp beside it, the installed command runs native executors and reads pictures', async () => {
  const { devDependencies } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  expect(
    install(
      project,
      ['koffi', 'sharp'].map((name) => `${name}@${devDependencies[name]}`),
    ),
  ).toBeUndefined();
  const server = await serve('--executor', 'native');
  await expectDigit(server.url);
  const answer = await fetch(`${server.url}/predict/digits`, await pngRequest());
  expect(answer.status, await answer.text()).toBe(200);
  expect(await server.stop(), server.log()).toBe(0);
  expect(server.log()).not.toContain('workers take their place');
}, 120_000);

interface Serving {
  readonly url: string;
  log(): string;
  /** Asks it to end, and waits. @returns the exit code */
  stop(): Promise<number | null>;
}

/** `slipway serve` of the published digits; killed with the test. */
async function serve(...options: string[]): Promise<Serving> {
  if (!existsSync(path.join(project, 'served'))) slipway('model', 'publish', 'digits/model.onnx', 'served');
  const port = await freePort(0);
  const ports = ['--http-port', String(port), '--metrics-port', '0', '--grpc-port', '0'];
  const flags = ['--model-repository', 'served', ...ports, '--deregistration-lag-seconds', '0', ...options];
  const server = spawn(binary(project, 'slipway'), ['serve', ...flags], { cwd: project });
  const ended = new Promise<number | null>((resolve) => server.once('exit', resolve));
  onTestFinished(() => void server.kill('SIGKILL'));
  let log = '';
  server.stdout.on('data', (text) => (log += text));
  server.stderr.on('data', (text) => (log += text));
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; !(await isReady(url)); attempt++) {
    if (attempt > 300 || server.exitCode !== null) throw new Error(`not ready:\n${log}`);
    await sleep(100);
  }
  const stop = (): Promise<number | null> => {
    server.kill('SIGTERM');
    return ended;
  };
  return { url, log: () => log, stop };
}

async function expectDigit(url: string): Promise<void> {
  const { labels, images } = JSON.parse(readFileSync(path.join(ROOT, 'models/digits/heldout.json'), 'utf8'));
  const response = await fetch(`${url}/v2/models/digits/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 1, 8, 8], data: images[0] }] }),
  });
  const { outputs } = (await response.json()) as { outputs: { data: number[] }[] };
  expect(outputs[0]!.data.indexOf(Math.max(...outputs[0]!.data))).toBe(labels[0]);
}

async function pngRequest(): Promise<RequestInit> {
  const image = sharp({ create: { width: 8, height: 8, channels: 3, background: '#fff' } });
  return { method: 'POST', headers: { 'content-type': 'image/png' }, body: await image.png().toBuffer() };
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
