import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { ServerSettings } from '../../runtime/spec/environment';
import { identityModel, matmulModel } from '../support/onnx-models';
import { plainRepository } from './harness/model-repository';
import { floats, startServer, type RunningServer } from './harness/running-server';

const HOOKED = 'hooks: "hooks.mjs"';

async function serveHooked(
  hooks: string,
  {
    configuration = HOOKED,
    model = identityModel(),
    ...settings
  }: Partial<ServerSettings> & {
    readonly configuration?: string;
    readonly model?: Uint8Array;
  } = {},
): Promise<RunningServer> {
  const modelRepository = plainRepository({ m: model });
  writeFileSync(path.join(modelRepository, 'm', '1', 'hooks.mjs'), hooks);
  if (configuration !== '') writeFileSync(path.join(modelRepository, 'm', 'config.pbtxt'), configuration);
  return startServer({ modelRepository, ...settings });
}

const ONE_ROW = floats('input', [1, 4], [1, 2, 3, 4]);

/** Doubles what comes and what goes. */
const DOUBLING = `
  const double = (tensor) => ({ ...tensor, data: tensor.data.map((value) => 2 * value) });
  export const preprocess = ({ inputs }) => ({ inputs: { input: double(inputs.input) } });
  export const postprocess = ({ outputs }) => ({ outputs: { output: double(outputs.output) } });`;

test('the example of the documentation does what it says', async () => {
  const document = readFileSync('docs/hooks.md', 'utf8');
  const [, module] = /```js\n([^]*?)```/.exec(document)!;
  const [, configuration] = /```\n(hooks: [^]*?)```/.exec(document)!;
  const { infer, get } = await serveHooked(module!, { configuration: configuration!, model: matmulModel() });
  expect((await get('/v2/models/m')).json).toMatchObject({
    inputs: [{ name: 'measurements', datatype: 'FP32', shape: [-1, 4] }],
    outputs: [{ name: 'species', datatype: 'BYTES', shape: [-1] }, { name: 'certain' }],
  });
  const ask = (data: readonly number[], parameters = {}) =>
    infer('m', { parameters, inputs: [{ name: 'measurements', datatype: 'FP32', shape: [data.length / 4, 4], data }] });
  const answer = await ask([5.1, 3.5, 1.4, 0.2, 6.7, 3, 5.2, 2.3]);
  expect(answer.status).toBe(200);
  const [species, certain] = answer.json.outputs;
  expect(species).toMatchObject({ name: 'species', shape: [2] });
  for (const name of species.data) expect(['setosa', 'versicolor', 'virginica']).toContain(name);
  expect(certain).toMatchObject({ name: 'certain', datatype: 'BOOL', shape: [2] });
  const never = await ask([5.1, 3.5, 1.4, 0.2], { threshold: 1e6 });
  expect(never.json.outputs[1].data).toEqual([false]);
  const refused = await ask([-1, 3.5, 1.4, 0.2]);
  expect([refused.status, refused.json.error]).toEqual([400, 'a length cannot be negative']);
});

test('requests that come at once are joined between the hooks, and each gets its own answer', async () => {
  const { infer } = await serveHooked(DOUBLING);
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, i) => (await infer('m', floats('input', [1, 4], [i, i, i, i]))).json),
  );
  expect(answers.map(({ outputs }) => outputs[0].data[0] as number)).toEqual(answers.map((_, i) => 4 * i));
});

test('a module that nobody named is not run, unless hooks are on for all models', async () => {
  const off = await serveHooked(DOUBLING, { configuration: '' });
  expect((await off.infer('m', ONE_ROW)).json.outputs[0].data).toEqual([1, 2, 3, 4]);
  const on = await serveHooked(DOUBLING, { configuration: '', hooks: true });
  expect((await on.infer('m', ONE_ROW)).json.outputs[0].data).toEqual([4, 8, 12, 16]);
});

test('a hook that never ends costs its own request only', async () => {
  const { infer, log } = await serveHooked(
    `export function preprocess({ inputs }) {
       if (inputs.input.data[0] === 13) for (;;);
       return { inputs };
     }`,
    { hookSeconds: 0.5 },
  );
  const [stuck, other] = await Promise.all([infer('m', floats('input', [1, 4], [13, 0, 0, 0])), infer('m', ONE_ROW)]);
  expect([stuck.status, stuck.json.error]).toEqual([
    500,
    'preprocess of the model failed: it did not finish within 0.5 s',
  ]);
  expect([other.status, other.json.outputs[0].data]).toEqual([200, [1, 2, 3, 4]]);
  expect(log.filter(({ msg }) => msg === 'the thread of the hooks is started anew')).toHaveLength(1);
});

test('a hook that throws, or ends its thread, or fills its heap, costs its own request only', async () => {
  const { infer } = await serveHooked(
    `export async function preprocess({ inputs }) {
       const [what] = inputs.input.data;
       if (what === 1) throw new Error('no such customer\\nat line 3');
       if (what === 2) process.exit(7);
       if (what === 3) { const all = []; for (;;) all.push({ some: 'thing', all: all.length }); }
       return { inputs };
     }`,
    { hookSeconds: 60 },
  );
  const ask = async (what: number): Promise<readonly unknown[]> => {
    const { status, json } = await infer('m', floats('input', [1, 4], [what, 0, 0, 0]));
    return [status, json.error];
  };
  expect(await ask(1)).toEqual([500, 'preprocess of the model failed: no such customer']);
  expect(await ask(2)).toEqual([500, 'preprocess of the model failed: its thread ended with exit code 7']);
  expect(await ask(3)).toEqual([
    500,
    expect.stringMatching(/^preprocess of the model failed: its thread ended: .*memory/),
  ]);
  expect(await ask(0)).toEqual([200, undefined]);
});

test.each([
  ['nothing', 'undefined', 'failed: preprocess must return { inputs: { name: { datatype, shape, data } } }'],
  ['no input', '{ inputs: {} }', "returned what does not fit: input 'input' is missing"],
  [
    'too few elements',
    '{ inputs: { input: { shape: [1, 4], data: [1] } } }',
    "failed: tensor 'input' that it returned must have 4 elements by its shape, got 1",
  ],
  [
    'another shape',
    '{ inputs: { input: { shape: [1, 2], data: [1, 2] } } }',
    "returned what does not fit: unexpected shape for input 'input' for model 'm'. Expected [-1,4], got [1,2]",
  ],
  [
    'another datatype',
    "{ inputs: { input: { datatype: 'INT8', shape: [1, 4], data: [1, 2, 3, 4] } } }",
    "returned what does not fit: unexpected datatype for input 'input' for model 'm'. Expected FP32, got \"INT8\"",
  ],
  [
    'another array',
    '{ inputs: { input: { shape: [1, 4], data: new Float64Array(4) } } }',
    "failed: tensor 'input' that it returned must be in a Float32Array or a list of numbers",
  ],
  [
    'too many rows',
    '{ inputs: { input: { shape: [99, 4], data: new Float32Array(396) } } }',
    "returned what does not fit: model 'm' takes at most 32 rows in one request, got 99; send them in several",
  ],
])('preprocess that returns %s is told from a bad request', async (_, returned, message) => {
  const { infer } = await serveHooked(`export const preprocess = () => (${returned});`);
  const { status, json } = await infer('m', ONE_ROW);
  expect([status, json.error]).toEqual([500, `preprocess of the model ${message}`]);
});

test.each([
  ['export const preprocess = 3;', "hooks cannot be loaded: its export 'preprocess' must be a function"],
  ['export const other = 3;', "hooks cannot be loaded: it exports neither 'preprocess' nor 'postprocess'"],
  [
    'export const inputs = [{ name: 3 }]; export const preprocess = () => {};',
    "hooks cannot be loaded: its export inputs[0] must be { name, datatype, shape }, as in a model's metadata",
  ],
  ["throw new Error('no database');", 'hooks cannot be loaded: no database'],
  ['for (;;);', 'hooks cannot be loaded: the module was not loaded within 1 s'],
])('a module that is %s makes its model not ready', async (module, reason) => {
  const { get } = await serveHooked(module, { hookSeconds: 1 });
  const { status, json } = await get('/v2/models/m/ready');
  expect([status, json.reason]).toEqual([503, reason]);
});

test('hooks that the configuration names and that are not there make the model not ready', async () => {
  const { get } = await serveHooked(DOUBLING, { configuration: 'hooks: "other.mjs"' });
  expect((await get('/v2/models/m/ready')).json.reason).toBe(
    "its configuration names hooks 'other.mjs', which is not among its files",
  );
});

test('a hook sees none of the environment of the server, and writes to its log', async () => {
  process.env['SLIPWAY_TEST_SECRET'] = 'secret';
  const { infer, log } = await serveHooked(
    `export function preprocess({ inputs }, context) {
       console.log('hello from', context.model, context.version, process.env.SLIPWAY_TEST_SECRET);
       return { inputs };
     }`,
  );
  delete process.env['SLIPWAY_TEST_SECRET'];
  expect((await infer('m', ONE_ROW)).status).toBe(200);
  await expect.poll(() => log.map(({ output }) => output)).toContain('hello from m 1 undefined');
});

test('a client that goes away while its request waits for the hooks leaves the queue', async () => {
  const { url, infer } = await serveHooked(
    `export async function preprocess({ inputs }) {
       await new Promise((resolve) => setTimeout(resolve, 50));
       return { inputs };
     }`,
  );
  const timed = (): Promise<Response> =>
    fetch(`${url}/v2/models/m/infer`, {
      method: 'POST',
      headers: { 'X-Request-Timeout': '0.12' },
      body: JSON.stringify(ONE_ROW),
    });
  const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await timed()).status));
  expect(statuses.filter((status) => status === 504).length).toBeGreaterThan(10);
  expect(statuses.filter((status) => status !== 504 && status !== 200)).toEqual([]);
  expect((await infer('m', ONE_ROW)).status).toBe(200);
});

test('parameters and names that objects have by birth reach a hook as they are', async () => {
  const { infer } = await serveHooked(
    `export function preprocess({ inputs, parameters }, context) {
       return { inputs: { input: { shape: [1, 4], data: [Number(parameters.scale ?? 0), Number('constructor' in inputs),
         Number(context.configuration.factor), Number(Object.getPrototypeOf(inputs) === null)] } } };
     }`,
    { configuration: `${HOOKED} parameters { key: "factor" value { string_value: "7" } }` },
  );
  const { json } = await infer('m', { ...(ONE_ROW as object), parameters: { scale: 3 } });
  expect(json.outputs[0].data).toEqual([3, 0, 7, 1]);
});
