import { CalibrationTally, type Calibration } from './calibration';

/** What one class shows. Shares are from 0 to 1. */
export interface ClassResult {
  readonly classIndex: number;
  /** Rows whose label it is. */
  readonly support: number;
  /** Of the rows that were said to be it, the share that is; 0 where none was. */
  readonly precision: number;
  /** Of the rows that are it, the share that was found; 0 where there are none. */
  readonly recall: number;
  /** 2 × precision × recall ÷ (precision + recall); 0 where both are 0. */
  readonly f1: number;
}

/** How often rows of one class were said to be of a class. */
export interface ConfusionCell {
  readonly label: number;
  /** -1 where the model answered with no number at all. */
  readonly predicted: number;
  readonly rows: number;
}

export interface ClassificationResult {
  readonly rows: number;
  readonly correct: number;
  /** correct ÷ total. */
  readonly accuracy: number;
  /** Share of rows whose label is among the k classes that score highest; without scores only for k = 1. */
  readonly topK: readonly { readonly k: number; readonly accuracy: number }[];
  /** Means over the classes that occur as a label or as an answer, each as heavy as any other. */
  readonly precisionMacro: number;
  readonly recallMacro: number;
  readonly f1Macro: number;
  /** Mean of −ln(probability of the label). Undefined where the model gives no scores, as is what follows. */
  readonly logLoss: number | undefined;
  readonly calibration: Calibration | undefined;
  /** Only classes that occur, by their index. */
  readonly classes: readonly ClassResult[];
  /** Only cells with rows, by label and then by prediction. */
  readonly confusion: readonly ConfusionCell[];
}

/** Below it a probability counts as so much: a single row that is certainly wrong would make the loss infinite. */
const LEAST_PROBABILITY = 2 ** -52;
/** Keys of cells: more classes than any vocabulary has. */
const STRIDE = 2 ** 26;

/** Adds up what a classifier says of labelled rows. */
export class ClassificationTally {
  #rows = 0;
  #correct = 0;
  #loss = 0;
  #scored = 0;
  readonly #hits: number[];
  readonly #cells = new Map<number, number>();
  readonly #calibration = new CalibrationTally();

  constructor(private readonly topK: readonly number[]) {
    this.#hits = topK.map(() => 0);
  }

  /**
   * @param probabilities Of all classes. @default - the model says only which class it is
   * @param predicted The class that the model says it is, -1 for none
   */
  add(label: number, predicted: number, probabilities?: ArrayLike<number>): void {
    const isRight = label === predicted;
    this.#rows += 1;
    this.#correct += isRight ? 1 : 0;
    const key = label * STRIDE + predicted + 1;
    this.#cells.set(key, (this.#cells.get(key) ?? 0) + 1);
    if (probabilities === undefined) return;
    this.#scored += 1;
    const ofLabel = probabilities[label] ?? 0;
    this.#loss -= Math.log(ofLabel > LEAST_PROBABILITY ? Math.min(ofLabel, 1) : LEAST_PROBABILITY);
    this.#calibration.add(predicted < 0 ? 0 : probabilities[predicted]!, isRight);
    const rank = rankOf(label, probabilities);
    this.topK.forEach((k, i) => (this.#hits[i]! += rank < k ? 1 : 0));
  }

  result(): ClassificationResult {
    const isScored = this.#scored === this.#rows && this.#rows > 0;
    const confusion = [...this.#cells]
      .sort(([a], [b]) => a - b)
      .map(([key, rows]): ConfusionCell => ({ label: Math.floor(key / STRIDE), predicted: (key % STRIDE) - 1, rows }));
    const classes = resultsByClass(confusion);
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    return {
      rows: this.#rows,
      correct: this.#correct,
      accuracy: this.#correct / this.#rows,
      topK: isScored ? this.topK.map((k, i) => ({ k, accuracy: this.#hits[i]! / this.#rows })) : [],
      precisionMacro: mean(classes.map(({ precision }) => precision)),
      recallMacro: mean(classes.map(({ recall }) => recall)),
      f1Macro: mean(classes.map(({ f1 }) => f1)),
      logLoss: isScored ? this.#loss / this.#rows : undefined,
      calibration: isScored ? this.#calibration.result() : undefined,
      classes,
      confusion,
    };
  }
}

/** How many classes score higher; of those that score the same, the first counts as higher. A score that is no number is last. */
function rankOf(label: number, scores: ArrayLike<number>): number {
  const score = scores[label] ?? NaN;
  if (Number.isNaN(score)) return scores.length;
  let rank = 0;
  for (let k = 0; k < scores.length; k++) {
    if (scores[k]! > score || (scores[k] === score && k < label)) rank += 1;
  }
  return rank;
}

interface Counts {
  right: number;
  labels: number;
  answers: number;
}

function resultsByClass(confusion: readonly ConfusionCell[]): readonly ClassResult[] {
  const counts = new Map<number, Counts>();
  const of = (classIndex: number): Counts => {
    const known = counts.get(classIndex) ?? { right: 0, labels: 0, answers: 0 };
    counts.set(classIndex, known);
    return known;
  };
  for (const { label, predicted, rows } of confusion) {
    of(label).labels += rows;
    if (predicted >= 0) of(predicted).answers += rows;
    if (label === predicted) of(label).right += rows;
  }
  return [...counts].sort(([a], [b]) => a - b).map(([classIndex, count]) => classResult(classIndex, count));
}

export function classResult(classIndex: number, { right, labels, answers }: Counts): ClassResult {
  const precision = answers === 0 ? 0 : right / answers;
  const recall = labels === 0 ? 0 : right / labels;
  const f1 = right === 0 ? 0 : (2 * precision * recall) / (precision + recall);
  return { classIndex, support: labels, precision, recall, f1 };
}
