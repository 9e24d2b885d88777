import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { readProvenance } from '../../../runtime/model/provenance';
import { frontOf, missesOf, type Named } from '../../../runtime/model/search/choose-candidate';
import { parseRecipes } from '../../../runtime/model/search/parse-recipes';
import { searchModels } from '../../../runtime/model/search/search-models';
import type { CandidateNumbers, SearchReport } from '../../../runtime/model/search/search-report';
import { slipway } from '../../cli/terminal';
import { temporaryFolder } from '../../server/harness/model-repository';
import { modelPython } from '../../support/model-python';
import { DIGITS_MODEL, digitsNpz } from '../evaluate/digits-data';

const RECIPES = `recipes:
  - name: shared
    steps: [{ do: cluster, clusters: 16 }]
  - name: thinner
    steps: [{ do: prune, method: channels, ratio: 0.25, roundTo: 8 }]
  - name: impossible
    steps: [{ do: prune, method: magnitude, sparsity: 0.5, exclude: ['*'] }]
`;

function written(name: string, text: string): string {
  const file = path.join(temporaryFolder(), name);
  writeFileSync(file, text);
  return file;
}

const QUICK = ['--speed-seconds', '0.05'];

test('recipes become a table, a picture and the model that is what it must be, with its history and evaluation', async () => {
  const output = path.join(temporaryFolder(), 'search');
  const words = ['model', 'search', DIGITS_MODEL, '--data', digitsNpz(), '-o', output, ...QUICK];
  const limits = ['--max-accuracy-drop', '2%', '--max-size', '60KiB', '--prefer', 'size'];
  const { status, stdout, stderr } = await slipway(...words, '--recipes', written('r.yaml', RECIPES), ...limits);
  expect(stderr).toContain('recipe 3 of 3: impossible');
  expect(status).toBe(0);
  expect(stdout).toContain("'shared' was chosen.");
  expect(stdout).toMatch(/impossible.*(NOTHING_TO_CHANGE|LAYER_UNKNOWN)/s);
  const report = JSON.parse(readFileSync(path.join(output, 'search.json'), 'utf8')) as SearchReport;
  expect(report.rows.map(({ name }) => name)).toEqual(['source', 'shared', 'thinner', 'impossible']);
  const chosen = path.join(output, 'chosen', 'model.onnx');
  expect((await readProvenance(chosen))!.steps.map(({ command }) => command)).toEqual([
    'slipway model cluster --clusters 16',
    expect.stringMatching(/^slipway model search --data .+, which chose shared$/),
  ]);
  const page = readFileSync(path.join(output, 'search.html'), 'utf8');
  expect(page).toContain('<svg');
  expect(page).not.toMatch(/<script|https?:\/\//);

  // Again: nothing is made anew, and a limit that nothing meets is a verdict with the nearest one.
  const again = await slipway(...words, '--recipes', written('r.yaml', RECIPES), '--max-size', '1KiB');
  expect(again.status).toBe(4);
  expect(again.stderr).toContain('error: NO_CANDIDATE');
  expect(again.stderr).not.toContain('comparing it with its source');
  expect(existsSync(chosen)).toBe(false);
}, 120_000);

test('the source itself is chosen where nothing that was tried is better, under the name that its report says', async () => {
  const folder = temporaryFolder();
  const source = path.join(folder, 'trained.onnx');
  copyFileSync(DIGITS_MODEL, source);
  const { chosen, chosenFiles } = await searchModels({
    source,
    output: path.join(folder, 'search'),
    data: digitsNpz({ rows: 50 }),
    task: 'classification',
    recipes: [],
    constraints: { maxDrop: 0 },
    speed: { seconds: 0.05 },
  });
  expect(chosen).toBe('source');
  expect(chosenFiles).toEqual(['chosen/model.onnx', 'chosen/model.onnx.provenance.json', 'chosen/evaluation.json']);
  for (const file of chosenFiles!) expect(existsSync(path.join(folder, 'search', file)), file).toBe(true);
});

test('the recipes that come with it quantize, prune and share weights', async (context) => {
  await modelPython(context, 'onnx');
  const { rows, chosen } = await searchModels({
    source: DIGITS_MODEL,
    output: path.join(temporaryFolder(), 'search'),
    data: digitsNpz({ rows: 100 }),
    task: 'classification',
    constraints: { maxDrop: 0.05 },
    speed: { batchSizes: [1], seconds: 0.05 },
    prefer: 'size',
  });
  const of = (name: string): SearchReport['rows'][number] => rows.find((row) => row.name === name)!;
  expect(rows.length).toBeGreaterThan(8);
  expect(of('int8').numbers!.fileBytes).toBeLessThan(0.4 * of('source').numbers!.fileBytes);
  expect(of('int8').numbers!.drop).toBeLessThanOrEqual(0.02);
  expect(chosen).toBe('clusters-16');
}, 240_000);

function model(name: string, accuracy: number, p50Ms: number, fileBytes: number): Named {
  return { name, numbers: { accuracy, drop: 1 - accuracy, fileBytes, speed: { p50Ms } } as CandidateNumbers };
}

test('the front has what no other model beats', () => {
  const models = [model('a', 1, 2, 9), model('b', 0.9, 1, 9), model('c', 0.9, 2, 9), model('d', 0.5, 3, 1)];
  expect([...frontOf(models)]).toEqual(['a', 'b', 'd']);
});

test('a model misses each limit that it is beyond, with both numbers', () => {
  const { numbers } = model('a', 0.9, 2, 2_048);
  expect(missesOf(numbers, { maxDrop: 0.1, maxLatencyMs: 2, maxBytes: 2_048 })).toEqual([]);
  const misses = missesOf(numbers, { maxDrop: 0.05, maxLatencyMs: 1, maxBytes: 1_024 });
  expect(misses).toHaveLength(3);
  expect(misses[2]).toBe('has 2.0 KiB, at most 1.0 KiB');
});

test.each([
  ['nothing', {}],
  ['a list of none', { recipes: [] }],
  ['a name that is no folder', { recipes: [{ name: '../x', steps: [] }] }],
  ['the name of the source', { recipes: [{ name: 'source', steps: [{ do: 'sparsify' }] }] }],
  ['an unknown step', { recipes: [{ name: 'a', steps: [{ do: 'quantise' }] }] }],
  ['an unknown field', { recipes: [{ name: 'a', steps: [{ do: 'cluster', cluster: 4 }] }] }],
  ['a field of another kind', { recipes: [{ name: 'a', steps: [{ do: 'cluster', clusters: 'many' }] }] }],
])('recipes with %s are refused by their place', (_what, content) => {
  expect(() => parseRecipes(content, 'r.yaml')).toThrow(/^RECIPES_INVALID r\.yaml: /);
});
