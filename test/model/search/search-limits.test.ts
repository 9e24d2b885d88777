import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { searchModels, type SearchOptions } from '../../../runtime/model/search/search-models';
import { renderSearchPage } from '../../../runtime/model/search/search-page';
import type { SearchReport } from '../../../runtime/model/search/search-report';
import { notesOf } from '../../../runtime/model/search/search-table';
import { slipway } from '../../cli/terminal';
import { temporaryFolder } from '../../server/harness/model-repository';
import { toolError } from '../data/support';
import { DIGITS_MODEL, digitsNpz } from '../evaluate/digits-data';

const SHARED = (name: string): NonNullable<SearchOptions['recipes']>[number] => ({
  name,
  steps: [{ do: 'cluster', clusters: 16 }],
});

function search(options: Partial<SearchOptions>): Promise<SearchReport> {
  return searchModels({
    source: DIGITS_MODEL,
    output: path.join(temporaryFolder(), 'search'),
    data: digitsNpz({ rows: 20 }),
    task: 'classification',
    recipes: [SHARED('first'), SHARED('second')],
    speed: { rounds: 1, minRuns: 2, seconds: 0 },
    ...options,
  });
}

test('recipes beyond --max-recipes, and those that the time is not enough for, are left out with the reason', async () => {
  const { rows } = await search({ maxRecipes: 1 });
  expect(rows.map(({ name, state }) => [name, state])).toEqual([
    ['source', 'source'],
    ['first', 'tried'],
    ['second', 'left out'],
  ]);
  expect(rows[2]!.reason).toBe('is beyond the 1 recipes of --max-recipes');
  const late = await search({ timeoutSeconds: 0.001 });
  expect(late.rows.map(({ state }) => state)).toEqual(['source', 'left out', 'left out']);
  expect(late.rows[2]!.reason).toContain('the 0.001 seconds of --timeout-seconds were over');

  const recipes = path.join(temporaryFolder(), 'recipes.json');
  writeFileSync(recipes, JSON.stringify({ recipes: [SHARED('first'), SHARED('second')] }));
  const words = ['model', 'search', DIGITS_MODEL, '--data', digitsNpz({ rows: 20 }), '--recipes', recipes];
  const output = ['-o', path.join(temporaryFolder(), 'search'), '--speed-seconds', '0.01'];
  const { status, stdout } = await slipway(...words, ...output, '--max-recipes', '1', '--timeout-seconds', '600');
  expect(status).toBe(0);
  expect(stdout).toContain('second left out: is beyond the 1 recipes of --max-recipes');
  expect((await slipway(...words, ...output, '--timeout-seconds', '0')).status).toBe(2);
});

test('a folder that has other things in it is refused before anything is tried, and left as it is', async () => {
  const output = temporaryFolder();
  writeFileSync(path.join(output, 'thesis.tex'), 'irreplaceable');
  const error = await toolError(search({ output }));
  expect(error).toMatchObject({ code: 'OUTPUT_EXISTS' });
  expect(error.message).toContain("has 'thesis.tex' in it: give a folder for this search alone");
  expect(existsSync(path.join(output, 'candidates'))).toBe(false);
  const file = path.join(output, 'thesis.tex');
  expect(await toolError(search({ output: file }))).toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
});

test('names of models, data and steps are no markup on the page', async () => {
  const folder = temporaryFolder();
  const [source, data] = [path.join(folder, '<b>net&co.onnx'), path.join(folder, '<i>rows.npz')];
  copyFileSync(DIGITS_MODEL, source);
  copyFileSync(digitsNpz({ rows: 20 }), data);
  const output = path.join(folder, 'search');
  const recipes = [{ name: 'none', steps: [{ do: 'cluster', clusters: 16, exclude: ['<u>*'] }] }] as const;
  const report = await search({ source, data, output, recipes });
  const page = readFileSync(path.join(output, 'search.html'), 'utf8');
  expect(page).toContain('&lt;b&gt;net&amp;co');
  expect(page).toContain('&lt;i&gt;rows.npz');
  expect(page).toContain('&lt;u&gt;*');
  expect(page).not.toMatch(/<b>|<i>|<u>/);
  // Whatever a tool answers is text, too.
  const [first] = report.rows;
  const failed = { ...first!, name: 'x', state: 'failed', reason: '<script>alert(1)</script>', numbers: undefined };
  expect(renderSearchPage({ ...report, rows: [first!, failed] } as unknown as SearchReport)).not.toContain('<script>');
});

test('of INT8 models is spoken where there are some', async () => {
  const report = await search({ recipes: [SHARED('shared')] });
  expect(report.calibration.isDataset).toBe(true);
  const bare = { ...report, int8Instructions: [] };
  expect(notesOf(bare)).toEqual([]);
  const int8 = (mode: 'static' | 'dynamic', isMade = true): SearchReport => {
    const [source, shared] = bare.rows as [SearchReport['rows'][number], SearchReport['rows'][number]];
    const { numbers, ...rest } = shared;
    const row = { ...rest, steps: [{ do: 'quantize', mode }] as const, ...(isMade ? { numbers: numbers! } : {}) };
    return { ...bare, rows: [source, row] };
  };
  const vnni = expect.stringContaining('VNNI') as string;
  expect(notesOf(int8('dynamic'))).toEqual([vnni]);
  expect(notesOf(int8('static'))).toEqual([expect.stringContaining('ranges of INT8 models'), vnni]);
  expect(notesOf(int8('static', false))).toEqual([]);
  expect(renderSearchPage(int8('static'))).toContain('Ranges of INT8 models were found on the very rows');
  expect(renderSearchPage(bare)).not.toContain('INT8');
});
