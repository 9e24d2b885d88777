import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildImage, findContainerTool, type BuildImageOptions } from '../../runtime/image';
import { BUILD_ARGUMENTS, baseImages, registryAccess, whyNoContainers } from './base-images';
import { inspectImage, podman } from './running-container';

const IMAGE = `localhost/slipway-test/cuda:${process.pid}`;
const BUILD_MINUTES = 15;
const LIBRARIES = ['cuda', 'shared', 'tensorrt'].map((provider) => `libonnxruntime_providers_${provider}.so`);

interface Zip {
  addFile(name: string, content: Buffer): void;
  toBuffer(): Buffer;
}

// The archive of the real CUDA provider is 400 MB behind a feed; this one has its layout, served from here.
function makeArchive(): Buffer {
  const onnxruntime = path.resolve(__dirname, '../../node_modules/onnxruntime-node/package.json');
  const AdmZip = createRequire(onnxruntime)('adm-zip') as new () => Zip;
  const zip = new AdmZip();
  for (const name of LIBRARIES) zip.addFile(`runtimes/linux-x64/native/${name}`, randomBytes(1_000));
  return zip.toBuffer();
}

describe('the CUDA image', () => {
  const reason = whyNoContainers();
  const archive = makeArchive();
  const sha256 = createHash('sha256').update(archive).digest('hex');
  let server: Server;
  let options: BuildImageOptions;

  beforeAll(async () => {
    if (reason !== undefined) return;
    const { baseImage, buildImage: npmImage } = await baseImages();
    server = createServer((_request, response) => response.end(archive));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/archive.nupkg`;
    options = {
      variant: 'cuda',
      baseImage,
      buildImage: npmImage,
      // Nothing runs in the last stage, so what it stands on does not matter to the build.
      cudaImage: baseImage,
      tag: IMAGE,
      tool: await findContainerTool('podman'),
      toolArguments: [...BUILD_ARGUMENTS, ...registryAccess(), '--build-arg', `ONNXRUNTIME_CUDA_URL=${url}`],
      directory: __dirname,
    };
  }, BUILD_MINUTES * 60_000);

  afterAll(async () => {
    if (reason !== undefined) return;
    server.close();
    // Pruning would take layers from under a build that runs at the same time.
    await podman(['rmi', '--force', '--ignore', '--no-prune', IMAGE]);
  });

  beforeEach((ctx) => {
    if (reason !== undefined) ctx.skip(reason);
  });

  test(
    'does not build while no SHA-256 is recorded, and says which one it saw',
    async () => {
      const printed: string[] = [];
      const build = buildImage({ ...options, log: (line) => printed.push(line) });
      await expect(build).rejects.toThrow(/COMMAND_FAILED podman build/);
      expect(printed.join('\n')).toContain(`the one just seen is ${sha256}`);
      expect(printed.join('\n')).toContain(`slipway image pin --variant cuda --cuda-sha256 ${sha256}`);
    },
    BUILD_MINUTES * 60_000,
  );

  test(
    'builds against the recorded SHA-256 and holds the provider beside the library of its platform',
    async () => {
      await buildImage({ ...options, cudaSha256: sha256 });
      const { Config: config } = await inspectImage(IMAGE);
      expect(config).toMatchObject({ User: '10001:10001', Entrypoint: ['node', '/app/server.mjs'] });
      expect(config['Env']).toEqual(
        expect.arrayContaining(['NVIDIA_DRIVER_CAPABILITIES=compute,utility', 'ORT_DISABLE_TELEMETRY=1']),
      );

      const list = `console.log(JSON.stringify(require('node:fs').readdirSync(process.argv[1]).sort()))`;
      const folder = '/app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64';
      const limits = ['--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=4096:4096', '--network', 'none'];
      const run = ['run', '--rm', ...limits, '--entrypoint', 'node', IMAGE, '-e', list, folder];
      expect(JSON.parse((await podman(run)).stdout)).toEqual(
        [...LIBRARIES, 'libonnxruntime.so.1', 'onnxruntime_binding.node'].sort(),
      );
    },
    BUILD_MINUTES * 60_000,
  );
});
