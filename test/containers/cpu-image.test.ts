import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildImage, findContainerTool, type ContainerTool } from '../../runtime/image';
import { CONTAINER_USER, CONTRACT, HEALTH_COMMAND, PORTS } from '../../runtime/spec/endpoints';
import { BUILD_ARGUMENTS, baseImages, registryAccess, whyNoContainers, type BaseImages } from './base-images';
import { classify, clientUntil, digitIn, DIGITS, images, labels, refusal, slowRequest } from './digits-client';
import { inspectImage, podman, startContainer, type RunningContainer } from './running-container';

const IMAGE = `localhost/slipway-test/cpu:${process.pid}`;
const ARM_IMAGE = `localhost/slipway-test/cpu-arm64:${process.pid}`;
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
    mkdirSync(path.join(modelRepository, 'digits', '1'), { recursive: true });
    cpSync(path.join(DIGITS, 'model.onnx'), path.join(modelRepository, 'digits', '1', 'model.onnx'));
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
      ExposedPorts: { [`${PORTS.http}/tcp`]: {}, [`${PORTS.metrics}/tcp`]: {} },
      StopSignal: 'SIGTERM',
      Labels: { 'dev.slipway.contract': String(CONTRACT), 'org.opencontainers.image.base.name': bases.baseImage },
    });
    expect(config['Env']).toEqual(
      expect.arrayContaining(['NODE_ENV=production', 'ORT_DISABLE_TELEMETRY=1', 'SLIPWAY_HOST=0.0.0.0', 'HOME=/tmp']),
    );
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
        // With telemetry, onnxruntime leaves .cache/Microsoft, .ses and a log here and opens a connection.
        strayFiles: [],
        outgoingConnections: [],
        architectures: ['x64'],
        npmPackages: ['onnxruntime-common', 'onnxruntime-node'],
      });
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
    'an arm64 image builds on amd64 without emulation and holds the arm64 library alone',
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
        const binding = 'node_modules/onnxruntime-node/bin/napi-v6/linux/arm64/onnxruntime_binding.node';
        await podman(['cp', `${id}:/app/${binding}`, path.join(scratch, 'binding')]);
        // e_machine of the ELF header: 183 is AArch64.
        expect(readFileSync(path.join(scratch, 'binding')).readUInt16LE(18)).toBe(183);
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
      shells: ['/bin/sh', '/bin/bash', '/usr/bin/sh', '/bin/busybox'].filter((shell) => fs.existsSync(shell)),
      writingToApp: writing(),
      strayFiles: fs.readdirSync('/tmp').filter((name) => name !== 'slipway'),
      outgoingConnections: connections,
      architectures: fs.readdirSync(`${modules}/onnxruntime-node/bin/napi-v6/linux`),
      npmPackages: fs.readdirSync(modules).sort(),
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
