import { classResult, type ClassResult } from './classification';

export interface MultilabelResult {
  readonly rows: number;
  /** Rows with exactly the right classes. */
  readonly correct: number;
  /** correct ÷ total. */
  readonly accuracy: number;
  /** Share of all (row, class) pairs that are wrong. */
  readonly hammingLoss: number;
  /** Of all pairs together. */
  readonly precisionMicro: number;
  readonly recallMicro: number;
  readonly f1Micro: number;
  /** Mean over all classes. */
  readonly precisionMacro: number;
  readonly recallMacro: number;
  readonly f1Macro: number;
  readonly classes: readonly ClassResult[];
}

interface Counts {
  right: number;
  labels: number;
  answers: number;
}

/** Adds up what a model says of rows that have any number of classes. */
export class MultilabelTally {
  #rows = 0;
  #correct = 0;
  readonly #counts: Counts[];

  constructor(classes: number) {
    this.#counts = Array.from({ length: classes }, () => ({ right: 0, labels: 0, answers: 0 }));
  }

  /** Both are indexes of classes, ascending. */
  add(label: readonly number[], predicted: readonly number[]): void {
    this.#rows += 1;
    const right = label.filter((each) => predicted.includes(each));
    if (right.length === label.length && right.length === predicted.length) this.#correct += 1;
    for (const each of label) this.#counts[each]!.labels += 1;
    for (const each of predicted) this.#counts[each]!.answers += 1;
    for (const each of right) this.#counts[each]!.right += 1;
  }

  result(): MultilabelResult {
    const classes = this.#counts.map((counts, i) => classResult(i, counts));
    const total = (field: keyof Counts): number => this.#counts.reduce((sum, counts) => sum + counts[field], 0);
    const [right, labels, answers] = [total('right'), total('labels'), total('answers')];
    const micro = classResult(-1, { right, labels, answers });
    const mean = (field: 'precision' | 'recall' | 'f1'): number =>
      classes.reduce((sum, each) => sum + each[field], 0) / classes.length;
    return {
      rows: this.#rows,
      correct: this.#correct,
      accuracy: this.#correct / this.#rows,
      hammingLoss: (labels + answers - 2 * right) / (this.#rows * classes.length),
      precisionMicro: micro.precision,
      recallMicro: micro.recall,
      f1Micro: micro.f1,
      precisionMacro: mean('precision'),
      recallMacro: mean('recall'),
      f1Macro: mean('f1'),
      classes,
    };
  }
}
