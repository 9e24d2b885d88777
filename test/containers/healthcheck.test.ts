import { spawn } from 'node:child_process';
import { createServer, type RequestListener, type Server } from 'node:http';
import { readFileSync } from 'node:fs';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Authority } from '../server/harness/certificates';
import { findTool } from '../support/tools';

const SCRIPT = path.resolve(__dirname, '../../containers/image/healthcheck.mjs');

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function listen(listener: RequestListener): Promise<number> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function healthCheck(
  port: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ exitCode: number | null; reason: string }> {
  const env = { ...process.env, SLIPWAY_HTTP_PORT: String(port), ...environment };
  const child = spawn(process.execPath, [SCRIPT], { env });
  let reason = '';
  child.stderr.on('data', (chunk: Buffer) => (reason += chunk.toString('utf8')));
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { exitCode, reason: reason.trim() };
}

test('exits 0 while /livez answers 200', async () => {
  const asked: (string | undefined)[] = [];
  const port = await listen((request, response) => {
    asked.push(request.url);
    response.end('{"live":true}');
  });
  expect(await healthCheck(port)).toEqual({ exitCode: 0, reason: '' });
  expect(asked).toEqual(['/livez']);
});

test('exits 1 when the server says that it is not live', async () => {
  const port = await listen((_request, response) => response.writeHead(503).end());
  expect(await healthCheck(port)).toEqual({ exitCode: 1, reason: '/livez answered 503' });
});

test('exits 1 when nothing listens', async () => {
  const port = await listen(() => undefined);
  await new Promise((resolve) => server!.close(resolve));
  const { exitCode, reason } = await healthCheck(port);
  expect(exitCode).toBe(1);
  expect(reason).toContain(`/livez on port ${port}: connect ECONNREFUSED`);
});

test('exits 1 by itself when the event loop does not answer', async () => {
  const port = await listen(() => undefined);
  const { exitCode, reason } = await healthCheck(port);
  expect(exitCode).toBe(1);
  expect(reason).toContain('did not answer within 4 seconds');
});

test('asks over HTTPS where the server has a certificate, whoever signed it', async (ctx) => {
  const openssl = findTool('openssl');
  if (openssl === undefined) return ctx.skip('no openssl on the PATH');
  const { cert, key } = new Authority(openssl).issue('server');
  const options = { cert: readFileSync(cert), key: readFileSync(key) };
  server = createSecureServer(options, (_request, response) => void response.end('{"live":true}'));
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  expect(await healthCheck(port, { SLIPWAY_TLS_CERTIFICATE: cert })).toEqual({ exitCode: 0, reason: '' });
  expect((await healthCheck(port)).exitCode).toBe(1);
});
