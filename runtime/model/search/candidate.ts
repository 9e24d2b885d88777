import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import { checkEvaluation } from '../../spec/evaluation-evidence';
import { evaluateModels, type EvaluatedModel, type EvaluationOptions } from '../evaluate/evaluate-models';
import type { EvaluationReport } from '../evaluate/evaluation-report';
import { openEvaluatedFile } from '../evaluate/open-evaluated-file';
import { ModelToolError } from '../tool-error';
import { writeOutputFolder } from '../write-output';
import { applyRecipe, type ApplyOptions } from './apply-recipe';
import type { Recipe } from './recipe';

/** What is known of a recipe: what came of it, or why nothing did. */
export type Candidate =
  | { readonly file: string; readonly evaluation: EvaluationReport; readonly reused: boolean }
  | { readonly failed: string; readonly reused: boolean };

/** What candidates of one search share. */
export interface CandidateContext {
  readonly source: string;
  /** Where candidates lie, each in a folder of its own. */
  readonly folder: string;
  /** Names of classes and preprocessing are those of the source. */
  readonly description: Pick<EvaluatedModel, 'labels' | 'preprocessing'>;
  readonly evaluation: EvaluationOptions;
  readonly threads?: number | undefined;
  readonly apply: ApplyOptions;
}

const RECORD = 'candidate.json';
const MODEL = 'model.onnx';

/**
 * Makes and evaluates the model of a recipe, unless that was done before: its folder is named by a digest of everything that
 * decides about it. A recipe that cannot be followed is remembered as well.
 * @param digest of the recipe, the source, the data and the tools
 * @throws ModelToolError OUTPUT_UNWRITABLE, and what `signal` throws; all else is the recipe's failure
 */
export async function tryRecipe(recipe: Recipe, digest: string, context: CandidateContext): Promise<Candidate> {
  const folder = path.join(context.folder, `${recipe.name}-${digest.slice(0, 16)}`);
  const before = await readRecord(folder, digest);
  if (before !== undefined) return before;
  try {
    return await writeOutputFolder(folder, { overwrite: true }, async (unfinished) => {
      const file = path.join(unfinished, MODEL);
      const failed = await failureOf(() => applyRecipe(context.source, file, recipe.steps, context.apply), context);
      const evaluated = failed ?? (await evaluate(recipe.name, file, context));
      const record = 'failed' in evaluated ? { digest, failed: evaluated.failed } : { digest, evaluation: evaluated };
      if ('failed' in evaluated) {
        // What may work the next time is not remembered.
        if (!evaluated.isLasting) throw new Passing(evaluated.failed);
        await rm(file, { force: true });
      }
      await writeFile(path.join(unfinished, RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
      if ('failed' in evaluated) return { failed: evaluated.failed, reused: false };
      return { file: path.join(folder, MODEL), evaluation: evaluated, reused: false };
    });
  } catch (error) {
    if (error instanceof Passing) return { failed: error.message, reused: false };
    throw error;
  }
}

/** A failure that is no fact about the recipe: something to be installed, a network. */
class Passing extends Error {}

interface Failure {
  readonly failed: string;
  readonly isLasting: boolean;
}

async function failureOf(act: () => Promise<void>, context: CandidateContext): Promise<Failure | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return describeFailure(error, context);
  }
}

async function evaluate(name: string, file: string, context: CandidateContext): Promise<EvaluationReport | Failure> {
  let opened: EvaluatedModel | undefined;
  try {
    opened = await openEvaluatedFile(file, { threads: context.threads });
    const model = { ...opened, ...context.description, name };
    return await evaluateModels([model], { ...context.evaluation, speed: false });
  } catch (error) {
    return describeFailure(error, context);
  } finally {
    await opened?.model.close();
  }
}

function describeFailure(error: unknown, { apply: { signal } }: CandidateContext): Failure {
  if (signal?.aborted === true || !(error instanceof Error)) throw error;
  if (!ModelToolError.is(error)) return { failed: error.message, isLasting: true };
  if (error.code === 'OUTPUT_UNWRITABLE') throw error;
  const isNoNumber = error.code === 'TOLERANCE_EXCEEDED';
  return {
    failed: isNoNumber ? 'TOLERANCE_EXCEEDED: gives infinities or NaN where its source gives numbers' : error.message,
    isLasting: error.kind === 'input' || error.kind === 'verdict',
  };
}

/** What was found out before; undefined where nothing was, or where the files are not what they were. */
async function readRecord(folder: string, digest: string): Promise<Candidate | undefined> {
  const file = path.join(folder, MODEL);
  try {
    const record = JSON.parse(await readFile(path.join(folder, RECORD), 'utf8')) as Record<string, unknown>;
    if (record['digest'] !== digest) return undefined;
    if (typeof record['failed'] === 'string') return { failed: record['failed'], reused: true };
    const { evaluation } = record;
    checkEvaluation(evaluation, 'evaluation', (field, expected) => {
      throw new Error(`${field} must be ${expected}`);
    });
    const digests = readOnnxModel(file).files.map(({ sha256 }) => sha256);
    if (digests.join() !== evaluation.model.map(({ sha256 }) => sha256).join()) return undefined;
    return { file, evaluation: evaluation as EvaluationReport, reused: true };
  } catch {
    return undefined;
  }
}
