import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request, type IncomingMessage } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { Readable } from 'node:stream';
import { expect, onTestFinished, test, vi, type TestContext } from 'vitest';
import type { StoredFile } from '../../runtime/model/model-store';
import { publishModel } from '../../runtime/model/publish-model';
import { measure, putBlob } from '../../runtime/model/stores/oci-blob';
import { OciRegistry } from '../../runtime/model/stores/oci-registry';
import { ociModelStore } from '../../runtime/model/stores/oci-model-store';
import { readPublicKeys } from '../../runtime/signing/public-keys';
import { verifySignature } from '../../runtime/signing/verify-signature';
import { startEmulator } from '../../runtime/testing/emulator';
import { temporaryFolder } from '../server/harness/model-repository';
import { toolOnPath } from '../support/tools';
import { refusal } from './refusal';

const DIGITS = 'models/digits/model.onnx';
const MIB = 2 ** 20;

/** A registry on this machine, `host:port`. What a stopped upload is remembered by is the test's own. */
async function startRegistry(ctx: TestContext): Promise<string> {
  const program = toolOnPath('docker-registry') ?? toolOnPath('registry');
  if (program === undefined) return ctx.skip('docker-registry is not on the PATH');
  const folder = temporaryFolder();
  const config = path.join(folder, 'config.yml');
  const registry = await startEmulator(
    program,
    (port) => {
      const storage = `storage:\n  filesystem:\n    rootdirectory: ${folder}/data\n`;
      writeFileSync(config, `version: 0.1\nlog:\n  level: error\n${storage}http:\n  addr: 127.0.0.1:${port}\n`);
      return ['serve', config];
    },
    '/v2/',
  );
  onTestFinished(async () => void (await registry.stop()));
  variable('XDG_CACHE_HOME', temporaryFolder());
  variable('DOCKER_CONFIG', temporaryFolder());
  return `127.0.0.1:${registry.port}`;
}

function variable(name: string, value: string): void {
  vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

async function json(host: string, repository: string, what: string): Promise<any> {
  const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';
  const response = await fetch(`http://${host}/v2/${repository}/${what}`, { headers: { Accept: accept } });
  expect(response.status).toBe(200);
  return response.json();
}

function stored(name: string, bytes: Uint8Array): StoredFile {
  const localPath = path.join(temporaryFolder(), 'file');
  writeFileSync(localPath, bytes);
  return { path: name, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex'), localPath };
}

test('a model is published as an image whose one layer unpacks to the model repository', async (ctx) => {
  const host = await startRegistry(ctx);
  const options = { source: DIGITS, name: 'digits', repository: `oci://${host}/team/models`, golden: false };
  const published = await publishModel(options);
  const [, digest] = published.uri.split('@');
  expect(published.uri).toMatch(new RegExp(`^${host}/team/models:digits-1@sha256:[0-9a-f]{64}$`));
  const index = await json(host, 'team/models', `manifests/${digest}`);
  expect(index.annotations['dev.slipway.manifest.sha256']).toBe(published.manifestSha256);
  expect(index.manifests.map(({ platform }: any) => platform.architecture)).toEqual(['amd64', 'arm64']);

  const skopeo = toolOnPath('skopeo');
  if (skopeo === undefined) return ctx.skip('skopeo is not on the PATH');
  const copy = temporaryFolder();
  const from = `docker://${host}/team/models:digits-1`;
  execFileSync(skopeo, ['--insecure-policy', 'copy', '--src-tls-verify=false', from, `dir:${copy}`], { stdio: 'pipe' });
  const image = JSON.parse(readFileSync(path.join(copy, 'manifest.json'), 'utf8'));
  expect(image.layers).toHaveLength(1);
  expect(image.layers[0].annotations['org.opencontainers.image.title']).toBe('digits-1.tar');
  const unpacked = temporaryFolder();
  execFileSync('tar', ['-xf', path.join(copy, image.layers[0].digest.slice('sha256:'.length)), '-C', unpacked]);
  expect(readFileSync(path.join(unpacked, 'digits/1/model.onnx')).equals(readFileSync(DIGITS))).toBe(true);
  expect(JSON.parse(readFileSync(path.join(unpacked, 'digits/1/manifest.json'), 'utf8'))).toEqual(published.manifest);

  expect((await publishModel(options)).uri).toContain(':digits-2@');
  expect((await refusal(publishModel({ ...options, version: 1 }))).code).toBe('VERSION_EXISTS');
});

test('a signed image has the signature that cosign looks for, over its digest', async (ctx) => {
  const host = await startRegistry(ctx);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signKey = path.join(temporaryFolder(), 'key.pem');
  writeFileSync(signKey, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const repository = `oci://${host}/models`;
  const { uri } = await publishModel({ source: DIGITS, name: 'digits', repository, golden: false, signKey });
  const digest = uri.split('@')[1]!;
  const { layers } = await json(host, 'models', `manifests/${digest.replace(':', '-')}.sig`);
  expect(layers[0].mediaType).toBe('application/vnd.dev.cosign.simplesigning.v1+json');
  const payload = Buffer.from(await (await fetch(`http://${host}/v2/models/blobs/${layers[0].digest}`)).arrayBuffer());
  expect(JSON.parse(payload.toString()).critical.image['docker-manifest-digest']).toBe(digest);
  const keys = readPublicKeys(publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'keys');
  const signature = layers[0].annotations['dev.cosignproject.cosign/signature'];
  expect(verifySignature(payload, signature, keys, 'image').fingerprint).toBe(keys[0]!.fingerprint);
});

test('a tag that is there is refused, and leads where it did', async (ctx) => {
  const host = await startRegistry(ctx);
  const store = ociModelStore(`oci://${host}/models`);
  const manifest = stored('manifest.json', Buffer.from('{}'));
  await store.write('m', 1, [stored('model.onnx', Buffer.from('first'))], manifest);
  const place = store.placeOf!('m', 1);
  const again = ociModelStore(`oci://${host}/models`);
  const error = await refusal(again.write('m', 1, [stored('model.onnx', Buffer.from('second'))], manifest));
  expect(error.code).toBe('VERSION_EXISTS');
  expect(place).toBe(`${host}/models:m-1@${(await again.read('m/1/manifest.json'))!.tag}`);
});

test('an interrupted push goes on where it stopped, and a layer that is there is not sent', async (ctx) => {
  const host = await startRegistry(ctx);
  const files = [stored(`deep/${'name/'.repeat(30)}weights.bin`, randomBytes(4 * MIB + 77))];
  const manifest = stored('manifest.json', Buffer.from('{}'));
  const open = () => ociModelStore(`oci://${host}/models`, { chunkBytes: MIB });
  let chunks = 0;
  const dying = open().write('m', 1, files, manifest, () => {
    if (++chunks === 2) throw new Error('killed');
  });
  await expect(dying).rejects.toThrow('killed');
  expect(await open().versions('m')).toEqual([]);
  const sent: [number, boolean][] = [];
  await open().write('m', 1, files, manifest, (_, bytes, wereThere) => void sent.push([bytes, wereThere]));
  expect(sent[0]).toEqual([2 * MIB, true]);
  expect(sent.slice(1).every(([, wereThere]) => !wereThere)).toBe(true);
  expect(await open().versions('m')).toEqual([1]);
});

test('a connection that breaks in the middle of a chunk ends no push, also where the registry then gives the upload up', async (ctx) => {
  const host = await startRegistry(ctx);
  const port = await breakingOnce(Number(host.split(':')[1]), 2 * MIB + 500_000);
  const content = randomBytes(4 * MIB + 77);
  const store = ociModelStore(`oci://127.0.0.1:${port}/models`, { chunkBytes: MIB });
  await store.write('m', 1, [stored('weights.bin', content)], stored('manifest.json', Buffer.from('{}')));
  const index = await json(host, 'models', 'manifests/m-1');
  const image = await json(host, 'models', `manifests/${index.manifests[0].digest}`);
  const layer = await fetch(`http://${host}/v2/models/blobs/${image.layers[0].digest}`);
  expect(Buffer.from(await layer.arrayBuffer()).includes(content)).toBe(true);
});

test('of pushes of one blob from one machine, which remember one upload, none ends the others', async (ctx) => {
  const host = await startRegistry(ctx);
  const content = randomBytes(2 * MIB + 77);
  const chunks = (): AsyncIterable<Uint8Array> => Readable.from([content]);
  const blob = await measure(chunks());
  const push = () => putBlob(new OciRegistry(host, 'models'), blob, chunks, () => {}, MIB);
  await Promise.all(Array.from({ length: 4 }, push));
  const there = await fetch(`http://${host}/v2/models/blobs/${blob.digest}`);
  expect(Buffer.from(await there.arrayBuffer()).equals(content)).toBe(true);
});

/** A port that leads to another one, and where the first connection that has sent so many bytes in all is cut. */
async function breakingOnce(target: number, bytes: number): Promise<number> {
  let sent = 0;
  let isBroken = false;
  const sockets = new Set<Socket>();
  const server = createTcpServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined));
    far.pipe(near);
    near.on('close', () => far.destroy());
    near.on('data', (chunk: Buffer) => {
      sent += chunk.byteLength;
      if (isBroken || sent < bytes) return void far.write(chunk);
      isBroken = true;
      // What has come so far arrives, and nothing else.
      far.write(chunk, () => {
        far.end();
        near.destroy();
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('who asks for a token gets one with what docker login left, by a helper too, and strangers are refused', async (ctx) => {
  const host = await startRegistry(ctx);
  const guarded = await startGuard(host);
  const repository = `oci://${guarded}/models`;
  const publish = () => publishModel({ source: DIGITS, name: 'digits', repository, golden: false });
  expect((await refusal(publish())).message).toMatch(/^REPOSITORY_UNREACHABLE oci:.*docker login 127\.0\.0\.1:\d+$/);

  const folder = temporaryFolder();
  variable('DOCKER_CONFIG', folder);
  const auth = Buffer.from('me:secret').toString('base64');
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ auths: { [guarded]: { auth } } }));
  expect((await publish()).manifest.version).toBe(1);

  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ credHelpers: { [guarded]: 'slipway-test' } }));
  const helper = path.join(folder, 'docker-credential-slipway-test');
  writeFileSync(helper, `#!/bin/sh\nread -r host\nprintf '{"Username":"me","Secret":"secret"}'\n`);
  chmodSync(helper, 0o755);
  variable('PATH', `${folder}:${process.env['PATH']}`);
  expect((await publish()).manifest.version).toBe(2);
});

/** Stands before a registry and lets in whoever brings the token that it gives for a password. */
async function startGuard(registry: string): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const { authorization = '' } = incoming.headers;
    if (incoming.url!.startsWith('/token')) {
      const isKnown = authorization === `Basic ${Buffer.from('me:secret').toString('base64')}`;
      outgoing.writeHead(isKnown ? 200 : 401).end(JSON.stringify({ token: 'let-me-in' }));
      return;
    }
    if (authorization !== 'Bearer let-me-in') {
      incoming.resume();
      const realm = `http://${incoming.headers.host}/token`;
      outgoing.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${realm}",service="registry"` }).end();
      return;
    }
    const [hostname, port] = registry.split(':');
    const onward = request({ hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers });
    incoming.pipe(onward);
    onward.on('response', (response: IncomingMessage) => {
      outgoing.writeHead(response.statusCode!, response.headers);
      response.pipe(outgoing);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.for(['oci://registry', 'oci://registry/Upper', 'oci://registry/models:tag', 'oci:///models'])(
  '%s is no repository of a registry',
  async (uri) => {
    const error = await refusal((async () => Promise.resolve(ociModelStore(uri)))());
    expect(error.code).toBe('REPOSITORY_INVALID');
  },
);

test('a registry that nobody answers at is one sentence', async () => {
  const error = await refusal(ociModelStore('oci://127.0.0.1:9/models').versions('m'));
  expect(error.message).toMatch(/^REPOSITORY_UNREACHABLE oci:\/\/127\.0\.0\.1:9\/models\/: [^\n]+$/);
});

test('labels are refused where a registry has none', async () => {
  const error = await refusal((async () => ociModelStore('oci://127.0.0.1:9/models').models())());
  expect(error.message).toContain('has no labels');
});
