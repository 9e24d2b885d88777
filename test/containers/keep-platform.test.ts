import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { installLocked } from '../package/packed-package';
import { nativeFiles } from './native-files';

const ROOT = path.resolve(__dirname, '../..');
const IMAGE = path.join(ROOT, 'containers/image');
const run = promisify(execFile);

interface KeepPlatform {
  readonly keepPlatform: (nodeModules: string, os: string, architecture: string) => void;
}
const script = import(pathToFileURL(path.join(IMAGE, 'keep-platform.mjs')).href) as Promise<KeepPlatform>;

const CPU = { amd64: 'x64', arm64: 'arm64' } as const;
const HOST = Object.entries(CPU).find(([, cpu]) => cpu === process.arch)?.[0] as keyof typeof CPU | undefined;

let scratch: string;
let nodeModules: string;
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'slipway-modules-'));
  nodeModules = path.join(scratch, 'node_modules');
});
afterEach(() => rmSync(scratch, { recursive: true }));

/** Installs what the image of a processor installs, as its Dockerfile does. @returns why that cannot be done here */
function installFor(architecture: keyof typeof CPU): string | undefined {
  for (const name of ['package.json', 'package-lock.json']) cpSync(path.join(IMAGE, name), path.join(scratch, name));
  return installLocked(scratch, ['--omit=dev', '--os=linux', `--cpu=${CPU[architecture]}`, '--libc=glibc']);
}

test.for(['amd64', 'arm64'] as const)(
  'keeps everything that runs on %s, and nothing else',
  async (architecture, ctx) => {
    const unreachable = installFor(architecture);
    if (unreachable !== undefined) return ctx.skip(unreachable);
    (await script).keepPlatform(nodeModules, 'linux', architecture);
    const cpu = CPU[architecture];
    const binaries = nativeFiles(nodeModules);
    expect(new Set(Object.values(binaries))).toEqual(new Set([architecture]));
    expect(Object.keys(binaries).sort()).toEqual([
      expect.stringMatching(`^@img/sharp-libvips-linux-${cpu}/lib/libvips-cpp\\.so\\.`),
      expect.stringMatching(`^@img/sharp-linux-${cpu}/lib/sharp-linux-${cpu}-.+\\.node$`),
      `@koromix/koffi-linux-${cpu}/linux_${cpu}/koffi.node`,
      `onnxruntime-node/bin/napi-v6/linux/${cpu}/libonnxruntime.so.1`,
      `onnxruntime-node/bin/napi-v6/linux/${cpu}/onnxruntime_binding.node`,
    ]);
    const names = readdirSync(nodeModules).sort();
    expect(names).toEqual([
      '@img',
      '@koromix',
      'detect-libc',
      'koffi',
      'onnxruntime-common',
      'onnxruntime-node',
      'semver',
      'sharp',
    ]);
    // libvips is under the LGPL: what it is made of and under which terms goes where it goes.
    const libvips = path.join(nodeModules, '@img', `sharp-libvips-linux-${cpu}`);
    expect(readdirSync(libvips).sort()).toEqual(['README.md', 'lib', 'package.json', 'versions.json']);
  },
);

test('what is left still runs a model, calls a C function and reads a picture on this machine', async (ctx) => {
  if (process.platform !== 'linux' || HOST === undefined) return ctx.skip('the image is for linux alone');
  const unreachable = installFor(HOST);
  if (unreachable !== undefined) return ctx.skip(unreachable);
  (await script).keepPlatform(nodeModules, 'linux', HOST);
  const program = path.join(scratch, 'program.mjs');
  writeFileSync(
    program,
    `import { createRequire } from 'node:module';
     import koffi from 'koffi';
     import ort from 'onnxruntime-node';
     import sharp from 'sharp';
     const session = await ort.InferenceSession.create(process.argv[2]);
     const { probabilities } = await session.run({ image: new ort.Tensor('float32', new Float32Array(64), [1, 1, 8, 8]) });
     const png = await sharp({ create: { width: 2, height: 3, channels: 3, background: '#fff' } }).png().toBuffer();
     const { width, height } = await sharp(png).metadata();
     const require = createRequire(import.meta.url);
     console.log(JSON.stringify({
       dims: probabilities.dims,
       picture: [width, height],
       absolute: koffi.load(null).func('int abs(int)')(-4),
       required: [typeof require('koffi').load, typeof require('sharp')],
     }));`,
  );
  const { stdout } = await run(process.execPath, [program, path.join(ROOT, 'models/digits/model.onnx')], {
    cwd: scratch,
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  });
  expect(JSON.parse(stdout)).toEqual({
    dims: [1, 10],
    picture: [2, 3],
    absolute: 4,
    required: ['function', 'function'],
  });
});

test('a platform that the image is not built for is refused and nothing is deleted', async () => {
  mkdirSync(path.join(nodeModules, 'adm-zip'), { recursive: true });
  for (const name of ['package.json', 'dist', 'bin/napi-v6/linux/x64']) {
    cpSync(path.join(ROOT, 'node_modules/onnxruntime-node', name), path.join(nodeModules, 'onnxruntime-node', name), {
      recursive: true,
    });
  }
  const { keepPlatform } = await script;
  expect(() => keepPlatform(nodeModules, 'linux', 's390x')).toThrow("architecture 's390x' is none that");
  expect(() => keepPlatform(nodeModules, 'freebsd', 'amd64')).toThrow('onnxruntime-node has nothing for freebsd/amd64');
  expect(existsSync(path.join(nodeModules, 'adm-zip'))).toBe(true);
});
