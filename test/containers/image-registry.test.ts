import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  buildImage,
  findContainerTool,
  pinBaseImage,
  pushImage,
  readImagePin,
  type ContainerTool,
} from '../../runtime/image';
import { resolveDigest } from '../../runtime/image/resolve-digest';
import { toolOnPath } from '../support/tools';
import { BUILD_ARGUMENTS } from './base-images';

// Debian's name of the reference implementation of the OCI distribution API, and its own.
const REGISTRY = toolOnPath('docker-registry') ?? toolOnPath('registry');
const INDEX_TYPES =
  'application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json';
const IMAGE_TYPES = 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json';

describe.each(['podman', 'buildah'] as const)('with a real registry, %s', (name) => {
  let scratch: string;
  let registries: ChildProcess[];
  /** With TLS, as every registry is that the tools talk to without being told otherwise. */
  let host: string;
  /** The same storage without TLS: what this test itself reads. */
  let plainHost: string;
  let tool: ContainerTool;
  let reason: string | undefined;

  beforeAll(async () => {
    reason = [toolOnPath(name), toolOnPath('openssl'), REGISTRY].every(Boolean)
      ? undefined
      : `${name}, openssl and docker-registry are not all on the PATH (on Debian: apt-get install ${name} openssl docker-registry)`;
    if (reason !== undefined) return;
    scratch = mkdtempSync(path.join(tmpdir(), 'slipway-registry-'));
    [host, plainHost] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const tls = await makeCertificate(scratch);
    registries = [startRegistry(host, scratch, tls), startRegistry(plainHost, scratch)];
    // Go programs take it in place of the system's certificates.
    vi.stubEnv('SSL_CERT_FILE', tls.certificate);
    vi.stubEnv('SSL_CERT_DIR', scratch);
    // A storage of its own, so that nothing is left in the machine's.
    const storage = path.join(scratch, 'storage.conf');
    const [graph, running] = [path.join(scratch, 'graph'), path.join(scratch, 'run')];
    writeFileSync(storage, `[storage]\ndriver = "vfs"\ngraphroot = "${graph}"\nrunroot = "${running}"\n`);
    vi.stubEnv('CONTAINERS_STORAGE_CONF', storage);
    mkdirSync(path.join(scratch, 'context'));
    writeFileSync(
      path.join(scratch, 'context', 'Dockerfile'),
      'ARG BASE_IMAGE=scratch\nFROM ${BASE_IMAGE}\nCOPY data /data\n',
    );
    tool = await findContainerTool(name);
    await untilAnswers(`http://${plainHost}/v2/`);
  });

  afterAll(() => {
    vi.unstubAllEnvs();
    if (reason !== undefined) return;
    for (const registry of registries) registry.kill();
    rmSync(scratch, { recursive: true });
  });

  beforeEach((ctx) => {
    if (reason !== undefined) ctx.skip(reason);
  });

  function options(data: string) {
    writeFileSync(path.join(scratch, 'context', 'data'), data);
    return { context: path.join(scratch, 'context'), directory: scratch, tool, toolArguments: BUILD_ARGUMENTS };
  }

  async function manifest(repository: string, reference: string, accept: string) {
    const response = await fetch(`http://${plainHost}/v2/${repository}/manifests/${reference}`, {
      headers: { accept },
    });
    expect(response.status).toBe(200);
    return {
      digest: response.headers.get('docker-content-digest'),
      body: (await response.json()) as { manifests?: { platform: { architecture: string } }[] },
    };
  }

  test('pushes an image and hands out the digest that the registry has it under', async () => {
    const pushed = await pushImage(`${host}/team/single`, { ...options('one'), tag: 'v1' });
    const { digest } = await manifest('team/single', 'v1', IMAGE_TYPES);
    expect(pushed).toBe(`${host}/team/single@${digest}`);
  });

  test('pushes one index for several platforms, without what an earlier build left', async () => {
    const platforms = ['linux/amd64', 'linux/arm64'] as const;
    await pushImage(`${host}/team/several`, { ...options('one'), tag: 'v1', platforms });
    const pushed = await pushImage(`${host}/team/several`, { ...options('two'), tag: 'v1', platforms });
    const { digest, body } = await manifest('team/several', 'v1', INDEX_TYPES);
    expect(pushed).toBe(`${host}/team/several@${digest}`);
    expect(body.manifests?.map(({ platform }) => platform.architecture).sort()).toEqual(['amd64', 'arm64']);
  });

  test('pins a tag to the digest of the whole index, and builds on what it pinned', async () => {
    const platforms = ['linux/amd64', 'linux/arm64'] as const;
    const base = `${host}/team/base`;
    const pushed = await pushImage(base, { ...options('base'), tag: '24-slim', platforms });
    const digest = pushed.split('@')[1];

    const { path: file, pin } = await pinBaseImage({ ...options('base'), baseImage: `${base}:24-slim` });
    expect(pin.baseImage).toBe(`${base}:24-slim@${digest}`);
    expect(path.basename(file)).toBe('slipway.image.json');
    expect(readImagePin(scratch).baseImage).toBe(pin.baseImage);

    const toolArguments = BUILD_ARGUMENTS.filter((argument) => !argument.startsWith('--pull'));
    const built = await buildImage({ ...options('on the pin'), toolArguments, tag: `${host}/team/on-pin:v1` });
    expect(built.unpinned).toEqual([]);
    rmSync(file);
  });

  test('pins the same digest where no other program can tell it', async () => {
    const pushed = await pushImage(`${host}/team/alone`, { ...options('alone'), tag: 'v1' });
    const onlyTheTool = path.join(scratch, 'bin');
    mkdirSync(onlyTheTool);
    symlinkSync(toolOnPath(name)!, path.join(onlyTheTool, name));
    const before = process.env['PATH'];
    process.env['PATH'] = onlyTheTool;
    try {
      expect(`${host}/team/alone@${await resolveDigest(`${plainHost}/team/alone:v1`, tool)}`).toBe(pushed);
    } finally {
      process.env['PATH'] = before;
    }
  });

  test('a tag that is not there is not pinned, and the error says what everybody said', async () => {
    await expect(pinBaseImage({ ...options('x'), baseImage: `${plainHost}/team/none:v1` })).rejects.toThrow(
      /DIGEST_UNKNOWN .*\/team\/none:v1: nobody could tell its digest \(.*; the registry itself: .* answered 404\)/,
    );
    expect(readImagePin(scratch)).toEqual({});
  });

  test('a push that tells no digest hands out nothing in its place', async () => {
    const silent = path.join(scratch, 'silent');
    mkdirSync(silent);
    // The real tool, but its digest file stays empty.
    writeFileSync(
      path.join(silent, name),
      `#!/bin/sh\ncase "$1" in push) shift 2; file=$1; shift; : > "$file"; exec ${toolOnPath(name)} push "$@";; esac\nexec ${toolOnPath(name)} "$@"\n`,
    );
    chmodSync(path.join(silent, name), 0o755);
    const before = process.env['PATH'];
    process.env['PATH'] = `${silent}:${before}`;
    try {
      await expect(pushImage(`${host}/team/silent`, { ...options('one'), tag: 'v1' })).rejects.toThrow(
        `DIGEST_UNKNOWN ${host}/team/silent:v1: ${name} ended its push without an error and without a digest`,
      );
    } finally {
      process.env['PATH'] = before;
    }
  });
});

interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

async function makeCertificate(scratch: string): Promise<Certificate> {
  const [certificate, key] = [path.join(scratch, 'certificate.pem'), path.join(scratch, 'key.pem')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  await promisify(execFile)('openssl', [...request, ...subject, '-keyout', key, '-out', certificate]);
  return { certificate, key };
}

function startRegistry(host: string, scratch: string, tls?: Certificate): ChildProcess {
  const configuration = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: path.join(scratch, 'storage') } },
    http: { addr: host, ...(tls === undefined ? {} : { tls }) },
  };
  // JSON is YAML.
  const file = path.join(scratch, `registry-${host.split(':')[1]}.yml`);
  writeFileSync(file, JSON.stringify(configuration));
  return spawn(REGISTRY!, ['serve', file], { stdio: 'ignore' });
}

async function untilAnswers(url: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (
      await fetch(url).then(
        (response) => response.ok,
        () => false,
      )
    )
      return;
    await sleep(100);
  }
  throw new Error(`${url} did not answer within ten seconds`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
