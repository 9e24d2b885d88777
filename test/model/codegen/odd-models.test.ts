import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { renderPythonClient } from '../../../runtime/model/codegen/python-client';
import { renderTypescriptClient } from '../../../runtime/model/codegen/typescript-client';
import { slipway } from '../../cli/terminal';
import { startServer } from '../../server/harness/running-server';
import { buildModel, node, value } from '../../support/onnx-models';
import { toolOnPath } from '../../support/tools';

const NAMES = [
  'class',
  'a b',
  'a-b',
  'a_b',
  '*/ evil /*',
  'quote"\'`${x}',
  'new\nline',
  'constructor',
  '日本',
  '0',
  '""" \\',
];

interface Client {
  infer(inputs: object, options?: object): Promise<Record<string, { data: ArrayLike<unknown>; shape: number[] }>>;
}

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-codegen-'));
  const models = {
    odd: buildModel({
      node: NAMES.map((name) => node('Identity', [name], [`out ${name}`])),
      input: NAMES.map((name) => value(name, 'FP32', ['n', 1])),
      output: NAMES.map((name) => value(`out ${name}`, 'FP32', ['n', 1])),
    }),
    scalar: buildModel({
      node: [node('Identity', ['in'], ['out'])],
      input: [value('in', 'FP32', [])],
      output: [value('out', 'FP32', [])],
    }),
    small: buildModel({
      node: [node('Identity', ['bytes'], ['b']), node('Identity', ['half'], ['h']), node('Identity', ['text'], ['t'])],
      input: [value('bytes', 'UINT8', ['n', 2]), value('half', 'FP16', ['n', 2]), value('text', 'BYTES', ['n'])],
      output: [value('b', 'UINT8', ['n', 2]), value('h', 'FP16', ['n', 2]), value('t', 'BYTES', ['n'])],
    }),
  };
  for (const [name, bytes] of Object.entries(models)) {
    const file = path.join(folder, 'models', name, '1', 'model.onnx');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    for (const client of [`${name}-client.ts`, `${name}_client.py`]) {
      await slipway('model', 'codegen', file, '--name', name, '-o', path.join(folder, client));
    }
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function serve(): Promise<string> {
  return (await startServer({ modelRepository: path.join(folder, 'models') })).url;
}

async function open(name: string, type: string, at: string, options: object = {}): Promise<Client> {
  const built = path.join(folder, `${name}-client.mjs`);
  buildSync({
    entryPoints: [path.join(folder, `${name}-client.ts`)],
    outfile: built,
    format: 'esm',
    logLevel: 'silent',
  });
  const loaded = (await import(pathToFileURL(built).href)) as Record<
    string,
    new (url: string, options: object) => Client
  >;
  return new loaded[type]!(at, options);
}

/** The server is in this process, so a program must not block it. */
async function python(program: string, ...args: string[]): Promise<string[] | undefined> {
  const interpreter = toolOnPath('python3');
  if (interpreter === undefined) return undefined;
  const { stdout } = await promisify(execFile)(interpreter, ['-c', program, ...args], { cwd: folder, timeout: 30_000 });
  return stdout.trim().split('\n');
}

/** What answers every request with the same bytes, and says that more of them follow. */
async function answering(body: string, missing = 0): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'Content-Length': Buffer.byteLength(body) + missing });
      response.write(body, () => (missing === 0 ? response.end() : setTimeout(() => response.destroy(), 50)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('tensors of any name go there and back, each under its own', async () => {
  const url = await serve();
  const inputs = Object.fromEntries(NAMES.map((name, i) => [name, Float32Array.of(i)]));
  const outputs = await (await open('odd', 'OddClient', url)).infer(inputs);
  for (const [i, name] of NAMES.entries()) expect(Array.from(outputs[`out ${name}`]!.data), name).toEqual([i]);
  const { constructor: _, ...others } = inputs;
  await expect((await open('odd', 'OddClient', url)).infer(others)).rejects.toThrow("input 'constructor' is missing");
  const program = `import json, sys; from odd_client import OddClient
names = json.loads(sys.argv[2])
outputs = OddClient(sys.argv[1]).infer({name: [float(i)] for i, name in enumerate(names)})
print([outputs["out " + name].data for name in names])`;
  const printed = await python(program, url, JSON.stringify(NAMES));
  if (printed !== undefined) expect(printed).toEqual([`[${NAMES.map((_name, i) => `[${i}.0]`).join(', ')}]`]);
});

test('a number without dimensions is sent as one', async () => {
  const url = await serve();
  const { out } = await (await open('scalar', 'ScalarClient', url)).infer({ in: Float32Array.of(7) });
  expect([out!.shape, Array.from(out!.data)]).toEqual([[], [7]]);
  const printed = await python(
    'import sys; from scalar_client import ScalarClient; out = ScalarClient(sys.argv[1]).infer({"in": 7.0})["out"]; print(out.shape, out.data)',
    url,
  );
  if (printed !== undefined) expect(printed).toEqual(['[] [7.0]']);
});

test('what does not fit a Python tensor is a ValueError, and never another number', async () => {
  const url = await serve();
  const program = `import sys; from small_client import SmallClient
client = SmallClient(sys.argv[1])
good = {"bytes": [1, 2], "half": [1.0, 2.0], "text": ["a"]}
for name, bad in [("bytes", [1, 300]), ("bytes", [1.5, 2.0]), ("bytes", ["a", "b"]), ("half", [1e6, 0.0]), ("text", "one text")]:
    try: print(client.infer({**good, name: bad}))
    except ValueError as error: print(error)
try:
    import numpy
    for bad in [numpy.array([[1, 300]]), numpy.array([[1.5, 2.0]]), numpy.array([[float("nan"), 2.0]])]:
        try: print(client.infer({**good, "bytes": bad}))
        except ValueError as error: print(error)
    print(client.infer({**good, "bytes": numpy.array([[1, 255]])})["b"].data)
except ImportError: pass`;
  const printed = await python(program, url);
  if (printed === undefined) return;
  expect(printed.slice(0, 5)).toEqual([
    expect.stringMatching(/^input 'bytes' must be UINT8: /),
    expect.stringMatching(/^input 'bytes' must be UINT8: /),
    expect.stringMatching(/^input 'bytes' must be UINT8: /),
    expect.stringMatching(/^input 'half' must be FP16: /),
    "input 'text' must have the shape ['n'], got []",
  ]);
  const withNumpy = printed.slice(5);
  if (withNumpy.length === 0) return;
  expect(withNumpy).toEqual([
    "input 'bytes' must be UINT8, got int64 with values that are none",
    "input 'bytes' must be UINT8, got float64 with values that are none",
    "input 'bytes' must be UINT8, got float64 with values that are none",
    '[1, 255]',
  ]);
});

test.for([
  ['a page of a proxy', '<html>welcome</html>', 0, 'what answers is no inference server: <html>welcome</html>'],
  ['an answer of another kind', '{"ok": true}', 0, 'what answers is no inference server: {"ok": true}'],
  ['an answer that breaks off', '{"outputs":', 100, ''],
] as const)('%s is an InferenceError of both clients', async ([, body, missing, message]) => {
  const at = await answering(body, missing);
  const asked = (await open('scalar', 'ScalarClient', at, { tries: 2 })).infer({ in: Float32Array.of(7) });
  await expect(asked).rejects.toMatchObject({ name: 'InferenceError', status: 0 });
  if (message !== '') await expect(asked).rejects.toThrow(message);
  const program = `import sys; from scalar_client import ScalarClient, InferenceError
try: ScalarClient(sys.argv[1], tries=2).infer({"in": 7.0})
except InferenceError as error: print(error.status, error)`;
  const printed = await python(program, at);
  if (printed !== undefined) expect(printed[0]).toMatch(message === '' ? /^0 ./ : `0 ${message}`);
});

test('a label of any name, and a compiler that only erases types, are taken', () => {
  const tensor = { name: '__proto__', datatype: 'FP32', shape: ['n', 2] } as const;
  const labels = Object.fromEntries([['__proto__', ['a', 'b']]]);
  const model = { name: 'odd', inputs: [{ ...tensor, name: 'in' }], outputs: [tensor], labels };
  const client = path.join(folder, 'labels.ts');
  writeFileSync(client, `${renderTypescriptClient(model)}\nexport const KEYS = Object.keys(LABELS);\n`);
  const tsc = path.join(__dirname, '../../../node_modules/@typescript/native/bin/tsc');
  const flags =
    '--strict --erasableSyntaxOnly --isolatedModules --noUnusedLocals --noEmit --target es2022 --module esnext';
  const more = ['--moduleResolution', 'bundler', '--lib', 'es2022,dom,dom.iterable', '--types', ''];
  const { stdout } = spawnSync(process.execPath, [tsc, ...flags.split(' '), ...more, client], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  const { outputFiles } = buildSync({ entryPoints: [client], write: false, format: 'esm', logLevel: 'silent' });
  expect(outputFiles[0]!.text).toContain('["__proto__"]: ["a", "b"]');
  expect(renderPythonClient(model)).toContain('LABELS: dict[str, list[str]] = {"__proto__":["a","b"]}');
});
