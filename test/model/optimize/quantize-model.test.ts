import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readHeldOutDigits } from '../../../runtime/cli/quickstart/held-out-digits';
import { optimizeModel } from '../../../runtime/model/optimize/optimize-model';
import { quantizeModel } from '../../../runtime/model/optimize/quantize-model';
import { int8Instructions } from '../../../runtime/model/optimize/vector-instructions';
import { readProvenance } from '../../../runtime/model/provenance';
import { readOnnxModel } from '../../../runtime/onnx/read-onnx-model';
import { slipway } from '../../cli/terminal';
import { buildModel, floatTensor, node, value } from '../../support/onnx-models';
import { modelPython } from '../../support/model-python';
import { writeNpz } from '../data/support';

const DIGITS = path.join(__dirname, '../../../models/digits/model.onnx');
let folder: string;
let rows: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'slipway-optimize-'));
  const { images } = JSON.parse(readFileSync(path.join(path.dirname(DIGITS), 'heldout.json'), 'utf8')) as {
    images: number[][];
  };
  rows = path.join(folder, 'digits.jsonl');
  writeFileSync(rows, images.map((image) => `${JSON.stringify({ inputs: { image: shaped(image) } })}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As `[1, 8, 8]`. */
function shaped(image: readonly number[]): unknown {
  const flat = image.flat();
  return [Array.from({ length: 8 }, (_, row) => flat.slice(row * 8, row * 8 + 8))];
}

beforeEach(async (context) => void (await modelPython(context, 'onnx')));

const out = (name: string): string => path.join(folder, name);

test.each(['min-max', 'entropy', 'percentile'] as const)(
  'INT8 with ranges by %s keeps the class of nearly every digit, and says how it was made',
  async (method) => {
    const output = out(`${method}.onnx`);
    const options = { source: DIGITS, output, calibration: rows, method, calibrationRows: 64, count: 256 };
    const { comparison, detail, after, before } = await quantizeModel(options);
    expect(comparison.rows).toBe(256);
    expect(comparison.agreement).toBeGreaterThanOrEqual(0.98);
    expect(detail.nodes['QuantizeLinear']).toBeGreaterThan(0);
    expect(detail.calibrationRows).toBe(64);
    expect(after.bytes / before.bytes).toBe(detail.sizeRatio);
    expect(detail.sizeRatio).toBeLessThan(0.5);
    // Weights are a quarter; what is left is the graph.
    expect(readOnnxModel(output).facts.weightBytes).toBeLessThan(0.35 * readOnnxModel(DIGITS).facts.weightBytes);
    const history = await readProvenance(output);
    expect(history!.steps.at(-1)).toMatchObject({
      command: `slipway model quantize --mode static --calibration digits.jsonl --method ${method}`,
      tools: { onnxruntime: expect.stringMatching(/^1\./) as string },
      outputs: [{ path: `${method}.onnx`, sha256: readOnnxModel(output).files[0]!.sha256 }],
    });
  },
  120_000,
);

test('calibrated on pictures with their preprocessing, a model is the same to the byte as on the tensors that come of them', async () => {
  const digits = readHeldOutDigits(path.join(path.dirname(DIGITS), 'heldout.json')).slice(0, 48);
  // By class and number, in which order a folder is read.
  const named = digits.map((digit, i) => ({ ...digit, file: `${digit.label}/${String(i).padStart(3, '0')}.png` }));
  named.sort((a, b) => (a.file < b.file ? -1 : 1));
  for (const { pixels, file } of named) {
    mkdirSync(path.dirname(out(`pictures/${file}`)), { recursive: true });
    // Dark on light, which the preprocessing undoes.
    await sharp(
      Uint8Array.from(pixels, (value) => 255 - value * 15),
      { raw: { width: 8, height: 8, channels: 1 } },
    )
      .png()
      .toFile(out(`pictures/${file}`));
  }
  const preprocessing = out('preprocessing.yaml');
  writeFileSync(preprocessing, 'kind: image\nscale: 1\nmean: [255]\ndeviation: [-15]\n');
  const seen = named.map(({ pixels }) => Float32Array.from(pixels));
  const tensors = writeNpz({
    image: { datatype: 'FP32', shape: [48, 1, 8, 8], data: Float32Array.from(seen.flatMap((each) => [...each])) },
  });
  const said: Record<string, boolean> = {};
  const quantize = async (name: string, ...words: readonly string[]): Promise<Buffer> => {
    const command = ['model', 'quantize', DIGITS, '-o', out(name), '--min-agreement', '0', '--tolerance', '9'];
    const { status, stderr } = await slipway(...command, ...words);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    said[name] = stderr.includes('pictures are only stretched');
    return readFileSync(out(name));
  };
  const fromTensors = await quantize('tensors.onnx', '--calibration', tensors);
  const described = ['--calibration', out('pictures'), '--preprocessing', preprocessing];
  expect((await quantize('pictures.onnx', ...described)).equals(fromTensors)).toBe(true);
  expect((await quantize('unprepared.onnx', '--calibration', out('pictures'))).equals(fromTensors)).toBe(false);
  expect(said).toEqual({ 'tensors.onnx': false, 'pictures.onnx': false, 'unprepared.onnx': true });
  const history = await readProvenance(out('pictures.onnx'));
  expect(history!.steps.at(-1)!.report).toMatchObject({ preprocessing: { sha256: expect.any(String) as string } });
}, 120_000);

test('weights alone become INT8 without calibration data', async () => {
  const weights = Array.from({ length: 256 * 256 }, (_, i) => Math.sin(i * 12.9898) / 16);
  const source = out('matmul.onnx');
  writeFileSync(
    source,
    buildModel({
      node: [node('MatMul', ['x', 'w'], ['y'])],
      input: [value('x', 'FP32', ['batch', 256])],
      output: [value('y', 'FP32', ['batch', 256])],
      initializer: [floatTensor('w', [256, 256], weights)],
    }),
  );
  const { detail, after, before } = await quantizeModel({
    source,
    output: out('dynamic.onnx'),
    mode: 'dynamic',
    tolerance: 0.1,
  });
  expect(after.bytes).toBeLessThan(0.3 * before.bytes);
  expect(detail.nodes['MatMulInteger'] ?? detail.nodes['DynamicQuantizeMatMul']).toBe(1);
}, 60_000);

test('nodes are measured one by one, and as few are left out as it takes', async () => {
  const options = { source: DIGITS, calibration: rows, calibrationRows: 32, count: 64 };
  const plain = await quantizeModel({ ...options, output: out('plain.onnx'), tolerance: 1 });
  const tolerance = plain.comparison.maxRelative * 0.9;
  const { detail, comparison } = await quantizeModel({
    ...options,
    output: out('auto.onnx'),
    excludeMost: 'auto',
    tolerance,
  });
  expect(detail.sensitivity).toHaveLength(4);
  expect(detail.sensitivity.map(({ change }) => change)).toEqual(
    detail.sensitivity.map(({ change }) => change).sort((a, b) => b - a),
  );
  expect(detail.excluded.length).toBeGreaterThan(0);
  expect(detail.excluded).toEqual(detail.sensitivity.slice(0, detail.excluded.length).map((each) => each.node));
  expect(comparison.maxRelative).toBeLessThanOrEqual(tolerance);
}, 180_000);

test('a model that is too far from its source is a verdict, and leaves nothing', async () => {
  const [before, output] = [readdirSync(folder), out('refused.onnx')];
  const words = ['model', 'quantize', DIGITS, '-o', output, '--calibration', rows, '--tolerance', '0'];
  const { status, stderr } = await slipway(...words);
  expect(status).toBe(4);
  expect(stderr).toContain('error: TOLERANCE_EXCEEDED');
  expect(readdirSync(folder)).toEqual(before);
}, 60_000);

test.each([
  [[], 'CALIBRATION_MISSING'],
  [['--calibration', 'nowhere.npz'], 'DATA_UNREADABLE'],
  [['--calibration', DIGITS], 'DATA_UNREADABLE'],
  [['--mode', 'dynamic', '--exclude-most', '2'], 'OPTION_INVALID'],
  [['--mode', 'dynamic', '--exclude', 'no such node'], 'LAYER_UNKNOWN'],
] as const)(
  'what cannot be quantized is refused in one sentence: %j',
  async (words, code) => {
    const { status, stderr } = await slipway('model', 'quantize', DIGITS, '-o', out('never.onnx'), ...words);
    expect({ status, code: /^error: (\w+) /m.exec(stderr)?.[1] }).toEqual({ status: 3, code });
    expect(existsSync(out('never.onnx'))).toBe(false);
  },
  60_000,
);

test('calibration data that does not fit the signature is refused at the row', async () => {
  const wrong = out('wrong.jsonl');
  writeFileSync(wrong, `${JSON.stringify({ inputs: { image: [1, 2, 3] } })}\n`);
  const { status, stderr } = await slipway(
    'model',
    'quantize',
    DIGITS,
    '-o',
    out('never.onnx'),
    '--calibration',
    wrong,
  );
  expect({ status, code: /^error: (\w+) /m.exec(stderr)?.[1] }).toEqual({ status: 3, code: 'DATA_MISFIT' });
});

test('simplifying removes what has no effect and keeps every answer', async () => {
  const source = out('clumsy.onnx');
  writeFileSync(
    source,
    buildModel({
      node: [
        node('Identity', ['x'], ['a']),
        node('Add', ['one', 'one'], ['two']),
        node('Mul', ['a', 'two'], ['b']),
        node('Identity', ['b'], ['y']),
      ],
      input: [value('x', 'FP32', ['batch', 4])],
      output: [value('y', 'FP32', ['batch', 4])],
      initializer: [floatTensor('one', [4], [1, 1, 1, 1])],
    }),
  );
  const { detail, comparison } = await optimizeModel({ source, output: out('simple.onnx') });
  expect(detail).toMatchObject({ nodesBefore: 4, nodesAfter: 1 });
  expect(comparison.maxAbsolute).toBe(0);
}, 60_000);

test('half floats are half the weights, and inputs and outputs stay as they are', async () => {
  const output = out('half.onnx');
  const { comparison } = await optimizeModel({ source: DIGITS, output, precision: 'fp16', samples: rows });
  const [before, after] = [readOnnxModel(DIGITS).facts, readOnnxModel(output).facts];
  expect(after.weightBytes / before.weightBytes).toBeCloseTo(0.5, 1);
  expect([after.inputs, after.outputs]).toEqual([before.inputs, before.outputs]);
  expect(comparison.maxRelative).toBeGreaterThan(0);
  expect(comparison.agreement).toBeGreaterThan(0.99);
}, 60_000);

test('bfloat16, and nothing at all, are refused', async () => {
  const optimize = (...words: readonly string[]): ReturnType<typeof slipway> =>
    slipway('model', 'optimize', DIGITS, '-o', out('never.onnx'), ...words);
  for (const words of [['--precision', 'bf16'], ['--no-simplify']]) {
    const { status, stderr } = await optimize(...words);
    expect({ status, code: /^error: (\w+) /m.exec(stderr)?.[1] }).toEqual({ status: 3, code: 'OPTION_INVALID' });
  }
  expect((await optimize('--precision', 'int8')).status).toBe(2);
});

test("a processor's instructions for 8-bit products are read off Linux's flags", () => {
  const file = out('cpuinfo');
  writeFileSync(file, 'processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\n');
  expect(int8Instructions(file)).toEqual(['avx512_vnni']);
  writeFileSync(file, 'processor\t: 0\nflags\t\t: fpu avx2\n');
  expect(int8Instructions(file)).toEqual([]);
  expect(int8Instructions(out('nowhere'))).toBeUndefined();
});
