import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort, LocalServer } from '../../runtime/cli/local-server';

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'slipway-local-server-'))));
afterEach(() => rmSync(folder, { recursive: true }));

async function startScript(script: string): Promise<LocalServer> {
  const bundle = path.join(folder, 'server.mjs');
  writeFileSync(bundle, script);
  return new LocalServer({
    bundle,
    environment: { SLIPWAY_CONTRACT: '1' },
    httpPort: await freePort(0),
    logFile: path.join(folder, 'server.log'),
  });
}

test('a server that ends before it is ready is reported with its last lines and where its log is', async () => {
  const server = await startScript("console.error('error: no space left on device'); process.exit(3);");
  await expect(server.waitUntilReady(30)).rejects.toMatchObject({
    message: 'the server ended with 3 before it was ready; its last lines:\nerror: no space left on device',
    remedy: `the whole log is ${path.join(folder, 'server.log')}`,
  });
});

test('a server that is not ready within its startup budget is reported with the budget', async () => {
  const server = await startScript('setInterval(() => {}, 1000);');
  await expect(server.waitUntilReady(0.3)).rejects.toThrow('not ready within its startup budget of 0.3 s');
  server.stop();
  expect(await server.waitForEnd()).toBe('SIGTERM');
});

test('a server gets the variables of the plan and no SLIPWAY_ variable of this process', async () => {
  process.env['SLIPWAY_HOST'] = 'elsewhere.example';
  const server = await startScript(
    "console.log(Object.keys(process.env).filter((name) => name.startsWith('SLIPWAY_')).join()); process.exit(1);",
  );
  delete process.env['SLIPWAY_HOST'];
  await expect(server.waitUntilReady(30)).rejects.toThrow('its last lines:\nSLIPWAY_CONTRACT');
});

test('a port that is taken is replaced by a free one, and a free one is kept', async () => {
  const occupant = createServer();
  await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve));
  const { port } = occupant.address() as AddressInfo;
  const other = await freePort(port);
  expect(other).not.toBe(port);
  expect(other).toBeGreaterThan(0);
  await new Promise((resolve) => occupant.close(resolve));
  expect(await freePort(port)).toBe(port);
});
