import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { intraOpThreadsFor, readCpuQuota } from '../../runtime/server/cpu-quota';
import { addOneModel } from '../support/onnx-models';
import { plainRepository, temporaryFolder } from './harness/model-repository';
import { floats, request } from './harness/running-server';
import { bundleServer } from './harness/server-bundle';
import { startServerProcess, type ServerProcess } from './harness/server-process';

const ONNXRUNTIME = path.resolve('node_modules/onnxruntime-node');

/** The server's bundle in a folder of its own, beside the packages that `install` puts there. */
async function installed(install: (modules: string) => void): Promise<URL> {
  const folder = temporaryFolder();
  const modules = path.join(folder, 'node_modules');
  mkdirSync(modules);
  const bundle = path.dirname(fileURLToPath(await bundleServer()));
  for (const part of ['server.mjs', 'server-chunks']) {
    cpSync(path.join(bundle, part), path.join(folder, part), { recursive: true });
  }
  install(modules);
  return pathToFileURL(path.join(folder, 'server.mjs'));
}

async function answerOf(server: ServerProcess): Promise<unknown> {
  await server.waitFor('model ready');
  const { json } = await request(`${await server.url()}/v2/models/addone/infer`, {
    method: 'POST',
    body: JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4])),
  });
  return json.outputs[0].data;
}

const environment = (): Record<string, string> => ({
  SLIPWAY_MODEL_REPOSITORY: plainRepository({ addone: addOneModel() }),
  SLIPWAY_EXECUTOR: 'native',
});

test('a server with native executors answers, says which executors it has and leaves no trace of telemetry', async () => {
  const home = temporaryFolder();
  const server = await startServerProcess({ ...environment(), HOME: home });
  expect(await answerOf(server)).toEqual([2, 3, 4, 5]);
  expect(await server.waitFor('session opened')).toMatchObject({ executor: 'native', onnxRuntime: '1.30.0' });
  server.child.kill('SIGTERM');
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(readdirSync(home)).toEqual([]);
});

test('without koffi workers take the place of native executors, and one warning says why', async () => {
  const bundle = await installed((modules) => symlinkSync(ONNXRUNTIME, path.join(modules, 'onnxruntime-node')));
  const server = await startServerProcess({ ...environment(), SLIPWAY_EXECUTORS: '2' }, bundle);
  expect(await answerOf(server)).toEqual([2, 3, 4, 5]);
  const opened = server.log.filter(({ msg }) => msg === 'session opened');
  // Native executors would share the threads of one session, workers have theirs each.
  const intraOpThreads = intraOpThreadsFor('worker', readCpuQuota(), 2);
  expect(opened).toMatchObject(new Array(2).fill({ executor: 'worker', intraOpThreads }));
  const warnings = server.log.filter(({ msg }) => msg.startsWith('native executors cannot run here'));
  expect(warnings).toMatchObject([{ level: 'warn', reason: expect.stringContaining("'koffi'") }]);
});

test('a library of another version than its package is not called', async () => {
  const bundle = await installed((modules) => {
    symlinkSync(path.resolve('node_modules/koffi'), path.join(modules, 'koffi'));
    symlinkSync(path.resolve('node_modules/onnxruntime-common'), path.join(modules, 'onnxruntime-common'));
    const fake = path.join(modules, 'onnxruntime-node');
    mkdirSync(fake);
    for (const part of ['bin', 'dist']) symlinkSync(path.join(ONNXRUNTIME, part), path.join(fake, part));
    writeFileSync(
      path.join(fake, 'package.json'),
      JSON.stringify({ name: 'onnxruntime-node', version: '9.9.9', main: 'dist/index.js' }),
    );
  });
  const server = await startServerProcess(environment(), bundle);
  expect(await answerOf(server)).toEqual([2, 3, 4, 5]);
  expect(server.log.find(({ msg }) => msg.startsWith('native executors cannot run here'))).toMatchObject({
    reason: expect.stringContaining('is onnxruntime 1.30.0, its package 9.9.9'),
  });
  expect(await server.waitFor('session opened')).toMatchObject({ executor: 'worker' });
});
