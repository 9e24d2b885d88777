import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = path.resolve(__dirname, '../..');
const run = promisify(execFile);

interface KeepPlatform {
  readonly keepPlatform: (nodeModules: string, os: string, architecture: string) => void;
}
const script = import(
  pathToFileURL(path.join(ROOT, 'containers/image/keep-platform.mjs')).href
) as Promise<KeepPlatform>;

let scratch: string;
let nodeModules: string;
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'slipway-modules-'));
  nodeModules = path.join(scratch, 'node_modules');
  for (const name of ['onnxruntime-node', 'onnxruntime-common', 'adm-zip']) {
    cpSync(path.join(ROOT, 'node_modules', name), path.join(nodeModules, name), { recursive: true });
  }
});
afterEach(() => rmSync(scratch, { recursive: true }));

test('keeps the libraries of one platform and the two packages that are loaded', async () => {
  (await script).keepPlatform(nodeModules, 'linux', 'arm64');
  expect(readdirSync(nodeModules).sort()).toEqual(['onnxruntime-common', 'onnxruntime-node']);
  const bin = path.join(nodeModules, 'onnxruntime-node', 'bin', 'napi-v6');
  expect(readdirSync(bin)).toEqual(['linux']);
  expect(readdirSync(path.join(bin, 'linux'))).toEqual(['arm64']);
  expect(readdirSync(path.join(bin, 'linux', 'arm64')).sort()).toEqual([
    'libonnxruntime.so.1',
    'onnxruntime_binding.node',
  ]);
});

test('what is left still runs a model on this machine', async (ctx) => {
  const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as string];
  if (process.platform !== 'linux' || architecture === undefined) return ctx.skip('the image is for linux alone');
  (await script).keepPlatform(nodeModules, 'linux', architecture);
  const { stdout } = await run(
    process.execPath,
    [
      '-e',
      `const ort = require('onnxruntime-node');
       ort.InferenceSession.create(process.argv[1])
         .then((session) => session.run({ image: new ort.Tensor('float32', new Float32Array(64), [1, 1, 8, 8]) }))
         .then((result) => console.log(JSON.stringify(result.probabilities.dims)));`,
      path.join(ROOT, 'models/digits/model.onnx'),
    ],
    { cwd: scratch, env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' } },
  );
  expect(JSON.parse(stdout)).toEqual([1, 10]);
});

test('an architecture that the image is not built for is refused and nothing is deleted', async () => {
  const { keepPlatform } = await script;
  expect(() => keepPlatform(nodeModules, 'linux', 's390x')).toThrow("architecture 's390x' is none that");
  expect(() => keepPlatform(nodeModules, 'freebsd', 'amd64')).toThrow('onnxruntime-node has nothing for freebsd/amd64');
  expect(existsSync(path.join(nodeModules, 'adm-zip'))).toBe(true);
});
