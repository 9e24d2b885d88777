import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseArguments } from '../../runtime/cli/arguments';
import { COMMANDS } from '../../runtime/cli/commands';
import { describeFinding, examineModel, type Finding, type FindingCode } from '../../runtime/model/doctor';
import { readModelOutline } from '../../runtime/onnx/read-model-outline';
import { MAX_OPSETS } from '../../runtime/spec/defaults';
import {
  addOneModel,
  buildModel,
  externalTensor,
  floatTensor,
  identityModel,
  int64Tensor,
  matmulModel,
  node,
  tensorAttribute,
  value,
} from '../support/onnx-models';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-doctor-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function examine(bytes: Uint8Array, executionProvider: 'cpu' | 'cuda' = 'cpu'): readonly Finding[] {
  const path = join(folder, 'model.onnx');
  writeFileSync(path, bytes);
  return examineModel(readModelOutline(path), { executionProvider });
}

function find(findings: readonly Finding[], code: FindingCode): string | undefined {
  const found = findings.find((finding) => finding.code === code);
  return found === undefined ? undefined : `${found.severity}: ${describeFinding(found)}`;
}

test('a model that can be batched gets no warning', () => {
  expect(examine(matmulModel()).map(({ code, severity }) => [code, severity])).toEqual([['memory', 'info']]);
});

test('a fixed first dimension is named with its tensor', () => {
  expect(find(examine(addOneModel({ shape: [1, 4] })), 'first-dimension-fixed')).toBe(
    "warning: requests cannot be joined into batches: input 'input' has the fixed first dimension 1, and likewise 'output'; " +
      'export the model with a free first dimension on every input and output (dynamic_axes or dynamic_shapes)',
  );
  expect(find(examine(identityModel({ shape: [] })), 'first-dimension-fixed')).toContain("input 'input' is a scalar");
});

test('an output that is a sequence of maps is an error that says how to export it', () => {
  const bytes = buildModel({
    node: [node('ZipMap', ['scores'], ['probabilities'], [], 'ai.onnx.ml')],
    input: [value('scores', 'FP32', ['batch', 3])],
    output: [{ name: 'probabilities', type: { value: { case: 'sequenceType', value: {} } } }],
  });
  const [worst] = examine(bytes);
  expect(worst).toMatchObject({ code: 'non-tensor', severity: 'error' });
  expect(describeFinding(worst!)).toBe(
    "output 'probabilities' is a sequence, and a request carries tensors only; for a scikit-learn classifier export with zipmap=False: slipway model convert MODEL.skops -o MODEL.onnx",
  );
});

test('a Reshape that fixes the number of rows is found, wherever its shape is written', () => {
  const reshape = (shape: readonly number[]) =>
    buildModel({
      node: [node('Reshape', ['input', 'shape'], ['output'])],
      input: [value('input', 'FP32', ['batch', 4])],
      output: [value('output', 'FP32', ['batch', 4])],
      initializer: [int64Tensor('shape', [shape.length], shape.map(BigInt))],
    });
  expect(find(examine(reshape([1, 4])), 'reshape-constant')).toBe(
    "warning: Reshape 'output' sets the first dimension to 1 ([1, 4]), so several rows may fail or mix; " +
      'reshape to -1 or 0 in the first place, then rows stay rows',
  );
  expect(find(examine(reshape([-1, 4])), 'reshape-constant')).toBeUndefined();
  expect(find(examine(reshape([0, 4])), 'reshape-constant')).toBeUndefined();
});

test('a Reshape whose shape is a Constant node is found too', () => {
  const bytes = buildModel({
    node: [
      node('Constant', [], ['shape'], [tensorAttribute('value', int64Tensor('', [2], [3n, 7n]))]),
      node('Reshape', ['input', 'shape'], ['shaped']),
      node('Flatten', ['shaped'], ['output']),
    ],
    input: [value('input', 'FP32', ['batch', 21])],
    output: [value('output', 'FP32', ['rows', 7])],
  });
  expect(find(examine(bytes), 'reshape-constant')).toContain("Reshape 'shaped' sets the first dimension to 3 ([3, 7])");
});

test('a Reshape of weights is no concern of the rows', () => {
  const bytes = buildModel({
    node: [node('Reshape', ['weight', 'shape'], ['shaped']), node('MatMul', ['input', 'shaped'], ['output'])],
    input: [value('input', 'FP32', ['batch', 4])],
    output: [value('output', 'FP32', ['batch', 2])],
    initializer: [int64Tensor('shape', [2], [4n, 2n]), floatTensor('weight', [8], new Array<number>(8).fill(1))],
  });
  expect(find(examine(bytes), 'reshape-constant')).toBeUndefined();
});

test('operators without a CUDA kernel are counted, and only where CUDA is asked for', () => {
  const bytes = buildModel({
    node: [
      node('Unique', ['input'], ['unique']),
      node('Acos', ['unique'], ['a']),
      node('Acos', ['a'], ['b']),
      node('Relu', ['b'], ['output']),
    ],
    input: [value('input', 'FP32', ['batch'])],
    output: [value('output', 'FP32', ['rows'])],
  });
  expect(find(examine(bytes, 'cuda'), 'cuda-fallback')).toBe(
    'warning: 3 nodes have no CUDA kernel and fall back to the CPU, with a copy each way: Acos × 2, Unique × 1; ' +
      'move them out of the model, or export them as operators that CUDA has',
  );
  expect(find(examine(bytes, 'cpu'), 'cuda-fallback')).toBeUndefined();
  expect(find(examine(bytes), 'first-dimension-names')).toContain("'batch', 'rows'");
});

test('free dimensions besides the first are a warning on a GPU', () => {
  const bytes = identityModel({ shape: ['batch', 'width'] });
  expect(find(examine(bytes, 'cuda'), 'cuda-dynamic-shapes')).toContain("input 'input' has free dimensions");
  expect(find(examine(bytes), 'cuda-dynamic-shapes')).toBeUndefined();
});

test('64-bit integers and strings are told', () => {
  expect(find(examine(identityModel({ datatype: 'INT64' })), 'int64-input')).toContain('beyond 2^53');
  expect(find(examine(identityModel({ datatype: 'BYTES' })), 'string-tensor')).toContain('copied one by one');
});

test('an opset that this release does not know is an error, an unknown domain a warning', () => {
  const graph = {
    node: [node('Identity', ['x'], ['y']), node('Frobnicate', ['x'], ['z'], [], 'com.example')],
    input: [value('x', 'FP32', ['batch'])],
    output: [value('y', 'FP32', ['batch'])],
  };
  const findings = examine(
    buildModel(graph, {
      opsetImport: [
        { domain: '', version: 99n },
        { domain: 'com.example', version: 1n },
      ],
    }),
  );
  expect(find(findings, 'opset-too-new')).toContain(
    `error: the model needs opset 99 of ai.onnx, onnxruntime here knows ${MAX_OPSETS['']}`,
  );
  expect(find(findings, 'domain-unknown')).toContain(
    "no operators of domain 'com.example', and the model uses Frobnicate",
  );
  expect(findings[0]?.severity).toBe('error');
});

test('weights in many files are a warning, in one file none', () => {
  const weights = (location: (i: number) => string) =>
    buildModel({
      node: [node('Add', ['input', 'w0'], ['output'])],
      input: [value('input', 'FP32', ['batch', 1])],
      output: [value('output', 'FP32', ['batch', 1])],
      initializer: Array.from({ length: 20 }, (_, i) =>
        externalTensor(`w${i}`, 'FP32', [1], { location: location(i) }),
      ),
    });
  const many = examine(weights((i) => `w${i}.bin`));
  expect(find(many, 'external-files')).toContain('the weights lie in 20 files');
  expect(find(examine(weights(() => 'w.bin')), 'external-files')).toBeUndefined();
});

test('a tensor without a shape is a warning', () => {
  const bytes = buildModel({
    node: [node('Identity', ['input'], ['output'])],
    input: [value('input', 'FP32', ['batch'])],
    output: [{ name: 'output', type: { value: { case: 'tensorType', value: { elemType: 1 } } } }],
  });
  expect(find(examine(bytes), 'rank-unknown')).toContain("how many dimensions 'output' has");
});

test('the commands that findings name are ones that there are, with flags that they have', async () => {
  const folder = join(__dirname, '../../runtime/model/doctor');
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const commands = sources.flatMap((text) => [...text.matchAll(/command: '([^']+)'/g)].map(([, command]) => command!));
  expect(commands.length).toBeGreaterThan(2);
  for (const text of commands) {
    const [, ...words] = text.split(' ');
    const entry = COMMANDS.find(({ name }) => text.startsWith(`slipway ${name} `))!;
    expect(entry, text).toBeDefined();
    const command = await entry.load();
    expect(() => void parseArguments(entry.name, command, words.slice(2)), text).not.toThrow();
  }
});
