import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { shownUri, SourceError } from '../../runtime/sources/model-source';
import { sourceOf } from '../../runtime/sources/source-of';
import { startFileServer, type FileServer } from '../support/file-server';
import { makeLoopbackCertificate } from '../support/loopback-certificate';
import { addOneModel } from '../support/onnx-models';
import { findTool } from '../support/tools';
import { publishedRepository } from './harness/model-repository';
import { floats, request } from './harness/running-server';
import { startServerProcess } from './harness/server-process';

const signal = AbortSignal.timeout(60_000);
const BYTES = Buffer.from('0123456789');

async function read(uri: string): Promise<string> {
  const stream = await sourceOf(uri).open(uri, signal);
  return Buffer.concat(await stream.toArray()).toString();
}

async function errorOf(act: Promise<unknown>): Promise<SourceError> {
  const error = await act.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SourceError);
  return error as SourceError;
}

function redirectTo(location: string): Promise<FileServer> {
  return startFileServer({
    fault: (_, response) => response.writeHead(302, { Location: location }).end() !== undefined,
  });
}

test('a user and a password go to their own host, and no redirect takes them to another', async () => {
  const target = await startFileServer();
  target.files.set('/model.onnx', BYTES);
  const first = await redirectTo(`${target.url}/model.onnx?token=1`);
  const uri = first.url.replace('://', '://me:s%2Fcret@') + '/model.onnx';
  expect(await read(uri)).toBe('0123456789');
  expect(first.requests[0]!.authorization).toBe(`Basic ${Buffer.from('me:s/cret').toString('base64')}`);
  expect(target.requests).toEqual([{ path: '/model.onnx', range: undefined }]);
});

test('redirects are followed a few times, within https:// or this machine, and then no more', async () => {
  const loop: FileServer = await startFileServer({
    fault: (_, response) => response.writeHead(302, { Location: '/again' }).end() !== undefined,
  });
  expect(await errorOf(read(`${loop.url}/a`))).toMatchObject({
    failure: 'permanent',
    message: expect.stringMatching(/redirects more than 5 times$/),
  });
  expect(loop.requests).toHaveLength(6);
  const away = await redirectTo('http://192.0.2.1/model.onnx');
  expect(await errorOf(read(`${away.url}/a`))).toMatchObject({ failure: 'permanent' });
});

test.each(['http://192.0.2.1/m/1/', 'http://models.example/m/1/', 'http://127.0.0.1.example/m/1/'])(
  '%s is not asked, because it would be unencrypted',
  async (uri) => {
    const error = await errorOf(sourceOf(uri).stat(`${uri}model.onnx`, signal));
    expect(error).toMatchObject({ failure: 'permanent', message: expect.stringContaining('use https://') });
  },
);

test.each([
  [200, undefined],
  [401, 'missing'],
  [403, 'missing'],
  [404, 'missing'],
  [429, 'transient'],
  [500, 'transient'],
  [503, 'transient'],
  [412, 'changed'],
  [400, 'permanent'],
])('a web server that answers %i is taken as %s', async (status, failure) => {
  const server = await startFileServer({ fault: (_, response) => response.writeHead(status).end() !== undefined });
  const opening = sourceOf(server.url).open(`${server.url}/a`, signal);
  if (failure === undefined) (await opening).destroy();
  else expect((await errorOf(opening)).failure).toBe(failure);
});

test('messages show neither who asks nor what signs the request', async () => {
  expect(shownUri('https://me:secret@host/m/1/model.onnx?sig=abc#d')).toBe('https://host/m/1/model.onnx');
  expect(shownUri('https://host/m@1/model.onnx')).toBe('https://host/m@1/model.onnx');
  expect(shownUri('s3://bucket/what?#is this')).toBe('s3://bucket/what?#is this');
  const server = await startFileServer();
  const uri = `${server.url.replace('://', '://me:secret@')}/none?sig=signature`;
  const { message } = await errorOf(read(uri));
  expect(message).toBe(`${server.url}/none does not exist (404)`);
  const gone = 'https://me:secret@127.0.0.1:1/none?sig=signature';
  expect((await errorOf(read(gone))).message).toBe('https://127.0.0.1:1/none cannot be read: ECONNREFUSED');
});

test('a folder with a manifest is served over TLS, from an authority that the operator names, and from no other', async (ctx) => {
  const openssl = findTool('openssl');
  if (openssl === undefined) return ctx.skip('openssl is not on the PATH');
  const tls = makeLoopbackCertificate(openssl);
  const server = await startFileServer({ tls });
  const repository = await publishedRepository('addone', addOneModel());
  const folder = path.join(repository, 'addone', '1');
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) server.files.set(`/team/${path.relative(repository, file)}`, readFileSync(file));
  }
  const models = JSON.stringify([{ name: 'addone', version: 1, folder: `${server.url}/team/addone/1/` }]);
  const trusting = await startServerProcess({ SLIPWAY_MODELS: models, NODE_EXTRA_CA_CERTS: tls.certificateFile });
  await trusting.waitFor('ready');
  const body = JSON.stringify(floats('input', [1, 4], [1, 2, 3, 4]));
  const answer = await request(`${await trusting.url()}/v2/models/addone/infer`, { method: 'POST', body });
  expect(answer.json.outputs[0].data).toEqual([2, 3, 4, 5]);

  const wary = await startServerProcess({ SLIPWAY_MODELS: models });
  await wary.waitFor('not ready');
  expect((await request(`${await wary.url()}/readyz`)).json.reason).toMatch(/cannot be read: .*SELF_SIGNED/);
});
