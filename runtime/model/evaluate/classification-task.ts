import { argMax, numberReader } from '../../onnx/tensor-comparison';
import type { Tensor } from '../../onnx/tensor-encoding';
import type { TensorSignature } from '../../spec/model-facts';
import { ModelToolError } from '../tool-error';
import { chooseOutput, isFloating, widthDimensions, type OutputNames } from './choose-output';
import { ClassificationTally } from './metrics/classification';
import { MultilabelTally } from './metrics/multilabel';
import { assertRows, kindOfScores, kindOfSingleScores, rowNumbers, sigmoid, softmax } from './row-numbers';
import { definedMetrics, type ScoreKind, type TaskEvaluator, type TaskResult } from './task-evaluator';

export interface ClassificationOptions {
  readonly outputs?: OutputNames;
  /** @default - probabilities where the first batch looks like them */
  readonly scores?: ScoreKind;
  readonly classNames?: readonly string[];
  /** Ranks that count as found beside the first. @default 5 */
  readonly topK?: readonly number[];
  /** For several classes at once: from which probability on a class counts as said. @default 0.5 */
  readonly threshold?: number;
}

const TOP_K = [5];

/** Where a classifier's scores, or else its answers, are. */
function scoresOutput(outputs: readonly TensorSignature[], names: OutputNames): number {
  return chooseOutput(outputs, 'scores', names, [
    (output) => isFloating(output) && output.shape.length >= 2 && widthDimensions(output).length === 1,
    (output) => isFloating(output) && output.shape.length >= 1 && widthDimensions(output).length === 0,
    (output) => output.datatype !== 'BOOL' && output.shape.length >= 1 && widthDimensions(output).length === 0,
  ]);
}

/** How many classes a classifier tells apart by its signature; undefined where that is free. */
export function classesOfModel(outputs: readonly TensorSignature[], names: OutputNames = {}): number | undefined {
  const output = outputs[scoresOutput(outputs, names)]!;
  if (!isFloating(output)) return undefined;
  const [width] = widthDimensions(output);
  if (width === undefined) return 2;
  return typeof width === 'number' ? width : undefined;
}

/**
 * One class for each row. Scores of several classes: the highest is the answer. One score: that of class 1 of two. Whole numbers
 * or text: the answer itself.
 */
export class ClassificationTask implements TaskEvaluator<number> {
  readonly answers: number[] = [];
  readonly #tally: ClassificationTally;
  readonly #place: number;
  #kind: ScoreKind | undefined;

  constructor(
    private readonly outputs: readonly TensorSignature[],
    private readonly options: ClassificationOptions,
  ) {
    this.#place = scoresOutput(outputs, options.outputs ?? {});
    const classes = classesOfModel(outputs, options.outputs) ?? Infinity;
    this.#tally = new ClassificationTally((options.topK ?? TOP_K).filter((k) => k > 1 && k < classes));
  }

  add(labels: readonly number[], outputs: readonly Tensor[]): void {
    const output = outputs[this.#place]!;
    if (!output.datatype.startsWith('FP')) {
      this.#classesOf(output, labels.length).forEach((predicted, row) => this.#count(labels[row]!, predicted));
      return;
    }
    const rows = rowNumbers(output, labels.length);
    const isSingle = rows[0]!.length === 1;
    this.#kind ??= this.options.scores ?? (isSingle ? kindOfSingleScores(rows) : kindOfScores(rows));
    rows.forEach((scores, row) => {
      assertClass(labels[row]!, isSingle ? 2 : scores.length);
      const probabilities = this.#probabilities(scores);
      this.#count(labels[row]!, largestAt(isSingle ? probabilities : scores), probabilities);
    });
  }

  result(): TaskResult {
    const { rows, accuracy, topK, calibration, classes, confusion, ...rest } = this.#tally.result();
    const metrics = definedMetrics({
      accuracy,
      ...Object.fromEntries(topK.map((each) => [`top${each.k}Accuracy`, each.accuracy])),
      precisionMacro: rest.precisionMacro,
      recallMacro: rest.recallMacro,
      f1Macro: rest.f1Macro,
      logLoss: rest.logLoss,
      expectedCalibrationError: calibration?.expectedError,
    });
    const output = this.outputs[this.#place]!.name;
    return { rows, metrics, classes, confusion, calibration, scores: this.#kind, output };
  }

  #count(label: number, predicted: number, probabilities?: Float64Array): void {
    this.answers.push(predicted);
    this.#tally.add(label, predicted, probabilities);
  }

  #probabilities(scores: Float64Array): Float64Array {
    if (scores.length > 1) return this.#kind === 'logits' ? softmax(scores) : scores;
    const second = this.#kind === 'logits' ? sigmoid(scores[0]!) : scores[0]!;
    return Float64Array.of(1 - second, second);
  }

  #classesOf(output: Tensor, rows: number): readonly number[] {
    assertRows(output, rows);
    const { classNames } = this.options;
    return Array.from({ length: rows }, (_, row) => {
      const answer = output.data[row]!;
      if (typeof answer !== 'string') return Number(answer);
      const index = classNames?.indexOf(answer) ?? (/^\d{1,9}$/.test(answer) ? Number(answer) : -1);
      return index;
    });
  }
}

/** Any number of classes for each row: those whose score, a probability of its own, reaches a threshold. */
export class MultilabelTask implements TaskEvaluator<readonly number[]> {
  readonly answers: string[] = [];
  readonly #place: number;
  readonly #threshold: number;
  #tally: MultilabelTally | undefined;
  #kind: ScoreKind | undefined;

  constructor(
    private readonly outputs: readonly TensorSignature[],
    private readonly options: ClassificationOptions,
  ) {
    this.#place = scoresOutput(outputs, options.outputs ?? {});
    this.#threshold = options.threshold ?? 0.5;
  }

  add(labels: readonly (readonly number[])[], outputs: readonly Tensor[]): void {
    const rows = rowNumbers(outputs[this.#place]!, labels.length);
    const width = rows[0]!.length;
    this.#tally ??= new MultilabelTally(width);
    this.#kind ??= this.options.scores ?? kindOfSingleScores(rows);
    const isLogit = this.#kind === 'logits';
    rows.forEach((scores, row) => {
      const said: number[] = [];
      scores.forEach((score, k) => {
        if ((isLogit ? sigmoid(score) : score) >= this.#threshold) said.push(k);
      });
      for (const each of labels[row]!) assertClass(each, width);
      this.answers.push(said.join());
      this.#tally!.add(labels[row]!, said);
    });
  }

  result(): TaskResult {
    const { rows, correct: _, classes, ...metrics } = this.#tally!.result();
    const output = this.outputs[this.#place]!.name;
    return { rows, metrics: definedMetrics(metrics), classes, scores: this.#kind, output };
  }
}

/** The signature may leave the number of classes open; then only an answer tells it. */
function assertClass(label: number, classes: number): void {
  if (label < classes) return;
  throw new ModelToolError('LABEL_INVALID', 'labels', `must be below ${classes}, the model's classes, got ${label}`);
}

/** -1 where no score is a number. */
function largestAt(scores: Float64Array): number {
  return argMax(scores, 0, scores.length, numberReader('FP64'));
}
