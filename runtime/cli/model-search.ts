import { readFile } from 'node:fs/promises';
import type { EvaluationTask, ScoreKind } from '../model/evaluate/task-evaluator';
import type { SearchOptions } from '../model/search/search-models';
import type { Recipe } from '../model/search/recipe';
import type { SearchConstraints, SearchPreference, SearchReport } from '../model/search/search-report';
import { numberOption, PREPROCESSING_OPTION, PYTHON_OPTION } from './change-options';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments, Terminal } from './command';
import { parseBytes, parseMilliseconds, parseShare } from './evaluation-gates';
import { formatTable } from './text-table';

const NAME = 'slipway model search';
/** Recipes are written by hand. */
const MAX_RECIPES_BYTES = 2 ** 20;

/** `slipway model search`: what a set of recipes makes of a model, and which one is what it must be. */
export const modelSearch: Command = {
  arguments: [{ name: 'model', description: 'an ONNX file, or the folder of a published version' }],
  options: {
    data: {
      type: 'string',
      value: 'path',
      required: true,
      description: 'labelled rows: .npz, .csv, .jsonl, or a folder with one folder of pictures for each class',
    },
    output: {
      type: 'string',
      short: 'o',
      value: 'folder',
      required: true,
      description: 'the folder for candidates, report and chosen model; a search that was ended goes on there',
    },
    recipes: {
      type: 'string',
      value: 'file',
      description: 'what to try, as YAML or JSON, or default: ten recipes for networks (default)',
    },
    task: { type: 'string', value: 'task', description: 'as for slipway model evaluate (classification)' },
    calibration: {
      type: 'string',
      value: 'path',
      description: 'other rows, on which ranges of values are found (those of --data, which flatters INT8 a little)',
    },
    ...PREPROCESSING_OPTION,
    labels: { type: 'string', value: 'file', description: "names of the classes (the manifest's)" },
    'label-column': {
      type: 'string',
      value: 'name',
      multiple: true,
      description: 'column or array of the labels (label, y, target …)',
    },
    scores: {
      type: 'string',
      value: 'kind',
      description: 'what classifiers give: probabilities or logits (looked at)',
    },
    limit: { type: 'string', value: 'rows', description: 'judge by no more rows than these (all)' },
    'max-accuracy-drop': {
      type: 'string',
      value: 'share',
      description: "most that the chosen model may lose of the task's main metric, as in 1%",
    },
    'max-latency': { type: 'string', value: 'time', description: 'largest median of a run, as in 5ms' },
    'max-size': { type: 'string', value: 'bytes', description: 'largest size of all files, as in 10MiB' },
    prefer: {
      type: 'string',
      value: 'what',
      description: 'the best of those that are allowed: latency, size or accuracy (latency)',
    },
    'max-recipes': { type: 'string', value: 'number', description: 'try no more than the first ones (32)' },
    'timeout-seconds': { type: 'string', value: 'seconds', description: 'try nothing more after that (3600)' },
    'speed-batch': { type: 'string', value: 'rows', description: 'rows of the runs that are timed (1)' },
    'speed-seconds': { type: 'string', value: 'seconds', description: 'time for each model (2)' },
    threads: { type: 'string', value: 'number', description: 'threads of one run (all cores)' },
    json: { type: 'boolean', description: 'print the report as JSON' },
    ...PYTHON_OPTION,
  },
  details:
    'Recipes that fail are rows with their reason. Those that were tried before, with the same model, data and version, are only timed again. ' +
    'Exit status 4 when no model is what it must be: the report names the nearest.',
  run: async (given, terminal) => {
    const { searchModels } = await import('../model/search/search-models.js');
    const { assertChosen } = await import('../model/search/choose-candidate.js');
    const report = await searchModels(await optionsOf(given, terminal));
    terminal.out(
      given.flag('json') ? JSON.stringify(report, undefined, 2) : await render(report, given, terminal.width),
    );
    assertChosen(report);
  },
};

async function optionsOf(given: ParsedArguments, terminal: Terminal): Promise<SearchOptions> {
  const { EVALUATION_TASKS } = await import('../model/evaluate/task-evaluator.js');
  const { PREFERENCES } = await import('../model/search/search-report.js');
  const { readClassNames } = await import('../model/data/class-names.js');
  const labels = given.text('labels');
  const labelNames = given.texts('label-column');
  const optional = <Key extends string, Value>(key: Key, value: Value | undefined): { [key in Key]?: Value } =>
    value === undefined ? {} : ({ [key]: value } as { [key in Key]?: Value });
  const seconds = numberOption(given, 'speed-seconds', NAME);
  return {
    source: given.argument('model'),
    output: given.text('output')!,
    data: given.text('data')!,
    task: oneOf<EvaluationTask>(given, 'task', EVALUATION_TASKS) ?? 'classification',
    constraints: constraintsOf(given),
    python: given.text('python'),
    onProgress: (line) => terminal.err(line),
    speed: { batchSizes: [countOf(given, 'speed-batch') ?? 1], ...optional('seconds', seconds) },
    ...optional('recipes', await recipesOf(given.text('recipes'))),
    ...optional('calibration', given.text('calibration')),
    ...optional('preprocessingFile', given.text('preprocessing')),
    ...optional('classNames', labels === undefined ? undefined : await readClassNames(labels)),
    ...optional('labelNames', labelNames.length === 0 ? undefined : labelNames),
    ...optional('scores', oneOf<ScoreKind>(given, 'scores', ['probabilities', 'logits'])),
    ...optional('maxRows', countOf(given, 'limit')),
    ...optional('prefer', oneOf<SearchPreference>(given, 'prefer', PREFERENCES)),
    ...optional('maxRecipes', countOf(given, 'max-recipes')),
    ...optional('timeoutSeconds', countOf(given, 'timeout-seconds')),
    ...optional('threads', countOf(given, 'threads')),
  };
}

function constraintsOf(given: ParsedArguments): SearchConstraints {
  const [drop, latency, size] = [given.text('max-accuracy-drop'), given.text('max-latency'), given.text('max-size')];
  return {
    ...(drop === undefined ? {} : { maxDrop: parseShare(drop, 'max-accuracy-drop', NAME) }),
    ...(latency === undefined ? {} : { maxLatencyMs: parseMilliseconds(latency, 'max-latency', NAME) }),
    ...(size === undefined ? {} : { maxBytes: parseBytes(size, 'max-size', NAME) }),
  };
}

async function recipesOf(file: string | undefined): Promise<readonly Recipe[] | undefined> {
  if (file === undefined || file === 'default') return undefined;
  const { parse } = await import('yaml');
  const { parseRecipes } = await import('../model/search/parse-recipes.js');
  let content: unknown;
  try {
    const bytes = await readFile(file);
    if (bytes.byteLength > MAX_RECIPES_BYTES) throw new Error(`has more than ${MAX_RECIPES_BYTES} bytes`);
    content = parse(bytes.toString('utf8'));
  } catch (error) {
    const { ModelToolError } = await import('../model/tool-error.js');
    throw new ModelToolError('RECIPES_INVALID', file, `cannot be read: ${(error as Error).message.split('\n')[0]!}`);
  }
  return parseRecipes(content, file);
}

async function render(report: SearchReport, given: ParsedArguments, width: number): Promise<string> {
  const { notesOf, searchTable, reasonsOf } = await import('../model/search/search-table.js');
  const { SEARCH_PAGE_FILE } = await import('../model/search/search-models.js');
  const { verdict } = await import('../model/search/search-page.js');
  const folder = given.text('output')!;
  const { dataset, chosenFiles } = report;
  return [
    `${dataset.rows} rows of ${dataset.name}; * is on the front: nothing is at least as accurate, as fast and as small`,
    formatTable(searchTable(report), width),
    ...reasonsOf(report),
    ...notesOf(report),
    verdict(report),
    ...(chosenFiles === undefined
      ? []
      : [`it is ${folder}/${chosenFiles[0]!}, its history and its evaluation beside it`]),
    `the picture is ${folder}/${SEARCH_PAGE_FILE}`,
  ].join('\n');
}

function oneOf<T extends string>(given: ParsedArguments, option: string, choices: readonly T[]): T | undefined {
  const text = given.text(option);
  const choice = choices.find((each) => each === text);
  if (text === undefined || choice !== undefined) return choice;
  throw new UsageError(`${NAME}: --${option} must be ${choices.join(', ')}, got '${text}'`);
}

function countOf(given: ParsedArguments, option: string): number | undefined {
  const text = given.text(option);
  if (text === undefined || /^[1-9]\d{0,6}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new UsageError(`${NAME}: --${option} must be a whole number from 1 up, got '${text}'`);
}
