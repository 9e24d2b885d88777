import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { expect, onTestFinished, test } from 'vitest';
import { readHeldOutDigits } from '../../../runtime/cli/quickstart/held-out-digits';
import {
  evaluateModels,
  type EvaluatedModel,
  type EvaluationOptions,
} from '../../../runtime/model/evaluate/evaluate-models';
import { evaluationPage } from '../../../runtime/model/evaluate/evaluation-page';
import { evidenceOf } from '../../../runtime/model/evaluate/evaluation-report';
import { assertGatesPassed } from '../../../runtime/model/evaluate/gates';
import { openEvaluatedFile } from '../../../runtime/model/evaluate/open-evaluated-file';
import { EVALUATION_TASKS, type EvaluationTask } from '../../../runtime/model/evaluate/task-evaluator';
import { publishModel } from '../../../runtime/model/publish-model';
import { checkEvaluation } from '../../../runtime/spec/evaluation-evidence';
import {
  buildModel,
  floatTensor,
  identityModel,
  node,
  twoInputsModel,
  value,
  type GraphInit,
} from '../../support/onnx-models';
import { temporaryFolder } from '../../server/harness/model-repository';
import { floats, integers, toolError, writeData, writeNpz } from '../data/support';
import { DIGITS_MODEL, digitsNpz } from './digits-data';

async function open(place: string): Promise<EvaluatedModel> {
  const model = await openEvaluatedFile(place, { threads: 1 });
  onTestFinished(() => model.model.close());
  return model;
}

async function openBytes(bytes: Uint8Array, name = 'small.onnx'): Promise<EvaluatedModel> {
  const file = path.join(temporaryFolder(), name);
  writeFileSync(file, bytes);
  return open(file);
}

const quick = { speed: { batchSizes: [1], rounds: 2, minRuns: 4, seconds: 0 } } as const;
const classify = (data: string): EvaluationOptions => ({ data, task: 'classification', speed: false });
const scores = (width: number) => identityModel({ shape: ['batch', width] });

test('the sample model gets all held-out digits right, and the evidence says of which bytes', async () => {
  const lines: string[] = [];
  const report = await evaluateModels([await open(DIGITS_MODEL)], {
    ...classify(digitsNpz()),
    ...quick,
    gates: [
      { metric: 'accuracy', bound: 'min', limit: 0.97 },
      { metric: 'p99Ms', bound: 'max', limit: 60_000 },
    ],
    onProgress: (line) => lines.push(line),
    now: () => new Date('2026-01-02T03:04:05Z'),
  });
  expect(report.metrics).toMatchObject({ accuracy: 1, top5Accuracy: 1, f1Macro: 1, fileBytes: 104_515 });
  expect(report.metrics['expectedCalibrationError']).toBeLessThan(0.1);
  expect(report).toMatchObject({
    passed: true,
    dataset: { name: 'data.npz', rows: 400 },
    evaluatedAt: '2026-01-02T03:04:05.000Z',
  });
  expect(report.models[0]!.result).toMatchObject({ scores: 'probabilities', output: 'probabilities' });
  expect(report.models[0]!.accuracyPerSpeed).toBeCloseTo(100 / report.speed!['p50Ms']!);
  const evidence = evidenceOf(report)!;
  checkEvaluation(JSON.parse(JSON.stringify(evidence)), 'evaluation', (field, expected, got) => {
    throw new Error(`${field} must be ${expected}, got ${String(got)}`);
  });
  expect(evidence.model).toEqual([{ path: 'model.onnx', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
  expect(Object.keys(evidence)).not.toContain('models');
});

test('a gate that says no is in the report, and is one sentence', async () => {
  const report = await evaluateModels([await open(DIGITS_MODEL)], {
    ...classify(digitsNpz({ rows: 100, mislabelled: 10 })),
    gates: [
      { metric: 'accuracy', bound: 'min', limit: 0.95 },
      { metric: 'fileBytes', bound: 'max', limit: 1_000 },
    ],
  });
  expect(report.passed).toBe(false);
  expect(report.gates).toEqual([
    { metric: 'accuracy', bound: 'min', limit: 0.95, value: 0.9, passed: false },
    { metric: 'fileBytes', bound: 'max', limit: 1_000, value: 104_515, passed: false },
  ]);
  const error = await toolError(Promise.resolve().then(() => assertGatesPassed(report.gates, 'digits')));
  expect(error).toMatchObject({ code: 'GATE_FAILED', kind: 'verdict' });
  expect(error.message).toBe(
    'GATE_FAILED digits: accuracy must be at least 0.95, got 0.9; fileBytes must be at most 1000, got 104515',
  );
});

test('a number at a gate has as many digits as tell it from the limit, and none that binary fractions leave', () => {
  const said = (value: number, limit: number) =>
    toolError(
      Promise.resolve().then(() =>
        assertGatesPassed([{ metric: 'm', bound: 'min', limit, value, passed: false }], 'x'),
      ),
    );
  return expect(
    Promise.all([said(0.1601899999999432, 0.5), said(0.9499999999, 0.95), said(104_515_123, 2e9)]).then((errors) =>
      errors.map(({ message }) => message.split('got ')[1]),
    ),
  ).resolves.toEqual(['0.16019', '0.9499999999', '104515123']);
});

test('a gate on a number that there is not is refused, not passed', async () => {
  const options = classify(digitsNpz({ rows: 4 }));
  const model = await open(DIGITS_MODEL);
  const gate = (metric: string) =>
    toolError(evaluateModels([model], { ...options, gates: [{ metric, bound: 'min', limit: 0 }] }));
  expect((await gate('acuracy')).message).toMatch(
    /^GATE_UNKNOWN acuracy: must be a number that this evaluation gives \(accuracy, /,
  );
  expect((await gate('p99Ms')).message).toBe('GATE_UNKNOWN p99Ms: needs speed, which is not to be measured');
  expect((await gate('drop')).code).toBe('GATE_UNKNOWN');
  expect((await gate('constructor')).code).toBe('GATE_UNKNOWN');
});

test('a gate that cannot come is refused before a row is read, one that did not come before anything is timed', async () => {
  const model = await open(DIGITS_MODEL);
  const lines: string[] = [];
  const gate = (metric: string, data: string, more: Partial<EvaluationOptions> = {}) =>
    toolError(
      evaluateModels([model], {
        ...classify(data),
        ...quick,
        gates: [{ metric, bound: 'min', limit: 0 }],
        onProgress: (line) => lines.push(line),
        ...more,
      }),
    );
  expect((await gate('acuracy', 'nowhere.npz')).message).toMatch(/^GATE_UNKNOWN acuracy: .*top<k>Accuracy.*p99Ms/);
  expect((await gate('drop', 'nowhere.npz')).message).toBe(
    'GATE_UNKNOWN drop: needs a model to compare with: give --compare',
  );
  expect((await gate('r2', 'nowhere.npz')).code).toBe('GATE_UNKNOWN');
  // There may be such a metric, and here there is none: the rows tell.
  expect((await gate('top7Accuracy', digitsNpz({ rows: 4 }))).code).toBe('GATE_UNKNOWN');
  expect(lines).toEqual([]);
});

test('every number of every task can be asked for by a gate', async () => {
  const boxes = '{"inputs":{"input":[[0,0,2,2,0.9,0],[4,4,6,6,0.8,1]]},"label":{"boxes":[[0,0,2,2]],"classes":[0]}}\n';
  const row = (input: readonly number[], label: unknown): string => `${JSON.stringify({ inputs: { input }, label })}\n`;
  const one = [0.7, 0.2, 0.1];
  const other = [0.1, 0.6, 0.3];
  const data: Readonly<Record<EvaluationTask, string>> = {
    classification: row(one, 0) + row(other, 1),
    multilabel: row(one, [0]) + row(other, [1, 2]),
    regression: row(one, [0.7, 0.2, 0]) + row(other, [0, 0.6, 0.3]),
    detection: boxes,
    embedding: row(one, 0) + row(one, 0) + row(other, 1) + row(other, 1),
    similarity: row(one, [1]) + row(one, [1]) + row(one, [0]) + row(other, [0]) + row(other, [0.5]) + row(one, [0.5]),
  };
  for (const task of EVALUATION_TASKS) {
    const model = await openBytes(task === 'detection' ? identityModel({ shape: ['n', 2, 6] }) : scores(3));
    const options = { data: writeData('rows.jsonl', data[task]), task, speed: false, topK: [2] } as const;
    const { metrics } = await evaluateModels([model], options);
    expect(Object.keys(metrics).length, task).toBeGreaterThan(1);
    const gates = Object.keys(metrics).map((metric) => ({ metric, bound: 'min', limit: -1e9 }) as const);
    expect((await evaluateModels([model], { ...options, gates })).passed, task).toBe(true);
  }
});

test('models are compared row by row, the second being the original', async () => {
  const file = writeNpz({
    input: floats([4, 2], [0.9, 0.1, 0.2, 0.8, 0.7, 0.3, 0.4, 0.6]),
    y: integers([4], [0, 1, 0, 1]),
  });
  const swapped: GraphInit = {
    node: [node('MatMul', ['input', 'weight'], ['output'])],
    input: [value('input', 'FP32', ['batch', 2])],
    output: [value('output', 'FP32', ['batch', 2])],
    initializer: [floatTensor('weight', [2, 2], [0, 1, 1, 0])],
  };
  const wrong = await openBytes(buildModel(swapped), 'wrong.onnx');
  const right = await openBytes(scores(2), 'right.onnx');
  const report = await evaluateModels([wrong, right], {
    ...classify(file),
    ...quick,
    gates: [{ metric: 'drop', bound: 'max', limit: 0.01 }],
  });
  const [mine, original] = report.models;
  expect(mine!.result.metrics['accuracy']).toBe(0);
  expect(original!.result.metrics['accuracy']).toBe(1);
  expect(original!.against).toBeUndefined();
  expect(mine!.against).toMatchObject({ drop: 1, agreement: 0, speed: [{ batchSize: 1 }] });
  const compression = ((right.fileBytes! - wrong.fileBytes!) / right.fileBytes!) * 100;
  expect(mine!.against!.compressionPercent).toBeCloseTo(compression, 10);
  expect(report.gates[0]).toMatchObject({ value: 1, passed: false });
});

test('a compared model may take another precision, another name and fixed rows', async () => {
  const file = writeNpz({ input: floats([3, 2], [0.9, 0.1, 0.2, 0.8, 0.7, 0.3]), y: integers([3], [0, 1, 0]) });
  const half = await openBytes(identityModel({ datatype: 'FP16', shape: ['batch', 2] }));
  const fixed = await openBytes(identityModel({ shape: [2, 2] }));
  const report = await evaluateModels([await openBytes(scores(2)), half, fixed], classify(file));
  expect(report.models.map(({ result }) => result.metrics['accuracy'])).toEqual([1, 1, 1]);
  expect(report.models[2]!.against).toMatchObject({ agreement: 1 });
  const other = await openBytes(twoInputsModel());
  expect((await toolError(evaluateModels([half, other], classify(file)))).message).toContain(
    "takes an input 'left', which the first model does not",
  );
});

test('scores that do not add up to 1 are logits, unless it is said that they are not', async () => {
  const file = writeNpz({ input: floats([1, 2], [2, 0]), y: integers([1], [0]) });
  const model = await openBytes(scores(2));
  const asLogits = await evaluateModels([model], classify(file));
  expect(asLogits.models[0]!.result.scores).toBe('logits');
  expect(asLogits.metrics['logLoss']).toBeCloseTo(Math.log(1 + Math.exp(-2)), 6);
  const asGiven = await evaluateModels([model], { ...classify(file), scores: 'probabilities' });
  expect(asGiven.metrics['logLoss']).toBeCloseTo(0, 6);
});

test('one score is that of the second class of two', async () => {
  const file = writeNpz({ input: floats([4, 1], [0.9, 0.2, 0.6, 0.4]), y: integers([4], [1, 0, 0, 0]) });
  const report = await evaluateModels([await openBytes(scores(1))], classify(file));
  expect(report.metrics).toMatchObject({ accuracy: 0.75 });
});

test('a model that says the class itself is right or wrong, and nothing more', async () => {
  const file = writeNpz({ input: integers([3], [2, 1, 0]), y: integers([3], [2, 1, 1]) });
  const model = await openBytes(identityModel({ datatype: 'INT64', shape: ['batch'] }));
  const report = await evaluateModels([model], classify(file));
  expect(report.metrics['accuracy']).toBeCloseTo(2 / 3);
  expect(report.metrics).not.toHaveProperty('logLoss');
});

test('a model that says names is held against the names of the labels', async () => {
  const file = writeData(
    'rows.jsonl',
    '{"inputs":{"input":"cat"},"label":"cat"}\n{"inputs":{"input":"dog"},"label":"cat"}\n{"inputs":{"input":"cow"},"label":"dog"}\n',
  );
  const model = await openBytes(identityModel({ datatype: 'BYTES', shape: ['batch'] }));
  const report = await evaluateModels([model], { ...classify(file), classNames: ['cat', 'dog'] });
  expect(report.metrics['accuracy']).toBeCloseTo(1 / 3);
  expect(report.models[0]!.result.confusion).toContainEqual({ label: 1, predicted: -1, rows: 1 });
});

test('numbers, sets of classes, vectors and pairs are counted by their tasks', async () => {
  const input = floats([4, 2], [1, 0, 1, 0.1, 0, 1, 0.1, 1]);
  const model = await openBytes(scores(2));
  const evaluated = async (labels: Parameters<typeof writeNpz>[0], task: EvaluationOptions['task']) =>
    (await evaluateModels([model], { data: writeNpz({ input, ...labels }), task, speed: false })).metrics;
  expect(await evaluated({ y: input }, 'regression')).toMatchObject({ meanAbsoluteError: 0, r2: 1 });
  expect(await evaluated({ y: integers([4, 2], [1, 0, 1, 0, 0, 1, 0, 1]) }, 'multilabel')).toMatchObject({
    accuracy: 1,
    f1Micro: 1,
  });
  expect(await evaluated({ y: integers([4], [0, 0, 1, 1]) }, 'embedding')).toMatchObject({
    recallAt1: 1,
    meanReciprocalRank: 1,
  });
  const pairs = { input: floats([4, 2], [1, 0, 1, 0, 1, 0, 0, 1]), y: floats([4], [5, 5, 1, 1]) };
  expect(await evaluated(pairs, 'similarity')).toMatchObject({ spearman: 1, pairs: 2 });
  const message = async (labels: Parameters<typeof writeNpz>[0], task: EvaluationOptions['task']) =>
    (await toolError(evaluated(labels, task))).message;
  expect(await message({ y: floats([4, 3], new Array<number>(12).fill(0)) }, 'regression')).toContain(
    "must have 2 numbers, as output 'output' has, got 3",
  );
  expect(await message({ y: integers([4], [0, 1, 2, 3]) }, 'embedding')).toContain('no two rows have the same label');
});

test('boxes are found in outputs by their shapes', async () => {
  const detections = [0, 0, 10, 10, 0.9, 1, 20, 20, 30, 30, 0.8, 0];
  const labels = {
    boxes: floats([2, 4], [0, 0, 10, 10, 20, 20, 30, 30]),
    box_classes: integers([2], [1, 0]),
    box_rows: integers([2], [0, 0]),
  };
  const file = writeNpz({ input: floats([1, 2, 6], detections), ...labels });
  const model = await openBytes(identityModel({ shape: ['batch', 2, 6] }));
  const report = await evaluateModels([model], { data: file, task: 'detection', speed: false });
  expect(report.metrics).toMatchObject({ map: 1, map50: 1, map75: 1 });
  expect(report.models[0]!.result.boxes).toHaveLength(2);
  const split: GraphInit = {
    node: [
      node('Slice', ['input', 'zero', 'four', 'axis'], ['boxes']),
      node('Slice', ['input', 'four', 'five', 'axis'], ['score3']),
      node('Slice', ['input', 'five', 'six', 'axis'], ['class3']),
      node('Squeeze', ['score3', 'axis'], ['scores']),
      node('Squeeze', ['class3', 'axis'], ['classes']),
    ],
    input: [value('input', 'FP32', ['batch', 2, 6])],
    output: [
      value('classes', 'FP32', ['batch', 2]),
      value('scores', 'FP32', ['batch', 2]),
      value('boxes', 'FP32', ['batch', 2, 4]),
    ],
    initializer: (
      [
        ['zero', 0],
        ['four', 4],
        ['five', 5],
        ['six', 6],
        ['axis', 2],
      ] as const
    ).map(([name, number]) => ({
      name,
      dims: [1n],
      dataType: 7,
      int64Data: [BigInt(number)],
    })),
  };
  const parts = await evaluateModels([await openBytes(buildModel(split))], {
    data: file,
    task: 'detection',
    speed: false,
  });
  expect(parts.metrics).toEqual({ ...report.metrics, fileBytes: parts.metrics['fileBytes'] });
  const plain = await openBytes(scores(2));
  const rows = writeNpz({ input: floats([1, 2], [1, 2]), ...labels });
  expect(await toolError(evaluateModels([plain], { data: rows, task: 'detection', speed: false }))).toMatchObject({
    code: 'OUTPUT_UNFIT',
  });
});

test('names of classes and preprocessing come from the manifest of a published version', async () => {
  const folder = temporaryFolder();
  await publishModel({ source: DIGITS_MODEL, name: 'digits', repository: folder });
  const place = path.join(folder, 'digits', '1');
  const manifest = JSON.parse(readFileSync(path.join(place, 'manifest.json'), 'utf8'));
  const names = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
  writeFileSync(path.join(place, 'manifest.json'), JSON.stringify({ ...manifest, labels: { probabilities: names } }));
  const file = writeData(
    'rows.jsonl',
    `${JSON.stringify({ inputs: { image: new Array(64).fill(0) }, label: 'seven' })}\n`,
  );
  const model = await open(place);
  expect(model.name).toBe('digits 1');
  const report = await evaluateModels([model], classify(file));
  expect(report.classNames).toEqual(names);
  expect(report.models[0]!.result.confusion![0]!.label).toBe(7);
});

test('an output that is named and not there is refused with those that are', async () => {
  const model = await open(DIGITS_MODEL);
  const error = await toolError(
    evaluateModels([model], { ...classify(digitsNpz({ rows: 2 })), outputs: { scores: 'logits' } }),
  );
  expect(error.message).toContain("the model has no output 'logits', got 'probabilities' FP32 [batch, 10]");
});

test('an evaluation stops when it is told to', async () => {
  const model = await open(DIGITS_MODEL);
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(evaluateModels([model], { ...classify(digitsNpz({ rows: 2 })), signal })).rejects.toThrow('enough');
});

test('the page holds pictures, needs nothing else, and takes names for text', async () => {
  const names = ['<script>alert(1)</script>', ...Array.from({ length: 9 }, (_, i) => `"${i + 1}'&`)];
  const model = { ...(await open(DIGITS_MODEL)), name: '<b>digits</b>' };
  const page = evaluationPage(
    await evaluateModels([model], {
      ...classify(digitsNpz({ rows: 100, mislabelled: 3 })),
      ...quick,
      classNames: names,
    }),
  );
  expect(page).toContain('aria-label="confusion matrix"');
  expect(page).toContain('aria-label="reliability diagram"');
  expect(page).not.toMatch(/<script|<b>digits|https?:|\ssrc=|url\(/);
  expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(page).not.toMatch(/NaN|undefined|Infinity/);
});

test('a version is published with the evidence, and with no other', async () => {
  const report = await evaluateModels([await open(DIGITS_MODEL)], {
    ...classify(digitsNpz({ rows: 10 })),
    gates: [{ metric: 'accuracy', bound: 'min', limit: 0.9 }],
  });
  const evaluationFile = writeData('evaluation.json', JSON.stringify(report));
  const repository = temporaryFolder();
  await publishModel({ source: DIGITS_MODEL, name: 'digits', repository, evaluationFile });
  const { evaluation } = JSON.parse(readFileSync(path.join(repository, 'digits', '1', 'manifest.json'), 'utf8'));
  expect(evaluation).toEqual(JSON.parse(JSON.stringify(evidenceOf(report))));
});

test('a label beyond the classes is refused, also where only an answer tells how many there are', async () => {
  const file = writeNpz({ input: floats([1, 2], [0.5, 0.5]), y: integers([1], [2]) });
  const message = async (model: EvaluatedModel) => (await toolError(evaluateModels([model], classify(file)))).message;
  expect(await message(await openBytes(scores(2)))).toContain('the label must be a whole number from 0 to 1');
  expect(await message(await openBytes(identityModel({ shape: ['batch', 'classes'] })))).toBe(
    "LABEL_INVALID labels: must be below 2, the model's classes, got 2",
  );
});

test('a folder of pictures is read as the preprocessing says, and named by its folders', async () => {
  const root = temporaryFolder();
  for (const { index, label, pixels } of readHeldOutDigits('models/digits/heldout.json').slice(0, 60)) {
    mkdirSync(path.join(root, String(label)), { recursive: true });
    const grey = Uint8Array.from(pixels, (value) => value * 15);
    await sharp(grey, { raw: { width: 8, height: 8, channels: 1 } })
      .png()
      .toFile(path.join(root, String(label), `${index}.png`));
  }
  const image = {
    kind: 'image',
    width: 8,
    height: 8,
    resize: 'stretch',
    channels: 'grey',
    layout: 'NCHW',
    scale: 1 / 15,
    mean: [0],
    deviation: [1],
  } as const;
  const digits = await open(DIGITS_MODEL);
  const preprocessing = { preprocessing: { image }, files: new Map<string, string>() };
  const report = await evaluateModels([{ ...digits, preprocessing }], classify(root));
  expect(report).toMatchObject({
    metrics: { accuracy: 1 },
    dataset: { rows: 60 },
    classNames: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  });
  // Without preprocessing the model sees values from 0 to 1 where it was trained on 0 to 16.
  const lines: string[] = [];
  const unscaled = await evaluateModels([digits], { ...classify(root), onProgress: (line) => lines.push(line) });
  expect(lines).toEqual([expect.stringContaining('pictures are only stretched')]);
  expect(unscaled).not.toHaveProperty('preprocessing');
  expect(evaluationPage(report)).toContain(`preprocessing SHA-256 <code>${report.preprocessing!.sha256}</code>`);
  expect(unscaled.metrics['accuracy']).toBeLessThan(0.9);
});
