import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { openRemoteStore } from '../../runtime/model/stores/remote-store';
import { sourceOf } from '../../runtime/sources/source-of';
import { temporaryFolder } from '../server/harness/model-repository';
import { startBucket, stopBuckets } from '../support/bucket-stores';

const MIB = 2 ** 20;

afterAll(stopBuckets);

async function programFile(): Promise<string> {
  const outfile = path.join(temporaryFolder(), 'publish.mjs');
  await build({
    entryPoints: ['test/model/harness/publish-program.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
    external: ['@azure/*', '@alicloud/*'],
    logLevel: 'error',
  });
  return outfile;
}

/** Runs the program, handing each of its lines to whoever may end it. */
async function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  onLine: (line: string, kill: () => void) => void,
): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [await programFile(), ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface(child.stdout).on('line', (line) => onLine(line, () => child.kill('SIGKILL')));
  const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return signal;
}

test('a publish that is killed is no version, and the next one sends the parts that are missing', async (ctx) => {
  const { uri, environment } = await startBucket('s3', ctx);
  const file = path.join(temporaryFolder(), 'weights.bin');
  writeFileSync(file, randomBytes(24 * MIB));
  let parts = 0;
  const signal = await run(['s3', uri, String(5 * MIB), file], environment, (_, kill) => {
    if (++parts === 2) kill();
  });
  expect(signal).toBe('SIGKILL');
  const store = await openRemoteStore(uri);
  expect(await store.read('m/1/manifest.json')).toBeUndefined();

  const lines: string[] = [];
  expect(await run(['s3', uri, String(5 * MIB), file], environment, (line) => void lines.push(line))).toBeNull();
  // A third part may have arrived before the process was gone.
  const wereThere = lines.filter((line) => line.endsWith('true')).length;
  expect([2, 3]).toContain(wereThere);
  expect(lines.filter((line) => line.startsWith('part'))).toHaveLength(5);
  const stream = await sourceOf(uri).open(`${uri}m/1/weights.bin`, new AbortController().signal);
  expect(Buffer.concat(await stream.toArray()).equals(readFileSync(file))).toBe(true);
});

test('a file ten times the size takes no more memory to publish', async () => {
  const { port } = await startSink();
  const file = path.join(temporaryFolder(), 'weights.bin');
  const environment = { STORAGE_EMULATOR_HOST: `127.0.0.1:${port}`, XDG_CACHE_HOME: temporaryFolder() };
  const peaks: number[] = [];
  for (const bytes of [64 * MIB, 640 * MIB]) {
    writeFileSync(file, '');
    truncateSync(file, bytes);
    await run(['gs', 'gs://models', String(16 * MIB), file], environment, (line) => {
      if (line.startsWith('peak')) peaks.push(Number(line.split(' ')[1]));
    });
  }
  expect(peaks).toHaveLength(2);
  expect(peaks[1]! - peaks[0]!).toBeLessThan(64 * MIB);
});

/** What takes everything and keeps nothing, as Google's resumable uploads are answered. */
async function startSink(): Promise<AddressInfo> {
  const server = createServer((incoming, outgoing) => {
    incoming.resume();
    incoming.on('end', () => {
      const [, end, total] = /-(\d+)\/(\d+)$/.exec(incoming.headers['content-range'] ?? '') ?? [];
      if (incoming.method === 'POST') {
        outgoing.writeHead(200, { Location: 'http://localhost/upload/session?upload_id=1' }).end('{}');
      } else if (incoming.method !== 'PUT') {
        outgoing.writeHead(404).end();
      } else if (end !== undefined && Number(end) + 1 < Number(total)) {
        outgoing.writeHead(308, { Range: `bytes=0-${end}` }).end();
      } else outgoing.writeHead(200).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server.address() as AddressInfo;
}
