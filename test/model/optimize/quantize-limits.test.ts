import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { optimizeModel } from '../../../runtime/model/optimize/optimize-model';
import { quantizeModel } from '../../../runtime/model/optimize/quantize-model';
import { floatsOfTensor } from '../../../runtime/onnx/edit/tensor-elements';
import { readEditableModel } from '../../../runtime/onnx/edit/editable-model';
import { temporaryFolder } from '../../server/harness/model-repository';
import { slipway, type CommandResult } from '../../cli/terminal';
import { modelPython } from '../../support/model-python';
import {
  buildModel,
  ELEMENT_TYPES,
  floatTensor,
  int64Tensor,
  matmulModel,
  node,
  value,
  type ModelInit,
} from '../../support/onnx-models';

beforeEach(async (context) => void (await modelPython(context, 'onnx')));

const SIDE = 8;

type Weights = Pick<NonNullable<ModelInit['graph']>, 'initializer' | 'sparseInitializer'>;

/** `y = x × w` where the test says what `w` is. */
function product(weights: Weights, datatype: 'FP32' | 'FP16' = 'FP32', after?: 'Log'): Uint8Array {
  return buildModel({
    node: [
      node('MatMul', ['x', 'w'], [after === undefined ? 'y' : 'z']),
      ...(after === undefined ? [] : [node(after, ['z'], ['y'])]),
    ],
    input: [value('x', datatype, ['batch', SIDE])],
    output: [value('y', datatype, ['batch', SIDE])],
    ...weights,
  });
}

async function quantize(model: Uint8Array, ...words: readonly string[]): Promise<CommandResult & { written: boolean }> {
  const folder = temporaryFolder();
  const [source, output] = [path.join(folder, 'source.onnx'), path.join(folder, 'output.onnx')];
  writeFileSync(source, model);
  const result = await slipway('model', 'quantize', source, '-o', output, ...words);
  return { ...result, written: existsSync(output) };
}

const identity = Array.from({ length: SIDE * SIDE }, (_, i) => (i % (SIDE + 1) === 0 ? 1 : 0));
const halves = new Uint8Array(Uint16Array.from(identity, (number) => (number === 1 ? 0x3c00 : 0)).buffer);

test.each([
  [
    'a model in which no node takes 8-bit numbers',
    buildModel({
      node: [node('Relu', ['x'], ['y'])],
      input: [value('x', 'FP32', ['batch', SIDE])],
      output: [value('y', 'FP32', ['batch', SIDE])],
    }),
    /NOTHING_TO_CHANGE source\.onnx: has nothing to quantize: no node/,
  ],
  [
    'a model of half floats',
    product({ initializer: [{ name: 'w', dims: [8n, 8n], dataType: ELEMENT_TYPES.FP16, rawData: halves }] }, 'FP16'),
    /QUANTIZATION_FAILED .*'w' in half floats.*with FP32 weights/,
  ],
  [
    'a model with weights that are stored sparse',
    product({
      sparseInitializer: [
        { values: floatTensor('w', [1], [1]), indices: int64Tensor('places', [1], [0n]), dims: [8n, 8n] },
      ],
    }),
    /QUANTIZATION_FAILED .*stores 'w' sparse.*before it is sparsified/,
  ],
])(
  '%s is refused with what would work, and nothing is written',
  async (_name, model, said) => {
    const { status, stderr, written } = await quantize(model, '--mode', 'dynamic');
    expect({ status, written }).toEqual({ status: 3, written: false });
    expect(stderr.trim().split('\n').at(-1)).toMatch(said);
  },
  60_000,
);

test.each([
  [['--mode', 'dynamic', '--method', 'entropy'], '--method: is for --mode static'],
  [['--mode', 'dynamic', '--calibration-rows', '8'], '--calibration-rows: is for --mode static'],
  [['--mode', 'dynamic', '--reduce-range'], '--reduce-range: is for --mode static'],
  [['--calibration', 'rows.npz', '--percentile', '99'], '--percentile: is for --method percentile'],
  [['--calibration', 'rows.npz', '--calibration-rows', '0'], '--calibration-rows: must be a whole number from 1 up'],
  [['--mode', 'dynamic', '--min-agreement', '2'], '--min-agreement: must be a share from 0 to 1, got 2'],
  [['--mode', 'dynamic', '--tolerance=-1'], '--tolerance: must be a share from 0 up, got -1'],
] as const)('what would be passed over, or means nothing, is refused: %j', async (words, said) => {
  const { status, stderr } = await quantize(matmulModel(), ...words);
  expect({ status, stderr }).toMatchObject({
    status: 3,
    stderr: expect.stringContaining(`OPTION_INVALID ${said}`) as string,
  });
});

test.each([7, 9, 12])(
  'a model of opset %d gets a scale for each channel, which only opset 13 has',
  async (opset) => {
    const folder = temporaryFolder();
    const source = path.join(folder, 'old.onnx');
    const weights = Array.from({ length: 4 * 3 * 3 * 3 }, (_, i) => Math.sin(i) * (1 + Math.floor(i / 27)));
    writeFileSync(
      source,
      buildModel(
        {
          node: [node('Conv', ['x', 'w', 'b'], ['c']), node('Relu', ['c'], ['y'])],
          input: [value('x', 'FP32', ['batch', 3, 8, 8])],
          output: [value('y', 'FP32', ['batch', 4, 6, 6])],
          initializer: [floatTensor('w', [4, 3, 3, 3], weights), floatTensor('b', [4], [0.5, 0, -0.5, 1])],
        },
        { opsetImport: [{ domain: '', version: BigInt(opset) }] },
      ),
    );
    const rows = Array.from({ length: 8 }, (_, row) =>
      Array.from({ length: 192 }, (_each, i) => Math.cos(row * 192 + i)),
    );
    const calibration = path.join(folder, 'rows.jsonl');
    writeFileSync(calibration, rows.map((x) => `${JSON.stringify({ inputs: { x } })}\n`).join(''));
    const { comparison } = await quantizeModel({ source, output: path.join(folder, 'out.onnx'), calibration });
    expect(comparison.maxRelative).toBeLessThan(0.03);
    const { initializer } = readEditableModel(path.join(folder, 'out.onnx')).proto.graph;
    expect(initializer.find(({ name }) => /^w.*_scale$/.test(name))!.dims).toEqual([4n]);
  },
  60_000,
);

test('ranges by entropy and by percentile leave out what is rare, and those by min-max do not', async () => {
  const folder = temporaryFolder();
  const source = path.join(folder, 'product.onnx');
  writeFileSync(source, product({ initializer: [floatTensor('w', [SIDE, SIDE], identity)] }));
  const calibration = path.join(folder, 'rows.jsonl');
  // A bell of 4000 numbers around 0, and a single one far outside.
  const bell = Array.from({ length: 12_000 }, (_, i) => Math.sin(i * 12.9898 + i * i) / 2);
  const numbers = Array.from({ length: 4_000 }, (_, i) => bell[i]! + bell[i + 4_000]! + bell[i + 8_000]!);
  numbers[77] = 40;
  const rows = Array.from({ length: 500 }, (_, row) => numbers.slice(row * SIDE, (row + 1) * SIDE));
  writeFileSync(calibration, rows.map((x) => `${JSON.stringify({ inputs: { x } })}\n`).join(''));
  const rangeOf = async (method: 'min-max' | 'entropy' | 'percentile'): Promise<number> => {
    const output = path.join(folder, `${method}.onnx`);
    const more = method === 'percentile' ? { percentile: 99.9 } : {};
    await quantizeModel({ source, output, calibration, calibrationRows: 500, method, ...more, tolerance: 2 });
    const model = readEditableModel(output);
    const scale = model.proto.graph.initializer.find(({ name }) => name === 'x_scale')!;
    return floatsOfTensor(model, scale)![0]! * 255;
  };
  expect(await rangeOf('min-max')).toBeCloseTo(40 - Math.min(...numbers), 3);
  for (const method of ['entropy', 'percentile'] as const) {
    const range = await rangeOf(method);
    expect(range, method).toBeLessThan(15);
    expect(range, method).toBeGreaterThan(1.5);
  }
}, 120_000);

test('where outputs are no numbers, no sensitivity is measured, in a sentence', async () => {
  const model = product({ initializer: [floatTensor('w', [SIDE, SIDE], identity)] }, 'FP32', 'Log');
  const rows = path.join(temporaryFolder(), 'rows.jsonl');
  writeFileSync(rows, `${JSON.stringify({ inputs: { x: Array<number>(SIDE).fill(-1) } })}\n`);
  const { status, stderr, written } = await quantize(model, '--calibration', rows, '--exclude-most', '1');
  expect({ status, written }).toEqual({ status: 3, written: false });
  expect(stderr).toContain('QUANTIZATION_FAILED source.onnx: gives outputs that are no numbers');
}, 60_000);

test('a model whose input has no dimensions is timed and compared like others', async () => {
  const folder = temporaryFolder();
  const source = path.join(folder, 'scalar.onnx');
  writeFileSync(
    source,
    buildModel({
      node: [node('Add', ['x', 'x'], ['y'])],
      input: [value('x', 'FP32', [])],
      output: [value('y', 'FP32', [])],
    }),
  );
  const { comparison } = await optimizeModel({ source, output: path.join(folder, 'out.onnx') });
  expect(comparison.maxAbsolute).toBe(0);
}, 60_000);
