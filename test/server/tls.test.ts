import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect as connectHttp2 } from 'node:http2';
import path from 'node:path';
import { json as readJson } from 'node:stream/consumers';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import pino from 'pino';
import { expect, onTestFinished, test, type TestContext } from 'vitest';
import { TlsFiles } from '../../runtime/server/tls-files';
import { addOneModel } from '../support/onnx-models';
import { findTool } from '../support/tools';
import { Authority, type Certificate } from './harness/certificates';
import { plainRepository, temporaryFolder } from './harness/model-repository';
import { floats, startServer, type RunningServer } from './harness/running-server';
import { until } from './harness/until';

function authority(ctx: TestContext): Authority {
  const openssl = findTool('openssl');
  if (openssl === undefined) ctx.skip('no openssl on the PATH');
  return new Authority(openssl);
}

function start({ cert, key }: Certificate, tlsClientCa?: string): Promise<RunningServer> {
  return startServer({
    modelRepository: plainRepository({ addone: addOneModel() }),
    tlsCertificate: cert,
    tlsKey: key,
    ...(tlsClientCa === undefined ? {} : { tlsClientCa }),
  });
}

interface Answer {
  readonly status: number;
  readonly json: any;
}

const portOf = ({ url }: RunningServer): number => Number(new URL(url).port);

async function ask(server: RunningServer, target: string, options: RequestOptions, body?: unknown): Promise<Answer> {
  const request = httpsRequest({
    host: '127.0.0.1',
    port: portOf(server),
    path: target,
    method: body === undefined ? 'GET' : 'POST',
    agent: false,
    ...options,
  });
  request.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = await once(request, 'response');
  return { status: response.statusCode, json: await readJson(response) };
}

async function handshake(server: RunningServer, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: portOf(server), servername: 'localhost', ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

const GOOD = floats('input', [1, 4], [1, 2, 3, 4]);

test('with a certificate the server speaks HTTPS, from TLS 1.2 on, and plain HTTP gets no answer', async (ctx) => {
  const ca = authority(ctx);
  const server = await start(ca.issue('server'));
  const trust = { ca: readFileSync(ca.cert) };
  expect((await ask(server, '/v2/models/addone/infer', trust, GOOD)).json.outputs[0].data).toEqual([2, 3, 4, 5]);
  expect((await handshake(server, { ...trust, maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2');
  const old = handshake(server, { ...trust, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' });
  await expect(old).rejects.toThrow();
  await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
  expect((await ask(server, '/livez', trust)).status).toBe(200);
  // Metrics stay inside, where scrapers without certificates are.
  expect((await fetch(`${server.metricsUrl}/metrics`)).status).toBe(200);
});

test('gRPC speaks TLS with the same certificate', async (ctx) => {
  const ca = authority(ctx);
  const server = await start(ca.issue('server'));
  const session = connectHttp2(`https://127.0.0.1:${server.grpcPort}`, { ca: readFileSync(ca.cert) });
  onTestFinished(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ServerLive',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.end(Buffer.alloc(5));
  const body: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => body.push(chunk));
  const [trailers] = await once(stream, 'trailers');
  expect(trailers['grpc-status']).toBe('0');
  expect(Buffer.concat(body).toString('hex')).toBe('00000000020801');
});

test('where client certificates are asked for, their name is the tenant, and probes need none', async (ctx) => {
  const ca = authority(ctx);
  const server = await start(ca.issue('server'), ca.cert);
  const trust = { ca: readFileSync(ca.cert) };
  const as = ({ cert, key }: Certificate): RequestOptions => ({
    ...trust,
    cert: readFileSync(cert),
    key: readFileSync(key),
  });
  const client = as(ca.issue('batch job'));
  expect((await ask(server, '/v2/models/addone/infer', client, GOOD)).status).toBe(200);
  expect((await ask(server, '/v2/models/addone', client)).status).toBe(200);
  await until('the access line', () => server.log.some((line) => line['caller'] === 'batch job'));
  const nobody = await ask(server, '/v2/models/addone/infer', trust, GOOD);
  expect(nobody).toMatchObject({ status: 401, json: { error: 'a client certificate is needed, and none came' } });
  const stranger = as(new Authority(findTool('openssl')!).issue('batch job'));
  expect((await ask(server, '/v2/models/addone/infer', stranger, GOOD)).status).toBe(401);
  for (const probe of ['/livez', '/readyz', '/startupz', '/v2/health/ready']) {
    expect((await ask(server, probe, trust)).status, probe).toBe(200);
  }
});

test('a renewed certificate is used from the next connection on; a pair that does not fit changes nothing', async (ctx) => {
  const ca = authority(ctx);
  const folder = temporaryFolder();
  const files = { cert: path.join(folder, 'tls.crt'), key: path.join(folder, 'tls.key') };
  const install = ({ cert, key }: Certificate): void => {
    copyFileSync(cert, files.cert);
    copyFileSync(key, files.key);
  };
  install(ca.issue('first'));
  const lines: string[] = [];
  const log = pino({}, { write: (line) => lines.push(line) });
  const tls = TlsFiles.open({ tlsCertificate: files.cert, tlsKey: files.key }, log)!;
  const { createServer } = await import('node:https');
  const server = createServer(tls.serverOptions, (_, response) => response.end('{}'));
  tls.keepCurrent(server);
  await tls.watch(20);
  onTestFinished(() => {
    tls.close();
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const nameNow = async (): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port, ca: readFileSync(ca.cert), servername: 'localhost' });
    await once(socket, 'secureConnect');
    const name = socket.getPeerCertificate().subject.CN;
    socket.destroy();
    return String(name);
  };
  expect(await nameNow()).toBe('first');
  install(ca.issue('second'));
  await until('the second certificate', async () => (await nameNow()) === 'second');
  copyFileSync(ca.issue('third').cert, files.cert);
  await until('the refusal', () => lines.some((line) => line.includes('are no certificate and key that fit')));
  expect(await nameNow()).toBe('second');
  writeFileSync(files.cert, 'no certificate');
  for (let i = 0; i < 5; i++) expect(await nameNow()).toBe('second');
  install(ca.issue('fourth'));
  await until('the fourth certificate', async () => (await nameNow()) === 'fourth');
});

test('says at the start which file is missing or does not fit', (ctx) => {
  const ca = authority(ctx);
  const [one, two] = [ca.issue('one'), ca.issue('two')];
  const open = (settings: Parameters<typeof TlsFiles.open>[0]) => () =>
    TlsFiles.open(settings, pino({ level: 'silent' }));
  expect(open({})()).toBeUndefined();
  expect(open({ tlsCertificate: one.cert })).toThrow(
    'SLIPWAY_TLS_KEY: must be set together with SLIPWAY_TLS_CERTIFICATE',
  );
  expect(open({ tlsKey: one.key })).toThrow('SLIPWAY_TLS_CERTIFICATE: must be set together with SLIPWAY_TLS_KEY');
  expect(open({ tlsClientCa: ca.cert })).toThrow('SLIPWAY_TLS_CERTIFICATE: must be set together with SLIPWAY_TLS_KEY');
  expect(open({ tlsCertificate: '/nowhere.pem', tlsKey: one.key })).toThrow('cannot read /nowhere.pem: ENOENT');
  expect(open({ tlsCertificate: one.cert, tlsKey: two.key })).toThrow(
    `SLIPWAY_TLS_CERTIFICATE: ${one.cert} and ${two.key} are no certificate and key that fit`,
  );
});
