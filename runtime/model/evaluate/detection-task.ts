import type { Tensor } from '../../onnx/tensor-encoding';
import type { TensorSignature } from '../../spec/model-facts';
import type { LabelledBox } from '../data/dataset';
import { boxOf, type BoxFormat } from '../data/read-labels';
import { ModelToolError } from '../tool-error';
import { chooseOutput, isFloating, type OutputNames } from './choose-output';
import { DetectionTally, type DetectedBox } from './metrics/detection';
import { rowNumbers } from './row-numbers';
import { definedMetrics, type TaskEvaluator, type TaskResult } from './task-evaluator';

export interface DetectionOptions {
  readonly outputs?: OutputNames;
  /** How the model's boxes are written. @default 'xyxy' */
  readonly boxFormat?: BoxFormat;
}

/** Columns of a detector with one output: a box, its score, its class. */
const COLUMNS = 6;

/**
 * Boxes of each picture, in the units of the labels. A model gives `boxes` [rows, n, 4] with either `scores` [rows, n] and
 * `classes` [rows, n], or `scores` [rows, n, classes], of which the best is the class; or one output [rows, n, 6] of box, score
 * and class. `count` [rows], where there is one, says how many boxes of a picture are meant; boxes with a score of 0 are not.
 */
export class DetectionTask implements TaskEvaluator<readonly LabelledBox[]> {
  readonly answers = undefined;
  readonly #tally = new DetectionTally();
  readonly #format: BoxFormat;
  readonly #places: Places;

  constructor(
    private readonly outputs: readonly TensorSignature[],
    { outputs: names = {}, boxFormat = 'xyxy' }: DetectionOptions,
  ) {
    this.#format = boxFormat;
    this.#places = placesOf(outputs, names);
  }

  add(labels: readonly (readonly LabelledBox[])[], outputs: readonly Tensor[]): void {
    const rows = labels.length;
    const { boxes: box, scores, classes, count } = this.#places;
    const boxRows = rowNumbers(outputs[box]!, rows);
    const scoreRows = scores === undefined ? undefined : rowNumbers(outputs[scores]!, rows);
    const classRows = classes === undefined ? undefined : rowNumbers(outputs[classes]!, rows);
    const counts = count === undefined ? undefined : rowNumbers(outputs[count]!, rows);
    const width = scoreRows === undefined ? COLUMNS : 4;
    labels.forEach((label, row) => {
      const numbers = boxRows[row]!;
      const all = numbers.length / width;
      if (!Number.isInteger(all)) throw this.#unfit(outputs[box]!);
      const said = Math.min(all, counts?.[row]![0] ?? all);
      const found: DetectedBox[] = [];
      for (let i = 0; i < said; i++) {
        const corners = numbers.subarray(i * width, i * width + 4) as unknown as readonly [
          number,
          number,
          number,
          number,
        ];
        const { score, classIndex } =
          scoreRows === undefined
            ? { score: numbers[i * width + 4]!, classIndex: numbers[i * width + 5]! }
            : scoreOf(scoreRows[row]!, classRows?.[row], i, all);
        if (score > 0 && classIndex >= 0) {
          found.push({ ...boxOf(corners, this.#format), score, classIndex: Math.round(classIndex) });
        }
      }
      this.#tally.add(label, found);
    });
  }

  result(): TaskResult {
    const { rows, classes, ...found } = this.#tally.result();
    if (classes.length === 0) {
      throw new ModelToolError('LABEL_INVALID', 'labels', 'no row has a box, so there is nothing to find');
    }
    const metrics = definedMetrics({
      map: found.meanAveragePrecision,
      map50: found.meanAveragePrecision50,
      map75: found.meanAveragePrecision75,
      averageRecall: found.averageRecall,
    });
    return { rows, metrics, boxes: classes, output: this.outputs[this.#places.boxes]!.name };
  }

  #unfit({ name, shape }: Tensor): ModelToolError {
    return new ModelToolError(
      'OUTPUT_UNFIT',
      `output '${name}'`,
      `must hold boxes, [rows, n, 4] or [rows, n, ${COLUMNS}] with score and class, got [${shape.join(', ')}]`,
    );
  }
}

interface Places {
  readonly boxes: number;
  readonly scores: number | undefined;
  readonly classes: number | undefined;
  readonly count: number | undefined;
}

function placesOf(outputs: readonly TensorSignature[], names: OutputNames): Places {
  const rank = ({ shape }: TensorSignature): number => shape.length;
  const boxes = chooseOutput(outputs, 'boxes', names, [
    (output) => isFloating(output) && rank(output) === 3 && output.shape[2] === 4,
    (output) => isFloating(output) && rank(output) === 3 && output.shape[2] === COLUMNS,
  ]);
  if (outputs[boxes]!.shape.at(-1) === COLUMNS)
    return { boxes, scores: undefined, classes: undefined, count: undefined };
  const others = (...is: ((output: TensorSignature) => boolean)[]) =>
    is.map((each) => (output: TensorSignature) => output !== outputs[boxes] && each(output));
  const isNamed = (words: RegExp) => (output: TensorSignature) => rank(output) === 2 && words.test(output.name);
  const isScores = (output: TensorSignature): boolean => isFloating(output) && rank(output) === 3;
  const isPlain = (output: TensorSignature): boolean => isFloating(output) && rank(output) === 2;
  const scores = chooseOutput(outputs, 'scores', names, others(isNamed(/score|conf/i), isScores, isPlain));
  if (rank(outputs[scores]!) === 3) return { boxes, scores, classes: undefined, count: countPlace(outputs, names) };
  const isRest = (output: TensorSignature): boolean => rank(output) === 2 && output !== outputs[scores];
  const classes = chooseOutput(outputs, 'classes', names, others(isNamed(/class|label/i), isRest));
  return { boxes, scores, classes, count: countPlace(outputs, names) };
}

function countPlace(outputs: readonly TensorSignature[], names: OutputNames): number | undefined {
  if (Object.hasOwn(names, 'count')) return chooseOutput(outputs, 'count', names, []);
  const i = outputs.findIndex(
    ({ name, shape }) => shape.length <= 2 && shape.length >= 1 && (shape[1] ?? 1) === 1 && /num|count/i.test(name),
  );
  return i < 0 ? undefined : i;
}

function scoreOf(
  scores: Float64Array,
  classes: Float64Array | undefined,
  i: number,
  boxes: number,
): { readonly score: number; readonly classIndex: number } {
  if (classes !== undefined) return { score: scores[i]!, classIndex: classes[i]! };
  const width = scores.length / boxes;
  const own = scores.subarray(i * width, (i + 1) * width);
  const score = own.reduce((most, each) => (each > most ? each : most), -Infinity);
  return { score, classIndex: own.indexOf(score) };
}
