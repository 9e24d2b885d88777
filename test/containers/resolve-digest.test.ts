import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ContainerTool } from '../../runtime/image';
import { digestCommands, resolveDigest } from '../../runtime/image/resolve-digest';
import { formatCommand } from '../../runtime/image/run-command';

const MANIFEST = JSON.stringify({ schemaVersion: 2, manifests: [] });
const DIGEST = `sha256:${createHash('sha256').update(MANIFEST).digest('hex')}`;
const buildah = { name: 'buildah', buildx: false } as const;

let server: Server;
let host: string;
let asked: { url: string | undefined; authorization: string | undefined }[];
let challenge: string;

// A registry that asks for a token, as Docker Hub does of everybody.
beforeEach(async () => {
  vi.stubEnv('PATH', '');
  asked = [];
  server = createServer((request, response) => {
    const { url, headers } = request;
    asked.push({ url, authorization: headers.authorization });
    if (url?.startsWith('/token')) return void response.end(JSON.stringify({ token: 'anonymous' }));
    if (headers.authorization === 'Bearer anonymous') return void response.end(MANIFEST);
    response.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  challenge = `Bearer realm="http://${host}/token",service="registry.test"`;
});
afterEach(() => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
});

test('asks the registry with an anonymous token for that image repository alone', async () => {
  expect(await resolveDigest(`${host}/team/node:24-slim`, buildah)).toBe(DIGEST);
  expect(asked).toEqual([
    { url: '/v2/team/node/manifests/24-slim', authorization: undefined },
    { url: '/token?service=registry.test&scope=repository%3Ateam%2Fnode%3Apull', authorization: undefined },
    { url: '/v2/team/node/manifests/24-slim', authorization: 'Bearer anonymous' },
  ]);
});

test('a registry that wants a password is left to the tools that know it', async () => {
  challenge = 'Basic realm="private"';
  await expect(resolveDigest(`${host}/team/node:24-slim`, buildah)).rejects.toThrow(
    /nobody could tell its digest \(.*skopeo: is not on the PATH; the registry itself: asks for a login: 'Basic/,
  );
});

test('docker and skopeo are asked without pulling anything, both where no tool is named', () => {
  const image = 'docker.io/library/node:24-slim';
  const lines = (tool?: ContainerTool): string[] => digestCommands(image, tool).map(formatCommand);
  const docker = `docker buildx imagetools inspect --format '{{json .Manifest}}' ${image}`;
  const skopeo = `skopeo inspect --no-tags --format '{{.Digest}}' docker://${image}`;
  expect(lines({ name: 'docker', buildx: true })).toEqual([docker]);
  expect(lines(buildah)).toEqual([skopeo]);
  expect(lines()).toEqual([docker, skopeo]);
});

test('pinning needs no container tool at all', async () => {
  expect(await resolveDigest(`${host}/team/node:24-slim`)).toBe(DIGEST);
});
