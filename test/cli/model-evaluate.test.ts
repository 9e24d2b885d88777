import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseBytes, parseGates, parseMilliseconds, parseShare } from '../../runtime/cli/evaluation-gates';
import { DIGITS_MODEL, digitsNpz } from '../model/evaluate/digits-data';
import { writeData } from '../model/data/support';
import { temporaryFolder } from '../server/harness/model-repository';
import { slipway } from './terminal';

const BASE = ['--task', 'classification', '--no-speed'] as const;

test('a passed evaluation prints a table, writes report and page, and exits with 0', async () => {
  const folder = temporaryFolder();
  const [report, html] = [path.join(folder, 'evaluation.json'), path.join(folder, 'evaluation.html')];
  const data = digitsNpz({ rows: 50, mislabelled: 1 });
  const gates = ['--min-accuracy', '98%', '--max-size', '105kB', '--max-p99', '60s', '--min', 'f1Macro=90%'];
  const speed = ['--speed-batches', '1,4', '--speed-seconds', '0.05', '--threads', '1'];
  const { status, stdout, stderr } = await slipway(
    'model',
    'evaluate',
    DIGITS_MODEL,
    '--data',
    data,
    '--task',
    'classification',
    ...gates,
    ...speed,
    '--report',
    report,
    '--html',
    html,
  );
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stdout).toContain('classification on data.npz, 50 rows\n');
  expect(stdout).toMatch(/^ {2}accuracy +98\.00 %$/m);
  expect(stdout).toMatch(/^ {2}passed {2}accuracy ≥ 0\.98: 0\.98$/m);
  expect(stdout).toContain('most frequent mistakes');
  expect(stderr).toMatch(/^speed with 4 rows: round 5 of 5$/m);
  expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({
    task: 'classification',
    passed: true,
    metrics: { accuracy: 0.98 },
    gates: [{}, {}, {}, {}],
  });
  expect(readFileSync(html, 'utf8')).toContain('<!doctype html>');
});

test('a gate that says no exits with 4, and the report says which', async () => {
  const report = path.join(temporaryFolder(), 'evaluation.json');
  const data = digitsNpz({ rows: 20, mislabelled: 4 });
  const { status, stdout, stderr } = await slipway(
    'model',
    'evaluate',
    DIGITS_MODEL,
    '--data',
    data,
    ...BASE,
    '--min-accuracy',
    '0.9',
    '--json',
    '--report',
    report,
  );
  expect(status).toBe(4);
  expect(stderr).toContain('GATE_FAILED models/digits/model.onnx: accuracy must be at least 0.9, got 0.8');
  const printed = JSON.parse(stdout);
  expect(printed.gates).toEqual([{ metric: 'accuracy', bound: 'min', limit: 0.9, value: 0.8, passed: false }]);
  expect(JSON.parse(readFileSync(report, 'utf8'))).toEqual(printed);
});

test('models are compared in one table', async () => {
  const { status, stdout } = await slipway(
    'model',
    'evaluate',
    DIGITS_MODEL,
    '--data',
    digitsNpz({ rows: 10 }),
    ...BASE,
    '--compare',
    DIGITS_MODEL,
    '--max-drop',
    '0%',
    '--min-agreement',
    '100%',
  );
  expect(status).toBe(0);
  expect(stdout).toMatch(/^ {2}compression +0\.0 % +–$/m);
  expect(stdout).toMatch(/^ {2}agreement +100\.00 % +–$/m);
});

test('a report that is there is not replaced, and nothing is run before that is said', async () => {
  const report = writeData('evaluation.json', 'mine');
  const args = ['model', 'evaluate', DIGITS_MODEL, '--data', digitsNpz({ rows: 2 }), ...BASE, '--report', report];
  const refused = await slipway(...args);
  expect(refused).toMatchObject({ status: 3, stdout: '' });
  expect(refused.stderr).toContain('OUTPUT_EXISTS');
  expect(readFileSync(report, 'utf8')).toBe('mine');
  expect((await slipway(...args, '--overwrite')).status).toBe(0);
});

test('data that cannot be used exits with 3, and leaves no report', async () => {
  const report = path.join(temporaryFolder(), 'evaluation.json');
  const data = writeData('rows.jsonl', '{"inputs":{"image":[1,2]},"label":0}');
  const { status, stderr } = await slipway(
    'model',
    'evaluate',
    DIGITS_MODEL,
    '--data',
    data,
    ...BASE,
    '--report',
    report,
  );
  expect(status).toBe(3);
  expect(stderr).toMatch(
    /DATA_MISFIT line 1 of .*: a row of the input 'image' must have the shape \[1, 8, 8\], got \[2\]/,
  );
  expect(existsSync(report)).toBe(false);
});

test('names of classes, columns and outputs can be given', async () => {
  const names = writeData('names.txt', 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n');
  const columns = Array.from({ length: 64 }, (_, i) => `p${i}`);
  const data = writeData('rows.csv', `kind,${columns.join(',')}\na,${new Array(64).fill(0).join(',')}\n`);
  const options = [
    '--labels',
    names,
    '--label-column',
    'kind',
    '--columns',
    `image=${columns.join(',')}`,
    '--output',
    'scores=probabilities',
  ];
  const { status, stdout, stderr } = await slipway(
    'model',
    'evaluate',
    DIGITS_MODEL,
    '--data',
    data,
    ...BASE,
    ...options,
    '--json',
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ dataset: { rows: 1 }, classNames: expect.arrayContaining(['a', 'j']) });
});

test('pictures become inputs as a preprocessing file says', async () => {
  const data = writeData('rows.jsonl', '{"inputs":{"image":"nowhere.png"},"label":0}');
  const how = writeData('preprocessing.json', JSON.stringify({ kind: 'image', scale: 0.0627 }));
  const { status, stderr } = await slipway(
    'model',
    'evaluate',
    DIGITS_MODEL,
    '--data',
    data,
    ...BASE,
    '--preprocessing',
    how,
  );
  expect(status).toBe(3);
  expect(stderr).toContain('the picture "nowhere.png" cannot be read');
});

test.each([
  [
    ['--task', 'guessing'],
    "--task must be classification, multilabel, regression, detection, embedding, similarity, got 'guessing'",
  ],
  [['--task', 'detection', '--box-format', 'yxyx'], "--box-format must be xyxy, xywh, cxcywh, got 'yxyx'"],
  [['--task', 'classification', '--limit', '0'], "--limit must be whole numbers from 1 up, got '0'"],
  [['--task', 'classification', '--output', 'scores'], "--output must be name=value, got 'scores'"],
  [['--task', 'classification', '--min-accuracy', '98'], "--min-accuracy must be a share, as in 98% or 0.98, got '98'"],
  [
    ['--task', 'classification', '--max-p99', '5'],
    "--max-p99 must be a time with its unit, as in 5ms, 0.5s or 800us, got '5'",
  ],
])('%j means nothing and exits with 2', async (options, message) => {
  const { status, stderr } = await slipway(
    'model',
    'evaluate',
    DIGITS_MODEL,
    '--data',
    digitsNpz({ rows: 1 }),
    ...options,
  );
  expect(status).toBe(2);
  expect(stderr).toContain(message);
});

test('an endpoint that nobody opened exits with 3, and a protocol that nobody speaks with 2', async () => {
  const { status, stderr } = await slipway('model', 'evaluate', 'http://127.0.0.1:9', '--data', 'x.npz', ...BASE);
  expect(status).toBe(3);
  expect(stderr).toContain('must name a model');
  expect(
    (await slipway('model', 'evaluate', 'http://127.0.0.1:9', '--data', 'x.npz', ...BASE, '--protocol', 'smtp')).status,
  ).toBe(2);
});

test('limits are written with their units', () => {
  expect([
    parseShare('98%', 'x'),
    parseShare('0.98', 'x'),
    parseShare('100%', 'x'),
    parseShare('1.0', 'x'),
    parseShare('0', 'x'),
  ]).toEqual([0.98, 0.98, 1, 1, 0]);
  for (const text of ['1', '98', '-1%', '101%', '%', '', 'x'])
    expect(() => parseShare(text, 'x')).toThrow('must be a share');
  expect([parseMilliseconds('5ms', 'x'), parseMilliseconds('0.5s', 'x'), parseMilliseconds('800us', 'x')]).toEqual([
    5, 500, 0.8,
  ]);
  expect([parseBytes('20MB', 'x'), parseBytes('1.5 KiB', 'x'), parseBytes('7', 'x')]).toEqual([20e6, 1_536, 7]);
  expect(() => parseBytes('5 parsec', 'x')).toThrow('must be a size');
  expect(parseGates(['f1Macro=90%', 'logLoss=0.5'], 'min')).toEqual([
    { metric: 'f1Macro', bound: 'min', limit: 0.9 },
    { metric: 'logLoss', bound: 'min', limit: 0.5 },
  ]);
  for (const text of ['f1', '=1', 'f1=', 'f1=x'])
    expect(() => parseGates([text], 'max')).toThrow('--max must be metric=number');
});
