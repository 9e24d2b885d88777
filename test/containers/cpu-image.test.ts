import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildImage, findContainerTool, type ContainerTool } from '../../runtime/image';
import { CONTAINER_USER, CONTRACT, HEALTH_COMMAND, PORTS } from '../../runtime/spec/endpoints';
import { BUILD_ARGUMENTS, baseImages, registryAccess, whyNoContainers, type BaseImages } from './base-images';
import { classify, clientUntil, digitIn, DIGITS, images, labels, refusal, slowRequest } from './digits-client';
import { call, connectInference, floatsOf, infer, rawFloats } from '../server/grpc/grpc-client';
import { identityModel } from '../support/onnx-models';
import { nativeFiles } from './native-files';
import { inspectImage, podman, runCommand, startContainer, type RunningContainer } from './running-container';

const IMAGE = `localhost/slipway-test/cpu:${process.pid}`;
const ARM_IMAGE = `localhost/slipway-test/cpu-arm64:${process.pid}`;
/** Gives a picture's bytes back. */
const picture = identityModel({ datatype: 'UINT8', shape: ['n', 2, 2, 3] });
const BUILD_MINUTES = 15;
const READY_SECONDS = 30;
const LAG_SECONDS = 6;

describe('the CPU image', () => {
  const reason = whyNoContainers();
  const printed: string[] = [];
  let bases: BaseImages;
  let tool: ContainerTool;
  let modelRepository: string;

  beforeAll(async () => {
    if (reason !== undefined) return;
    bases = await baseImages();
    // Docker has a storage of its own, which podman cannot run from.
    tool = await findContainerTool('podman');
    await buildImage({
      ...bases,
      tag: IMAGE,
      tool,
      toolArguments: [...BUILD_ARGUMENTS, ...registryAccess()],
      directory: path.resolve(__dirname),
      log: (line) => printed.push(line),
    });
    modelRepository = mkdtempSync(path.join(tmpdir(), 'slipway-models-'));
    // The container's user is nobody here: it reads what everybody may read.
    chmodSync(modelRepository, 0o755);
    for (const [name, model] of Object.entries({ digits: readFileSync(path.join(DIGITS, 'model.onnx')), picture })) {
      mkdirSync(path.join(modelRepository, name, '1'), { recursive: true });
      writeFileSync(path.join(modelRepository, name, '1', 'model.onnx'), model);
    }
  }, BUILD_MINUTES * 60_000);

  afterAll(async () => {
    if (reason !== undefined) return;
    rmSync(modelRepository, { recursive: true });
    // Pruning would take layers from under a build that runs at the same time.
    await podman(['rmi', '--force', '--ignore', '--no-prune', IMAGE, ARM_IMAGE]);
  });

  beforeEach((ctx) => {
    if (reason !== undefined) ctx.skip(reason);
  });

  function start(environment: Readonly<Record<string, string>> = {}): Promise<RunningContainer> {
    return startContainer(IMAGE, {
      environment: { SLIPWAY_MODEL_REPOSITORY: '/models', ...environment },
      mounts: { [modelRepository]: '/models' },
    });
  }

  test('says while it is built that its base is not pinned', () => {
    expect(printed.join('\n')).toContain(`base image ${bases.baseImage} is a tag, not a digest`);
  });

  test('declares its user, ports, health check, signal, contract and no telemetry', async () => {
    const { Config: config, Architecture: architecture, Healthcheck: healthCheck } = await inspectImage(IMAGE);
    expect(architecture).toBe('amd64');
    expect(healthCheck).toMatchObject({ Test: ['CMD', ...HEALTH_COMMAND] });
    expect(config).toMatchObject({
      User: `${CONTAINER_USER}:${CONTAINER_USER}`,
      Entrypoint: ['node', '/app/server.mjs'],
      ExposedPorts: Object.fromEntries(Object.values(PORTS).map((port) => [`${port}/tcp`, {}])),
      StopSignal: 'SIGTERM',
      Labels: { 'dev.slipway.contract': String(CONTRACT), 'org.opencontainers.image.base.name': bases.baseImage },
    });
    expect(config['Env']).toEqual(
      expect.arrayContaining(['NODE_ENV=production', 'ORT_DISABLE_TELEMETRY=1', 'SLIPWAY_HOST=0.0.0.0', 'HOME=/tmp']),
    );
  });

  test('adds less than 100 MB to its base', async () => {
    const [base, image] = await Promise.all([inspectImage(bases.baseImage), inspectImage(IMAGE)]);
    const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
    console.log(`CPU image: ${megabytes(image.Size)}, its base ${megabytes(base.Size)}`);
    expect(image.Size - base.Size).toBeLessThan(100e6);
  });

  test('predicts, healthy, without root, a shell, a writable root file system or telemetry', async () => {
    const container = await start();
    try {
      await untilReady(container);
      expect(await container.healthCheck()).toBe(0);

      const answers = await Promise.all(images.slice(0, 32).map((image) => classify(container.url, image)));
      expect(answers).toEqual(labels.slice(0, 32));

      const facts = JSON.parse(await container.evaluate(`(${factsInside.toString()})()`)) as unknown;
      expect(facts).toEqual({
        user: CONTAINER_USER,
        group: CONTAINER_USER,
        shells: [],
        writingToApp: 'EROFS',
        cacheFolder: [CONTAINER_USER, CONTAINER_USER, 0o40700],
        // With telemetry, onnxruntime leaves .cache/Microsoft, .ses and a log here and opens a connection.
        strayFiles: [],
        outgoingConnections: [],
        architectures: ['x64'],
        npmPackages: [
          '@img',
          '@koromix',
          'detect-libc',
          'koffi',
          'onnxruntime-common',
          'onnxruntime-node',
          'semver',
          'sharp',
        ],
        licences: ['GPL-3.0.txt', 'LGPL-3.0.txt', 'LICENSE', 'NOTICE', 'THIRD-PARTY-NOTICES.md'],
      });
    } finally {
      await container.remove();
    }
  });

  test('runs slipway model inspect and publish under the same restrictions, as steps of a pipeline do', async () => {
    const model = '/models/digits/1/model.onnx';
    const inspected = await runCommand(IMAGE, ['node', '/app/cli.mjs', 'model', 'inspect', model], modelRepository);
    expect(inspected.stdout).toContain('image FP32 [batch, 1, 8, 8]');
    const publish = ['model', 'publish', model, '/tmp/models', '--name', 'digits', '--version', '2'];
    const published = await runCommand(IMAGE, ['node', '/app/cli.mjs', ...publish], modelRepository);
    expect(published.stdout.trim()).toBe('file:///tmp/models/digits/2/');
  });

  test('runs models through native executors under the same restrictions', async () => {
    const container = await start({ SLIPWAY_EXECUTOR: 'native' });
    try {
      await untilReady(container);
      const answers = await Promise.all(images.slice(0, 32).map((image) => classify(container.url, image)));
      expect(answers).toEqual(labels.slice(0, 32));
      // Where native executors cannot run, the server serves all the same, by workers, and says so.
      expect(await container.logs()).not.toContain('workers take their place');
      const opened = `console.log(require('node:fs').readFileSync('/proc/1/maps', 'utf8').includes('/koffi.node'))`;
      expect((await container.evaluate(opened)).trim()).toBe('true');
    } finally {
      await container.remove();
    }
  });

  test('reads a PNG, and leaves no file behind', async () => {
    const container = await start();
    try {
      await untilReady(container);
      const pixels = [255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3];
      const raw = { width: 2, height: 2, channels: 3 } as const;
      const response = await fetch(`${container.url}/predict/picture`, {
        method: 'POST',
        headers: { 'content-type': 'image/png' },
        body: await sharp(Uint8Array.from(pixels), { raw }).png().toBuffer(),
      });
      const answer = await response.text();
      expect(response.status, answer).toBe(200);
      expect((JSON.parse(answer) as { predictions: number[][] }).predictions.flat(3)).toEqual(pixels);
      const files = `console.log(require('node:fs').readdirSync('/tmp').filter((name) => name !== 'slipway').join())`;
      expect((await container.evaluate(files)).trim()).toBe('');
    } finally {
      await container.remove();
    }
  });

  test('answers over gRPC', async () => {
    const container = await start();
    try {
      await untilReady(container);
      const client = connectInference(container.grpcPort);
      expect(await call(client, 'ModelReady', { name: 'digits' })).toEqual({ ready: true });
      const { raw_output_contents } = await infer(client, rawFloats('digits', [1, 1, 8, 8], images[0]!, 'image'));
      const probabilities = floatsOf(raw_output_contents[0]);
      expect(probabilities.indexOf(Math.max(...probabilities))).toBe(labels[0]);
    } finally {
      await container.remove();
    }
  });

  test('its health check fails while nothing listens on the port', async () => {
    const container = await start();
    try {
      await untilReady(container);
      const check = `
        const { status } = require('node:child_process').spawnSync('node', ['/app/healthcheck.mjs'], {
          env: { ...process.env, SLIPWAY_HTTP_PORT: '9' },
        });
        console.log(status);`;
      expect((await container.evaluate(check)).trim()).toBe('1');
    } finally {
      await container.remove();
    }
  });

  test('told to stop under load it loses no request: it serves on for the deregistration lag, finishes, exits 0', async () => {
    const container = await start({ SLIPWAY_DEREGISTRATION_LAG_SECONDS: String(LAG_SECONDS) });
    try {
      await untilReady(container);
      const deregistered = new AbortController();
      const clients = Array.from({ length: 8 }, (_, i) => clientUntil(deregistered.signal, container.url, i));
      await sleep(1_000);
      const signalledAt = Date.now();
      await container.signal('SIGTERM');
      await sleep(500);
      expect(await status(`${container.url}/readyz`)).toBe(503);

      // A load balancer sends new requests for as long as it takes to notice; the lag is longer than that.
      await sleep((LAG_SECONDS - 3) * 1_000);
      deregistered.abort();
      // This one arrives within the lag and is still sending its body when nothing new is accepted any more.
      const slow = slowRequest(container.url, images[0]!);
      while ((await refusal(container.url)) !== 'ECONNREFUSED') await sleep(50);
      expect(await container.isRunning()).toBe(true);
      slow.finish();

      const [exitCode, slowAnswer, ...results] = await Promise.all([container.exitCode(), slow.answer, ...clients]);
      const failures = results.flatMap((result) => result.failures);
      expect(failures, await container.logs()).toEqual([]);
      expect(digitIn(slowAnswer)).toBe(labels[0]);
      expect(exitCode).toBe(0);
      for (const { answeredAt } of results) {
        expect(answeredAt.filter((time) => time < signalledAt).length).toBeGreaterThan(0);
        expect(answeredAt.filter((time) => time > signalledAt + 500).length).toBeGreaterThan(0);
      }
    } finally {
      await container.remove();
    }
  });

  test(
    'an arm64 image builds on amd64 without emulation and holds the arm64 libraries alone',
    async () => {
      await buildImage({
        buildImage: bases.buildImage,
        // Nothing runs in the last stage, so it needs no base at all to be built.
        baseImage: 'scratch',
        platforms: ['linux/arm64'],
        tag: ARM_IMAGE,
        tool,
        toolArguments: [...BUILD_ARGUMENTS, ...registryAccess()],
        directory: path.resolve(__dirname),
      });
      expect((await inspectImage(ARM_IMAGE)).Architecture).toBe('arm64');
      const scratch = mkdtempSync(path.join(tmpdir(), 'slipway-arm64-'));
      const id = (await podman(['create', '--platform', 'linux/arm64', ARM_IMAGE])).stdout.trim();
      try {
        await podman(['cp', `${id}:/app/node_modules`, scratch]);
        const binaries = nativeFiles(path.join(scratch, 'node_modules'));
        expect(Object.keys(binaries)).toHaveLength(5);
        expect(new Set(Object.values(binaries))).toEqual(new Set(['arm64']));
      } finally {
        await podman(['rm', id]);
        rmSync(scratch, { recursive: true });
      }
    },
    BUILD_MINUTES * 60_000,
  );
});

/** Executed inside the container: what a shell would have been asked. */
function factsInside(): void {
  const fs = process.getBuiltinModule('node:fs');
  const modules = '/app/node_modules';
  const cacheFolder = fs.statSync('/var/cache/slipway');
  const writing = (): string => {
    try {
      fs.writeFileSync('/app/probe', '');
      return 'written';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'unknown';
    }
  };
  // Columns 2 and 3 of /proc/net/tcp are the remote address and the state: 0A is listening, the rest has a peer.
  const connections = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    fs
      .readFileSync(table, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.trim().split(/\s+/))
      .filter(([, local, , state]) => state !== '0A' && !local!.endsWith(':1F90'))
      .map(([, , remote]) => remote),
  );
  console.log(
    JSON.stringify({
      user: process.getuid!(),
      group: process.getgid!(),
      cacheFolder: [cacheFolder.uid, cacheFolder.gid, cacheFolder.mode],
      shells: ['/bin/sh', '/bin/bash', '/usr/bin/sh', '/bin/busybox'].filter((shell) => fs.existsSync(shell)),
      writingToApp: writing(),
      strayFiles: fs.readdirSync('/tmp').filter((name) => name !== 'slipway'),
      outgoingConnections: connections,
      architectures: fs.readdirSync(`${modules}/onnxruntime-node/bin/napi-v6/linux`),
      npmPackages: fs.readdirSync(modules).sort(),
      licences: fs.readdirSync('/app/licenses').sort(),
    }),
  );
}

async function untilReady(container: RunningContainer): Promise<void> {
  const deadline = Date.now() + READY_SECONDS * 1_000;
  while ((await status(`${container.url}/readyz`)) !== 200) {
    if (Date.now() > deadline || !(await container.isRunning())) {
      throw new Error(`the container did not become ready:\n${await container.logs()}`);
    }
    await sleep(100);
  }
}

async function status(url: string): Promise<number | undefined> {
  return fetch(url).then(
    (response) => response.status,
    () => undefined,
  );
}
