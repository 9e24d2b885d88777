import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../runtime/cli/quickstart/local-server';
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
  slipway('model', 'publish', 'digits/model.onnx', 'served');
  const port = await freePort(0);
  const ports = ['--http-port', String(port), '--metrics-port', '0', '--deregistration-lag-seconds', '0'];
  const server = spawn(binary(project, 'slipway'), ['serve', '--model-repository', 'served', ...ports], {
    cwd: project,
  });
  const ended = new Promise<number | null>((resolve) => server.once('exit', resolve));
  let log = '';
  server.stdout.on('data', (text) => (log += text));
  server.stderr.on('data', (text) => (log += text));
  try {
    const url = `http://127.0.0.1:${port}`;
    for (let attempt = 0; !(await isReady(url)); attempt++) {
      if (attempt > 300 || server.exitCode !== null) throw new Error(`not ready:\n${log}`);
      await sleep(100);
    }
    const { labels, images } = JSON.parse(readFileSync(path.join(ROOT, 'models/digits/heldout.json'), 'utf8'));
    const response = await fetch(`${url}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 1, 8, 8], data: images[0] }] }),
    });
    const { outputs } = (await response.json()) as { outputs: { data: number[] }[] };
    expect(outputs[0]!.data.indexOf(Math.max(...outputs[0]!.data))).toBe(labels[0]);
  } finally {
    server.kill('SIGTERM');
  }
  expect(await ended, log).toBe(0);
});

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
