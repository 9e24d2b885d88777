import { createHash, randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const ROOT = path.resolve(__dirname, '../..');
const INSTALLED = path.join(ROOT, 'node_modules/onnxruntime-node');

interface FetchCuda {
  readonly fetchCuda: (options: {
    packageDirectory: string;
    sha256: string;
    url?: string;
    limits?: { maxBytes?: number; idleSeconds?: number; totalSeconds?: number };
    log?: (line: string) => void;
  }) => Promise<string[]>;
}
const script = import(pathToFileURL(path.join(ROOT, 'containers/cuda/fetch-cuda.mjs')).href) as Promise<FetchCuda>;

interface Zip {
  addFile(name: string, content: Buffer): void;
  toBuffer(): Buffer;
}
const AdmZip = createRequire(path.join(INSTALLED, 'package.json'))('adm-zip') as new () => Zip;

const NATIVE = 'runtimes/linux-x64/native';
const LIBRARIES = ['cuda', 'shared', 'tensorrt'].map((provider) => `libonnxruntime_providers_${provider}.so`);
const contents = new Map(LIBRARIES.map((name) => [name, randomBytes(100_000)]));
const archive = zipOf(LIBRARIES);
const digest = createHash('sha256').update(archive).digest('hex');

function zipOf(libraries: readonly string[]): Buffer {
  const zip = new AdmZip();
  for (const name of libraries) zip.addFile(`${NATIVE}/${name}`, contents.get(name)!);
  return zip.toBuffer();
}

let scratch: string;
let packageDirectory: string;
let binaries: string;
let server: Server;
let origin: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'slipway-cuda-test-'));
  packageDirectory = path.join(scratch, 'node_modules/onnxruntime-node');
  binaries = path.join(packageDirectory, 'bin/napi-v6/linux/x64');
  mkdirSync(binaries, { recursive: true });
  // The script reads the real tables of the installed package and unpacks with the library that package depends on.
  cpSync(path.join(INSTALLED, 'package.json'), path.join(packageDirectory, 'package.json'));
  cpSync(path.join(INSTALLED, 'script'), path.join(packageDirectory, 'script'), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules/adm-zip'), path.join(scratch, 'node_modules/adm-zip'));
  answer = (_request, response) => response.end(archive);
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(scratch, { recursive: true });
});

async function fetchCuda(
  sha256: string,
  limits: { maxBytes?: number; idleSeconds?: number; totalSeconds?: number } = {},
) {
  const { fetchCuda: fetchIt } = await script;
  return fetchIt({ packageDirectory, sha256, url: `${origin}/archive.nupkg`, limits, log: () => undefined });
}

function installed(): string[] {
  return readdirSync(binaries);
}

test('with the recorded SHA-256 it installs the provider libraries', async () => {
  const written = await fetchCuda(digest);
  expect(written.map((file) => path.basename(file)).sort()).toEqual(LIBRARIES);
  for (const name of LIBRARIES) expect(readFileSync(path.join(binaries, name))).toEqual(contents.get(name));
});

test('with another SHA-256 it stops, names both and installs nothing', async () => {
  const recorded = 'ab'.repeat(32);
  await expect(fetchCuda(recorded)).rejects.toThrow(`has SHA-256 ${digest}, recorded is ${recorded}`);
  expect(installed()).toEqual([]);
});

test('while none is recorded it stops, prints the one it saw and how to record it', async () => {
  await expect(fetchCuda('')).rejects.toThrow(
    [
      `no SHA-256 is recorded for ${origin}/archive.nupkg, so the build stops here`,
      `the one just seen is ${digest}`,
      'compare it with a download over another network, then record it:',
      `  slipway image pin --variant cuda --cuda-sha256 ${digest}`,
      `or pass --build-arg ONNXRUNTIME_CUDA_SHA256=${digest}`,
    ].join('\n'),
  );
  expect(installed()).toEqual([]);
});

test('a recorded value that is no SHA-256 is refused before anything is downloaded', async () => {
  let asked = 0;
  answer = (_request, response) => {
    asked += 1;
    response.end(archive);
  };
  await expect(fetchCuda('latest')).rejects.toThrow("must be 64 lower-case hexadecimal digits, got 'latest'");
  expect(asked).toBe(0);
});

test('an archive that lacks a library installs none of them', async () => {
  const lacking = zipOf(LIBRARIES.slice(0, 2));
  answer = (_request, response) => response.end(lacking);
  const sha256 = createHash('sha256').update(lacking).digest('hex');
  await expect(fetchCuda(sha256)).rejects.toThrow(`the archive holds no ${NATIVE}/${LIBRARIES[2]}`);
  expect(installed()).toEqual([]);
});

describe('a download that goes wrong', () => {
  test('stops at any status but 200', async () => {
    answer = (_request, response) => response.writeHead(404).end();
    await expect(fetchCuda(digest)).rejects.toThrow(`${origin}/archive.nupkg answered 404`);
  });

  test('stops when it is larger than accepted, before it is complete', async () => {
    await expect(fetchCuda(digest, { maxBytes: 100_000 })).rejects.toThrow('larger than 100000 bytes');
  });

  test('stops when the server falls silent', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': archive.length });
      response.write(archive.subarray(0, 1_000));
    };
    await expect(fetchCuda(digest, { idleSeconds: 0.2 })).rejects.toThrow('silent for 0.2 seconds');
  });

  test('stops when it trickles for too long', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': archive.length });
      const trickle = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(trickle));
    };
    const limits = { idleSeconds: 5, totalSeconds: 0.3 };
    await expect(fetchCuda(digest, limits)).rejects.toThrow('not complete after 0.3 seconds');
  });

  test('stops when the connection is cut, with the reason', async () => {
    answer = (request, response) => {
      response.writeHead(200, { 'content-length': archive.length });
      response.write(archive.subarray(0, 1_000), () => request.socket.destroy());
    };
    await expect(fetchCuda(digest)).rejects.toThrow(`${origin}/archive.nupkg: `);
    expect(installed()).toEqual([]);
  });
});

test('without an address it takes the one of the installed version, from the index of the feed', async () => {
  const feed = path.join(packageDirectory, 'script/install-metadata.js');
  const metadata = createRequire(feed)(feed) as { feeds: { nuget: { index: string } } };
  metadata.feeds.nuget.index = `${origin}/v3/index.json`;
  const asked: string[] = [];
  answer = (request, response) => {
    asked.push(request.url!);
    const index = { resources: [{ '@id': `${origin}/flat/`, '@type': 'PackageBaseAddress/3.0.0' }] };
    response.end(request.url === '/v3/index.json' ? JSON.stringify(index) : archive);
  };
  const { fetchCuda: fetchIt } = await script;
  await fetchIt({ packageDirectory, sha256: digest, log: () => undefined });
  const { version } = JSON.parse(readFileSync(path.join(INSTALLED, 'package.json'), 'utf8')) as { version: string };
  const id = 'microsoft.ml.onnxruntime.gpu.linux';
  expect(asked).toEqual(['/v3/index.json', `/flat/${id}/${version}/${id}.${version}.nupkg`]);
  expect(existsSync(path.join(binaries, LIBRARIES[0]!))).toBe(true);
});
