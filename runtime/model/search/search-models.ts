import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { digestPath } from '../digest-path';
import { slipwayVersion } from '../edit/slipway-version';
import { evaluateModels, type EvaluatedModel, type EvaluationOptions } from '../evaluate/evaluate-models';
import type { EvaluationReport } from '../evaluate/evaluation-report';
import { openEvaluatedFile } from '../evaluate/open-evaluated-file';
import { MAIN_METRIC } from '../evaluate/task-evaluator';
import { compareSpeed, type BatchSpeed, type SpeedOptions } from '../measure/measure-speed';
import { int8Instructions } from '../optimize/vector-instructions';
import { digestPreprocessing, readPreprocessingFile } from '../preprocessing-file';
import { ModelToolError } from '../tool-error';
import { writeOutput } from '../write-output';
import { tryRecipe, type Candidate, type CandidateContext } from './candidate';
import { choose, frontOf, missesOf, type Named } from './choose-candidate';
import { DEFAULT_RECIPES, SOURCE_NAME, type Recipe } from './recipe';
import { renderSearchPage } from './search-page';
import type { CandidateNumbers, SearchConstraints, SearchPreference, SearchReport, SearchRow } from './search-report';
import { timeCandidates } from './time-candidates';
import { CHOSEN_FOLDER, removeChosen, writeChosen } from './write-chosen';

export interface SearchOptions extends Omit<
  EvaluationOptions,
  'speed' | 'gates' | 'topK' | 'boxFormat' | 'labelBoxFormat' | 'threshold'
> {
  /** The ONNX file, its external data beside it, or the folder of a published version. It stays as it is. */
  readonly source: string;
  /** The folder for candidates, the report and the chosen model. One that a search was ended in goes on. */
  readonly output: string;
  /** @default DEFAULT_RECIPES */
  readonly recipes?: readonly Recipe[];
  /**
   * Rows on which ranges of values are found, and each step is held against its source.
   * @default - `data`; then what is said of INT8 models is said of rows they have seen
   */
  readonly calibration?: string;
  /** How pictures, text and records become inputs, in JSON or YAML. @default - as the manifest beside the source says */
  readonly preprocessingFile?: string;
  readonly constraints?: SearchConstraints;
  /** @default 'latency' */
  readonly prefer?: SearchPreference;
  /** Most recipes that are tried, the first ones. @default 32 */
  readonly maxRecipes?: number;
  /** After this time no further recipe is tried, and one that is being tried is given up. @default 3600 */
  readonly timeoutSeconds?: number;
  /** How speed is measured. @default batches of 1 row */
  readonly speed?: Omit<SpeedOptions, 'onProgress' | 'signal'>;
  /** Threads of one run. @default - as ONNX Runtime decides it */
  readonly threads?: number;
  readonly python?: string | undefined;
}

export const MAX_RECIPES = 32;
const TIMEOUT_SECONDS = 3_600;
const CANDIDATES_FOLDER = 'candidates';
export const SEARCH_REPORT_FILE = 'search.json';
export const SEARCH_PAGE_FILE = 'search.html';
const OWN_NAMES = [CANDIDATES_FOLDER, CHOSEN_FOLDER, SEARCH_REPORT_FILE, SEARCH_PAGE_FILE];

/**
 * Tries recipes on a model, evaluates what they give on labelled rows, times all of it in turns, and writes the front of accuracy,
 * latency and size as JSON and as a page; with constraints, the best of the models that meet them, too. A recipe that fails is a
 * row with its reason. No model that meets them throws nothing: the report has no `chosen`.
 * @throws for the source and the data as `evaluateModels`; ModelToolError OUTPUT_EXISTS for a folder with other things in it,
 * OUTPUT_UNWRITABLE
 */
export async function searchModels(options: SearchOptions): Promise<SearchReport> {
  const {
    onProgress = () => {},
    recipes = DEFAULT_RECIPES,
    maxRecipes = MAX_RECIPES,
    now = () => new Date(),
  } = options;
  await claimFolder(options.output);
  const opened = await openEvaluatedFile(options.source, { threads: options.threads });
  try {
    const source = await withPreprocessing(opened, options.preprocessingFile);
    onProgress('asking the source');
    const search = await prepare(options, source);
    const first: Tried = { name: SOURCE_NAME, steps: [], outcome: await search.ofSource() };
    const deadline = AbortSignal.timeout((options.timeoutSeconds ?? TIMEOUT_SECONDS) * 1_000);
    const tried: Tried[] = [first];
    for (const [i, recipe] of recipes.entries()) {
      const reason = i >= maxRecipes ? `is beyond the ${maxRecipes} recipes of --max-recipes` : undefined;
      if (reason === undefined) onProgress(`recipe ${i + 1} of ${recipes.length}: ${recipe.name}`);
      tried.push({ ...recipe, outcome: reason ?? (await search.tryWithin(recipe, deadline)) });
    }
    const speeds = await timeCandidates(filesOf(tried), source, options);
    const rows = rowsOf(tried, speeds, options);
    const report = await conclude(rows, tried, source, options, now());
    await write(options.output, SEARCH_REPORT_FILE, `${JSON.stringify(report, undefined, 2)}\n`);
    await write(options.output, SEARCH_PAGE_FILE, renderSearchPage(report));
    return report;
  } finally {
    await opened.model.close();
  }
}

async function withPreprocessing(source: EvaluatedModel, file: string | undefined): Promise<EvaluatedModel> {
  return file === undefined ? source : { ...source, preprocessing: await readPreprocessingFile(file, source.model) };
}

/** A recipe and what became of it; a text is why it was not tried. */
interface Tried extends Recipe {
  readonly outcome: Candidate | string;
}

/** A folder that somebody keeps other things in is none to write twenty models into. */
async function claimFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new ModelToolError('OUTPUT_UNWRITABLE', folder, `cannot be made: ${(error as Error).message}`);
  }
  const stranger = (await readdir(folder)).find((name) => !OWN_NAMES.includes(name) && !name.startsWith('.'));
  if (stranger === undefined) return;
  throw new ModelToolError('OUTPUT_EXISTS', folder, `has '${stranger}' in it: give a folder for this search alone`);
}

interface Preparation {
  ofSource(): Promise<Candidate>;
  /** What became of a recipe, or why it was given up. */
  tryWithin(recipe: Recipe, deadline: AbortSignal): Promise<Candidate | string>;
}

async function prepare(options: SearchOptions, source: EvaluatedModel): Promise<Preparation> {
  const { data, calibration = data, output, signal, onProgress, threads } = options;
  const description = {
    ...(source.labels === undefined ? {} : { labels: source.labels }),
    ...(source.preprocessing === undefined ? {} : { preprocessing: source.preprocessing }),
  };
  // Whatever decides about a candidate is in its digest: with other data, tools or flags it is another one.
  const fixed = JSON.stringify([
    slipwayVersion(),
    source.files,
    description.labels,
    description.preprocessing === undefined ? undefined : await digestPreprocessing(description.preprocessing),
    await digestPath(data),
    calibration === data ? 'data' : await digestPath(calibration),
    options.task,
    options.classNames,
    options.outputs,
    options.scores,
    options.columns,
    options.labelNames,
    options.maxRows,
  ]);
  const contextOf = (stop: AbortSignal | undefined): CandidateContext => ({
    source: source.file!,
    folder: path.join(output, CANDIDATES_FOLDER),
    description,
    threads,
    evaluation: { ...options, ...(stop === undefined ? {} : { signal: stop }) },
    apply: {
      calibration,
      ...(source.preprocessing === undefined ? {} : { preprocessing: source.preprocessing }),
      python: options.python,
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(stop === undefined ? {} : { signal: stop }),
    },
  });
  return {
    ofSource: async () => {
      const evaluation = await evaluateModels([{ ...source, name: SOURCE_NAME }], { ...options, speed: false });
      return { file: contextOf(signal).source, evaluation, reused: false };
    },
    tryWithin: async (recipe, deadline) => {
      const late = `is left out: the ${options.timeoutSeconds ?? TIMEOUT_SECONDS} seconds of --timeout-seconds were over`;
      const digest = createHash('sha256')
        .update(JSON.stringify([fixed, recipe.steps]))
        .digest('hex');
      if (deadline.aborted) return late;
      const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
      try {
        return await tryRecipe(recipe, digest, contextOf(stop));
      } catch (error) {
        if (!deadline.aborted || signal?.aborted === true) throw error;
        return late;
      }
    },
  };
}

/** What came of recipes and can be run, by name. */
function filesOf(tried: readonly Tried[]): ReadonlyMap<string, string> {
  const files = tried
    .slice(1)
    .flatMap(({ name, outcome }): (readonly [string, string])[] =>
      typeof outcome === 'string' || 'failed' in outcome ? [] : [[name, outcome.file]],
    );
  return new Map(files);
}

function rowsOf(
  tried: readonly Tried[],
  speeds: ReadonlyMap<string, BatchSpeed>,
  { task, constraints = {}, output }: SearchOptions,
): readonly SearchRow[] {
  const numbers = new Map<string, CandidateNumbers>();
  const reference = numbersOf(tried[0]!, speeds, task);
  for (const each of tried) {
    const own = numbersOf(each, speeds, task, reference);
    if (own !== undefined) numbers.set(each.name, own);
  }
  const front = frontOf([...numbers].map(([name, own]) => ({ name, numbers: own })));
  return tried.map(({ name, steps, outcome }): SearchRow => {
    const own = numbers.get(name);
    const base = { name, steps, onFront: front.has(name), misses: own === undefined ? [] : missesOf(own, constraints) };
    if (typeof outcome === 'string') return { ...base, state: 'left out', reason: outcome, reused: false };
    if ('failed' in outcome) return { ...base, state: 'failed', reason: outcome.failed, reused: outcome.reused };
    if (own === undefined) {
      const reason = `the data does not define ${MAIN_METRIC[task]}, by which models are compared`;
      return { ...base, state: 'failed', reason, reused: outcome.reused };
    }
    const isSource = name === SOURCE_NAME;
    const file = isSource ? {} : { file: path.relative(output, outcome.file).split(path.sep).join('/') };
    return { ...base, state: isSource ? 'source' : 'tried', reused: outcome.reused, ...file, numbers: own };
  });
}

function numbersOf(
  { name, outcome }: Tried,
  speeds: ReadonlyMap<string, BatchSpeed>,
  task: SearchOptions['task'],
  reference?: CandidateNumbers,
): CandidateNumbers | undefined {
  if (typeof outcome === 'string' || 'failed' in outcome) return undefined;
  const { metrics } = outcome.evaluation;
  const [accuracy, fileBytes, speed] = [metrics[MAIN_METRIC[task]], metrics['fileBytes']!, speeds.get(name)!];
  if (accuracy === undefined) return undefined;
  const before = reference ?? { accuracy, fileBytes, speed };
  return {
    accuracy,
    drop: before.accuracy - accuracy,
    fileBytes,
    compressionPercent: ((before.fileBytes - fileBytes) / before.fileBytes) * 100,
    speed,
    ...(name === SOURCE_NAME ? {} : { against: compareSpeed([speed], [before.speed])[0]! }),
  };
}

async function conclude(
  rows: readonly SearchRow[],
  tried: readonly Tried[],
  source: EvaluatedModel,
  options: SearchOptions,
  at: Date,
): Promise<SearchReport> {
  const { constraints = {}, prefer = 'latency', data, calibration = data, task, output } = options;
  const named = rows.filter((row): row is SearchRow & Named => row.numbers !== undefined);
  const verdict = choose(named, constraints, prefer);
  const { dataset, tools } = evaluationOf(tried[0]!)!;
  const instructions = int8Instructions();
  const report: SearchReport = {
    source: { name: source.name, files: source.files! },
    dataset,
    calibration: { name: path.basename(path.resolve(calibration)), isDataset: calibration === data },
    task,
    mainMetric: MAIN_METRIC[task],
    constraints,
    prefer,
    rows,
    ...verdict,
    ...(instructions === undefined ? {} : { int8Instructions: instructions }),
    tools,
    searchedAt: at.toISOString(),
  };
  const winner = tried.find(({ name }) => name === verdict.chosen);
  const row = named.find(({ name }) => name === verdict.chosen);
  if (winner === undefined || row === undefined) {
    await removeChosen(output);
    return report;
  }
  const { file } = winner.outcome as { readonly file: string };
  const chosenFiles = await writeChosen(file, evaluationOf(winner)!, row, { ...options, constraints, output, at });
  return { ...report, chosenFiles };
}

function evaluationOf({ outcome }: Tried): EvaluationReport | undefined {
  return typeof outcome === 'string' || 'failed' in outcome ? undefined : outcome.evaluation;
}

function write(folder: string, name: string, content: string): Promise<void> {
  return writeOutput(path.join(folder, name), { overwrite: true }, (unfinished) =>
    writeFile(path.join(unfinished, name), content),
  );
}
