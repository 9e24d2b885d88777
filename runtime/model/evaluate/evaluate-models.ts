import type { FileDigest } from '../../spec/evaluation-evidence';
import { openDataset } from '../data/open-dataset';
import type { BoxFormat } from '../data/read-labels';
import type { Dataset, LabelKind, LabelOf } from '../data/dataset';
import { PLAIN_PICTURES_NOTE } from '../data/user-rows';
import { compareSpeed, measureSpeed, type BatchSpeed, type SpeedOptions } from '../measure/measure-speed';
import { onnxRuntimeVersion } from '../measure/open-model-file';
import { fixedRows, type RunnableModel } from '../measure/runnable-model';
import { slipwayVersion } from '../edit/slipway-version';
import { digestPreprocessing, type ReadPreprocessing } from '../preprocessing-file';
import { ModelToolError } from '../tool-error';
import { askModel, measuredModel, type AskedRows, type UserEndpoint } from './ask-models';
import { ClassificationTask, classesOfModel, MultilabelTask } from './classification-task';
import { DetectionTask } from './detection-task';
import { FORMULAS, type EvaluationReport, type GateRequest, type ModelEvaluation } from './evaluation-report';
import { assertForeseen, holdToGates, isTimed } from './gates';
import { EmbeddingTask, RegressionTask, SimilarityTask } from './number-tasks';
import type { OutputNames } from './choose-output';
import {
  LABELS_OF_TASK,
  MAIN_METRIC,
  type EvaluationTask,
  type ScoreKind,
  type TaskEvaluator,
  type TaskResult,
} from './task-evaluator';

/** A model that is ready to be asked, and what is known of it. */
export interface EvaluatedModel {
  /** For people. */
  readonly name: string;
  readonly model: RunnableModel;
  /** Where the ONNX file itself lies. @default - it runs elsewhere */
  readonly file?: string;
  /** Its files. @default - it runs elsewhere */
  readonly files?: readonly FileDigest[];
  readonly fileBytes?: number;
  /** Names of classes, by output, as a manifest has them. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  readonly preprocessing?: ReadPreprocessing;
  /** What takes users' data instead of tensors: a running endpoint, asked in such a protocol. */
  readonly users?: UserEndpoint;
  /** Whether it is an endpoint that could be sent what users have, and is asked for tensors. @default false */
  readonly hidesPreprocessing?: boolean;
  /** Where its files lie. @default - it runs elsewhere */
  readonly folder?: string;
}

export interface EvaluationOptions {
  /** Labelled rows, as `openDataset` reads them. */
  readonly data: string;
  readonly task: EvaluationTask;
  /** Names of classes, by index. @default - the manifest's, or the folders of pictures */
  readonly classNames?: readonly string[];
  /** Which output means what: `scores`, `values`, `vectors`, `boxes` … @default - the first that looks like it */
  readonly outputs?: OutputNames;
  readonly scores?: ScoreKind;
  readonly topK?: readonly number[];
  readonly threshold?: number;
  readonly boxFormat?: BoxFormat;
  readonly labelBoxFormat?: BoxFormat;
  readonly columns?: Readonly<Record<string, readonly string[]>>;
  readonly labelNames?: readonly string[];
  /** Rows of one run. @default 32 */
  readonly batchSize?: number;
  readonly maxRows?: number;
  /** How speed is measured; false leaves it out. */
  readonly speed?: SpeedOptions | false;
  readonly gates?: readonly GateRequest[];
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
  /** @default - now */
  readonly now?: () => Date;
}

const BATCH_SIZE = 32;
/** Rows between two lines of progress. */
const PROGRESS_ROWS = 1_000;

/**
 * Asks models for the same labelled rows, counts what they say, and times them. The first is the one that is evaluated; the
 * second, where there is one, is the reference that it and all others are compared with.
 * @throws ModelToolError DATA_…, LABEL_INVALID, MODEL_RUN_FAILED, OUTPUT_UNFIT, GATE_UNKNOWN. Gates that say no throw nothing:
 * the report says it
 */
export async function evaluateModels(
  models: readonly [EvaluatedModel, ...EvaluatedModel[]],
  options: EvaluationOptions,
): Promise<EvaluationReport> {
  const { task, gates = [], now = () => new Date() } = options;
  const [subject] = models;
  assertForeseen(gates, {
    task,
    isTimed: options.speed !== false,
    isCompared: models.length > 1,
    hasFile: subject.fileBytes !== undefined,
  });
  const dataset = await openLabelled(models, options);
  const classNames = options.classNames ?? namesOf(subject, options) ?? dataset.classNames;
  const asked = await askModels(models, dataset, { ...options, classNames });
  const known = numbersOf(describe(models, asked.evaluators, asked.results, undefined, task)[0]!);
  holdToGates(
    gates.filter(({ metric }) => !isTimed(metric)),
    known.metrics,
  );
  const speeds = options.speed === false ? undefined : await measure(models, asked.firstRows, options);
  const evaluations = describe(models, asked.evaluators, asked.results, speeds, task);
  const values = numbersOf(evaluations[0]!);
  const held = holdToGates(gates, { ...values.metrics, ...values.speed });
  const [{ result }] = evaluations as [ModelEvaluation];
  return {
    ...(subject.files === undefined ? {} : { model: subject.files }),
    dataset: { name: dataset.name, sha256: await dataset.digest(), rows: result.rows },
    ...(await measuredWith(subject, asked.firstRows)),
    task,
    metrics: values.metrics,
    ...(values.speed === undefined ? {} : { speed: values.speed }),
    gates: held,
    passed: held.every(({ passed }) => passed),
    evaluatedAt: now().toISOString(),
    tools: { slipway: slipwayVersion(), onnxruntime: await onnxRuntimeVersion(), node: process.versions.node },
    mainMetric: MAIN_METRIC[task],
    ...(classNames === undefined ? {} : { classNames }),
    models: evaluations,
    formulas: FORMULAS,
  };
}

/** Which preprocessing the numbers are of: this machine's, or the one of the endpoint that was sent what users have. */
async function measuredWith(
  { preprocessing, users }: EvaluatedModel,
  { users: sent }: AskedRows,
): Promise<Pick<EvaluationReport, 'preprocessing'>> {
  if (sent === undefined) return {};
  const sha256 =
    users !== undefined
      ? users.preprocessingSha256
      : preprocessing === undefined
        ? undefined
        : await digestPreprocessing(preprocessing);
  return sha256 === undefined ? {} : { preprocessing: { sha256 } };
}

type AnyDataset = Dataset<LabelOf[LabelKind]>;

async function openLabelled(
  models: readonly [EvaluatedModel, ...EvaluatedModel[]],
  options: EvaluationOptions,
): Promise<AnyDataset> {
  const { task, outputs } = options;
  const [subject] = models;
  const { model } = subject;
  const isClassified = task === 'classification' || task === 'multilabel';
  const preprocessing = preprocessingFor(models);
  const fields = preprocessing === undefined ? subject.users?.fields : undefined;
  const dataset = await openDataset<LabelKind>(options.data, {
    inputs: model.inputs,
    labels: LABELS_OF_TASK[task],
    classNames: options.classNames ?? namesOf(subject, options),
    classes: isClassified ? classesOfModel(model.outputs, outputs) : undefined,
    boxFormat: options.labelBoxFormat,
    ...(preprocessing === undefined ? {} : { preprocessing }),
    ...(fields === undefined ? {} : { userFields: fields }),
    columns: options.columns,
    labelNames: options.labelNames,
    maxRows: options.maxRows,
  });
  if (subject.hidesPreprocessing === true && preprocessing === undefined && dataset.format === 'images') {
    throw new ModelToolError(
      'DATA_MISFIT',
      options.data,
      `the model has preprocessing of its own, and ${subject.name} is asked for tensors: --protocol predict sends it pictures as users do, or give --preprocessing`,
    );
  }
  if (preprocessing === undefined && fields === undefined && dataset.format === 'images') {
    options.onProgress?.(PLAIN_PICTURES_NOTE);
  }
  return dataset;
}

/** The first model's; where that is an endpoint that takes what users have, the one of a file that is compared with it. */
function preprocessingFor([subject, ...others]: readonly [EvaluatedModel, ...EvaluatedModel[]]):
  ReadPreprocessing | undefined {
  if (subject.preprocessing !== undefined || subject.users === undefined) return subject.preprocessing;
  return others.find(({ preprocessing }) => preprocessing !== undefined)?.preprocessing;
}

/** Names that the manifest has for the output that is read, or for the only one that has names. */
function namesOf({ labels = {} }: EvaluatedModel, { outputs }: EvaluationOptions): readonly string[] | undefined {
  const chosen = outputs?.['scores'];
  const own = chosen !== undefined && Object.hasOwn(labels, chosen) ? labels[chosen] : undefined;
  const all = Object.values(labels);
  return own ?? (all.length === 1 ? all[0] : undefined);
}

function evaluatorFor({ model }: EvaluatedModel, options: EvaluationOptions): TaskEvaluator<LabelOf[LabelKind]> {
  const make = (): TaskEvaluator<never> => {
    switch (options.task) {
      case 'classification':
        return new ClassificationTask(model.outputs, options);
      case 'multilabel':
        return new MultilabelTask(model.outputs, options);
      case 'regression':
        return new RegressionTask(model.outputs, options.outputs);
      case 'detection':
        return new DetectionTask(model.outputs, options);
      case 'embedding':
        return new EmbeddingTask(model.outputs, options.outputs);
      case 'similarity':
        return new SimilarityTask(model.outputs, options.outputs);
    }
  };
  // The data set was opened with the labels of this very task.
  return make();
}

interface Asked {
  readonly evaluators: readonly TaskEvaluator<LabelOf[LabelKind]>[];
  readonly results: readonly TaskResult[];
  readonly firstRows: AskedRows;
}

async function askModels(
  models: readonly [EvaluatedModel, ...EvaluatedModel[]],
  dataset: AnyDataset,
  options: EvaluationOptions,
): Promise<Asked> {
  const evaluators = models.map((model) => evaluatorFor(model, options));
  const size = fixedRows(models[0].model) ?? options.batchSize ?? BATCH_SIZE;
  const isForUsers = preprocessingFor(models) !== undefined || models[0].users?.fields !== undefined;
  let firstRows: AskedRows | undefined;
  let rows = 0;
  let shown = 0;
  for await (const { inputs, users, labels, rows: count } of dataset.batches(size)) {
    options.signal?.throwIfAborted();
    // Pictures that were only stretched are made into tensors here: an endpoint may have no other way to take them.
    const batch: AskedRows = { inputs, ...(isForUsers && users !== undefined ? { users } : {}) };
    firstRows ??= batch;
    for (const [i, model] of models.entries()) evaluators[i]!.add(labels, await askModel(model, batch));
    rows += count;
    if (rows - shown < PROGRESS_ROWS) continue;
    shown = rows;
    options.onProgress?.(`${rows}${dataset.rows === undefined ? '' : ` of ${dataset.rows}`} rows asked`);
  }
  return { evaluators, results: evaluators.map((evaluator) => evaluator.result()), firstRows: firstRows! };
}

function measure(
  models: readonly EvaluatedModel[],
  rows: AskedRows,
  { speed, onProgress, signal }: EvaluationOptions,
): Promise<readonly (readonly BatchSpeed[])[]> {
  const measured = models.map((each) => measuredModel(each, rows));
  return measureSpeed(measured, { onProgress, signal, ...(speed === false ? {} : speed) });
}

function describe(
  models: readonly EvaluatedModel[],
  evaluators: readonly TaskEvaluator<LabelOf[LabelKind]>[],
  results: readonly TaskResult[],
  speeds: readonly (readonly BatchSpeed[])[] | undefined,
  task: EvaluationTask,
): readonly ModelEvaluation[] {
  const main = MAIN_METRIC[task];
  const reference = models.length > 1 ? 1 : undefined;
  return models.map(({ name, fileBytes }, i) => {
    const speed = speeds?.[i];
    const value = results[i]!.metrics[main];
    const isCompared = reference !== undefined && i !== reference;
    const original = isCompared ? models[reference]!.fileBytes : undefined;
    const before = isCompared ? results[reference]!.metrics[main] : undefined;
    return {
      name,
      ...(fileBytes === undefined ? {} : { fileBytes }),
      result: results[i]!,
      ...(speed === undefined ? {} : { speed }),
      ...(speed?.[0] === undefined || value === undefined ? {} : { accuracyPerSpeed: (value * 100) / speed[0].p50Ms }),
      ...(isCompared
        ? {
            against: {
              ...(before === undefined || value === undefined ? {} : { drop: difference(before, value) }),
              ...agreementOf(evaluators[i]!, evaluators[reference]!),
              ...(original === undefined || fileBytes === undefined
                ? {}
                : { compressionPercent: ((original - fileBytes) / original) * 100 }),
              speed: speed === undefined ? [] : compareSpeed(speed, speeds![reference]!),
            },
          }
        : {}),
    };
  });
}

function agreementOf(one: TaskEvaluator<never>, other: TaskEvaluator<never>): { readonly agreement?: number } {
  const [mine, theirs] = [one.answers, other.answers];
  if (mine === undefined || theirs === undefined) return {};
  return { agreement: mine.filter((answer, row) => answer === theirs[row]).length / mine.length };
}

/** Every number that a gate can look at, as evidence has them. */
function numbersOf({ result, fileBytes, speed, accuracyPerSpeed, against }: ModelEvaluation): {
  readonly metrics: Readonly<Record<string, number>>;
  readonly speed?: Readonly<Record<string, number>>;
} {
  const given = (numbers: Readonly<Record<string, number | undefined>>): Record<string, number> =>
    Object.fromEntries(Object.entries(numbers).filter((each): each is [string, number] => Number.isFinite(each[1])));
  const metrics = {
    ...result.metrics,
    ...given({
      fileBytes,
      drop: against?.drop,
      agreement: against?.agreement,
      compressionPercent: against?.compressionPercent,
      accuracyPerSpeed,
    }),
  };
  const [first] = speed ?? [];
  if (first === undefined) return { metrics };
  const fastest = Math.max(...speed!.map(({ rowsPerSecond }) => rowsPerSecond));
  const { batchSize, p50Ms, p90Ms, p99Ms } = first;
  return { metrics, speed: { batchSize, p50Ms, p90Ms, p99Ms, rowsPerSecond: fastest } };
}

/** Without what binary fractions leave behind: 0.92 − 0.28 is 0.64 for people, and at a gate. */
function difference(one: number, other: number): number {
  return Number((one - other).toFixed(12));
}
