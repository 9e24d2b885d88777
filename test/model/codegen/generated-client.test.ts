import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { publishModel } from '../../../runtime/model/publish-model';
import { DATATYPES_CARRIED, everyDatatypeModel, INPUTS_OF_EVERY_DATATYPE } from './every-datatype';
import { slipway } from '../../cli/terminal';
import { startServer } from '../../server/harness/running-server';
import { toolOnPath } from '../../support/tools';

const DIGITS = path.join(__dirname, '../../../models/digits/model.onnx');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-codegen-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface GeneratedClient {
  infer(inputs: object, options?: object): Promise<Record<string, { data: ArrayLike<unknown>; shape: number[] }>>;
}

async function load(file: string, type: string): Promise<(url: string, options?: object) => GeneratedClient> {
  const built = file.replace(/\.ts$/, '.mjs');
  buildSync({ entryPoints: [file], outfile: built, format: 'esm', target: 'node20', logLevel: 'silent' });
  const loaded = (await import(pathToFileURL(built).href)) as Record<
    string,
    new (url: string, options?: object) => GeneratedClient
  >;
  return (url, options) => new loaded[type]!(url, options);
}

/** Which files TypeScript has something to say about, how often. */
function complaints(files: readonly string[]): Readonly<Record<string, number>> {
  const tsc = path.join(__dirname, '../../../node_modules/@typescript/native/bin/tsc');
  const flags =
    '--strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes --noEmit --target es2022 --module esnext';
  const all = [...flags.split(' '), '--moduleResolution', 'bundler', '--lib', 'es2022,dom,dom.iterable', '--types', ''];
  const { stdout } = spawnSync(process.execPath, [tsc, ...all, ...files.map((file) => path.basename(file))], {
    cwd: folder,
    encoding: 'utf8',
  });
  const counts: Record<string, number> = {};
  for (const [, file] of stdout.matchAll(/^([\w-]+\.ts)\(\d+,\d+\): error/gm)) counts[file!] = (counts[file!] ?? 0) + 1;
  expect(stdout === '' || Object.keys(counts).length > 0, stdout).toBe(true);
  return counts;
}

async function publishDigits(name: string): Promise<{ repository: string; manifestFile: string }> {
  const repository = path.join(folder, name);
  const manifestFile = path.join(folder, `${name}.json`);
  await publishModel({ source: DIGITS, name: 'digits', repository, manifestFile });
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8')) as object;
  const labels = { probabilities: Array.from({ length: 10 }, (_, i) => `digit ${i}`) };
  writeFileSync(manifestFile, JSON.stringify({ ...manifest, labels }));
  return { repository, manifestFile };
}

test('a TypeScript client passes the strict compiler, knows names, types and labels, and asks a real server', async () => {
  const { repository, manifestFile } = await publishDigits('typed');
  const client = path.join(folder, 'digits-client.ts');
  expect(await slipway('model', 'codegen', manifestFile, '-o', client)).toMatchObject({ status: 0 });
  const uses = {
    'good.ts': `export async function ask(): Promise<DigitsLabel<'probabilities'>> {
      const outputs = await new DigitsClient('http://127.0.0.1').infer({ image: new Float32Array(64) });
      return topLabels(outputs, 'probabilities')[0]![0]!.label;
    }
    export const seven: DigitsLabel<'probabilities'> = 'digit 7';`,
    'wrong-name.ts': "export const asked = new DigitsClient('').infer({ picture: new Float32Array(64) });",
    'wrong-type.ts': "export const asked = new DigitsClient('').infer({ image: new Int8Array(64) });",
    'wrong-label.ts': "export const eleven: DigitsLabel<'probabilities'> = 'digit 11';",
  };
  for (const [file, body] of Object.entries(uses)) {
    writeFileSync(
      path.join(folder, file),
      `import { DigitsClient, topLabels, type DigitsLabel } from './digits-client';\n${body}\nexport const all = [DigitsClient, topLabels, 'digit 1' satisfies DigitsLabel<'probabilities'>];\n`,
    );
  }
  expect(complaints([client, ...Object.keys(uses)])).toEqual({
    'wrong-name.ts': 1,
    'wrong-type.ts': 1,
    'wrong-label.ts': 1,
  });

  const { url } = await startServer({ modelRepository: repository });
  const digits = (await load(client, 'DigitsClient'))(url);
  const { probabilities } = await digits.infer({ image: new Float32Array(2 * 64).fill(3) });
  expect(probabilities!.shape).toEqual([2, 10]);
  const sum = Array.from(probabilities!.data as Float32Array)
    .slice(0, 10)
    .reduce((a, b) => a + b);
  expect(sum).toBeCloseTo(1, 4);
  await expect(digits.infer({ image: new Float32Array(65) })).rejects.toThrow(
    'whole number of rows of 64 elements, got 65',
  );
  await expect(digits.infer({ image: new Float32Array(64) }, { version: 9 })).rejects.toMatchObject({ status: 404 });
});

test('every datatype arrives as it was sent, by both clients', async () => {
  const repository = path.join(folder, 'every');
  mkdirSync(path.join(repository, 'every', '1'), { recursive: true });
  writeFileSync(path.join(repository, 'every', '1', 'model.onnx'), everyDatatypeModel());
  const model = path.join(repository, 'every', '1', 'model.onnx');
  const { url } = await startServer({ modelRepository: repository });
  const client = path.join(folder, 'every-client.ts');
  await slipway('model', 'codegen', model, '--name', 'every', '-o', client);
  expect(complaints([client])).toEqual({});
  const outputs = await (await load(client, 'EveryClient'))(url).infer(INPUTS_OF_EVERY_DATATYPE);
  for (const datatype of DATATYPES_CARRIED) {
    const given = INPUTS_OF_EVERY_DATATYPE[`in-${datatype}`]!;
    expect(Array.from(outputs[`out-${datatype}`]!.data), datatype).toEqual(Array.from(given as ArrayLike<unknown>));
  }
  const python = toolOnPath('python3');
  if (python === undefined) return;
  const module = path.join(folder, 'every_client.py');
  await slipway('model', 'codegen', model, '--name', 'every', '-o', module);
  const inputs = Object.fromEntries(
    Object.entries(INPUTS_OF_EVERY_DATATYPE).map(([name, data]) => [
      name,
      Array.from(data as ArrayLike<unknown>, (value) => (typeof value === 'bigint' ? Number(value) : value)),
    ]),
  );
  const program = `import json, sys; from every_client import EveryClient
outputs = EveryClient(sys.argv[1]).infer(json.loads(sys.argv[2]))
print(json.dumps({name: [tensor.shape, tensor.data] for name, tensor in outputs.items()}))`;
  const answered = await run(python, ['-c', program, url, JSON.stringify(inputs)]);
  const back = JSON.parse(answered) as Record<string, [number[], unknown[]]>;
  for (const datatype of DATATYPES_CARRIED)
    expect(back[`out-${datatype}`]![1], datatype).toEqual(inputs[`in-${datatype}`]);
}, 60_000);

/** The server is in this process, so the program must not block it. */
async function run(python: string, args: readonly string[]): Promise<string> {
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  return (await promisify(execFile)(python, [...args], { cwd: folder, timeout: 30_000 })).stdout;
}

/** A server that answers as it is told, in turn, and then passes requests on. */
async function busyFirst(
  target: string,
  first: readonly { status: number; headers?: Record<string, string> }[],
): Promise<{ url: string; times: number[] }> {
  const times: number[] = [];
  const server: Server = createServer((request: IncomingMessage, response) => {
    const answer = first[times.length];
    times.push(Date.now());
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (answer !== undefined) {
        response.writeHead(answer.status, answer.headers).end(JSON.stringify({ error: 'come again' }));
        return;
      }
      void fetch(target + request.url!, {
        method: 'POST',
        body: Buffer.concat(chunks),
        headers: { 'Inference-Header-Content-Length': request.headers['inference-header-content-length'] as string },
      }).then(async (passed) => {
        const length = passed.headers.get('Inference-Header-Content-Length');
        response.writeHead(passed.status, length === null ? {} : { 'Inference-Header-Content-Length': length });
        response.end(Buffer.from(await passed.arrayBuffer()));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, times };
}

test('a busy server is asked again when it says so, a refusal is not repeated, and tries are bounded', async () => {
  const { repository, manifestFile } = await publishDigits('busy');
  const { url } = await startServer({ modelRepository: repository });
  const client = path.join(folder, 'busy-client.ts');
  await slipway('model', 'codegen', manifestFile, '-o', client);
  const open = await load(client, 'DigitsClient');
  const image = new Float32Array(64);

  const busy = await busyFirst(url, [{ status: 503, headers: { 'Retry-After': '1' } }, { status: 429 }]);
  expect((await open(busy.url).infer({ image })).probabilities!.shape).toEqual([1, 10]);
  expect(busy.times).toHaveLength(3);
  expect(busy.times[1]! - busy.times[0]!).toBeGreaterThanOrEqual(990);

  const refusing = await busyFirst(url, [{ status: 400 }]);
  await expect(open(refusing.url).infer({ image })).rejects.toMatchObject({ status: 400, message: 'come again' });
  expect(refusing.times).toHaveLength(1);

  const always = await busyFirst(
    url,
    Array.from({ length: 9 }, () => ({ status: 503 })),
  );
  await expect(open(always.url, { tries: 3 }).infer({ image })).rejects.toMatchObject({ status: 503 });
  expect(always.times).toHaveLength(3);

  // No time is left for what the server asks for.
  const late = await busyFirst(url, [{ status: 429, headers: { 'Retry-After': '60' } }]);
  await expect(open(late.url).infer({ image }, { timeoutMs: 2_000 })).rejects.toMatchObject({ status: 429 });
  const aborting = await busyFirst(url, [{ status: 503, headers: { 'Retry-After': '20' } }]);
  await expect(open(aborting.url).infer({ image }, { signal: AbortSignal.timeout(200) })).rejects.toThrow(/timeout/);
});

test('the Python client asks a real server, also with rows that are lists, and retries', async (context) => {
  const python = toolOnPath('python3');
  if (python === undefined) return context.skip('python3 is not on the PATH');
  const { repository, manifestFile } = await publishDigits('python');
  const { url } = await startServer({ modelRepository: repository });
  await slipway('model', 'codegen', manifestFile, '-o', path.join(folder, 'digits_client.py'));
  const busy = await busyFirst(url, [{ status: 503, headers: { 'Retry-After': '1' } }]);
  const program = `import sys; from digits_client import DigitsClient, InferenceError
client = DigitsClient(sys.argv[1])
answer = client.infer({"image": [3.0] * 128})["probabilities"]
print(answer.shape, round(sum(answer.data), 3), answer.top_labels(2)[1][0][0])
for bad in [{"image": [1.0] * 65}, {"picture": []}, {}]:
    try: client.infer(bad)
    except ValueError as error: print(error)
try: client.infer({"image": [0.0] * 64}, version=9)
except InferenceError as error: print(error.status)`;
  const lines = (await run(python, ['-c', program, busy.url])).trim().split('\n');
  expect(lines[0]).toMatch(/^\[2, 10\] 2\.0 digit \d$/);
  expect(lines.slice(1)).toEqual([
    "input 'image' must have a whole number of rows of 64 elements, got 65",
    "no input is called 'picture'",
    "input 'image' is missing",
    '404',
  ]);
  expect(busy.times.length).toBeGreaterThanOrEqual(3);
});

test('names of models and tensors are text: nothing of them runs', async () => {
  const evil = path.join(folder, 'evil.json');
  const { manifestFile } = await publishDigits('evil');
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8')) as { facts: { inputs: { name: string }[] } };
  manifest.facts.inputs[0]!.name = '*/ globalThis.hit = 1; /* """ + `${globalThis.hit = 1}`';
  writeFileSync(evil, JSON.stringify(manifest));
  const client = path.join(folder, 'evil-client.ts');
  await slipway('model', 'codegen', evil, '-o', client);
  expect(complaints([client])).toEqual({});
  await load(client, 'DigitsClient');
  expect('hit' in globalThis).toBe(false);
  const python = toolOnPath('python3');
  if (python === undefined) return;
  await slipway('model', 'codegen', evil, '-o', path.join(folder, 'evil_client.py'));
  execFileSync(python, ['-c', 'import evil_client'], { cwd: folder });
});

test('a client is not written over another, and its language must be known', async () => {
  const file = path.join(folder, 'once.ts');
  copyFileSync(DIGITS, path.join(folder, 'model.onnx'));
  expect(await slipway('model', 'codegen', DIGITS, '-o', file)).toMatchObject({ status: 0 });
  expect(await slipway('model', 'codegen', DIGITS, '-o', file)).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('OUTPUT_EXISTS') as string,
  });
  const again = await slipway('model', 'codegen', DIGITS, '-o', file, '--overwrite', '--json');
  expect(JSON.parse(again.stdout)).toMatchObject({ file, language: 'typescript', model: { name: 'digits' } });
  expect(await slipway('model', 'codegen', DIGITS, '-o', path.join(folder, 'client.rb'))).toMatchObject({
    status: 2,
  });
});
