import type { Tensor } from '../../onnx/tensor-encoding';
import type { TensorSignature } from '../../spec/model-facts';
import { ModelToolError } from '../tool-error';
import { chooseOutput, isFloating, type OutputNames } from './choose-output';
import { RetrievalTally, SimilarityTally } from './metrics/embedding';
import { RegressionTally } from './metrics/regression';
import { rowNumbers } from './row-numbers';
import { definedMetrics, type TaskEvaluator, type TaskResult } from './task-evaluator';

/** Every row is compared with every other: a minute or so. */
const MAX_EMBEDDED_ROWS = 20_000;

function numbersOutput(outputs: readonly TensorSignature[], role: string, names: OutputNames): number {
  const hasRows = ({ shape }: TensorSignature): boolean => shape.length >= 1;
  return chooseOutput(outputs, role, names, [
    (output) => isFloating(output) && hasRows(output),
    (output) => output.datatype !== 'BYTES' && hasRows(output),
  ]);
}

/** Numbers that should be near their labels. */
export class RegressionTask implements TaskEvaluator<readonly number[]> {
  readonly answers = undefined;
  readonly #place: number;
  #tally: RegressionTally | undefined;

  constructor(
    private readonly outputs: readonly TensorSignature[],
    names: OutputNames = {},
  ) {
    this.#place = numbersOutput(outputs, 'values', names);
  }

  add(labels: readonly (readonly number[])[], outputs: readonly Tensor[]): void {
    rowNumbers(outputs[this.#place]!, labels.length).forEach((values, row) => {
      const label = labels[row]!;
      if (label.length !== values.length) {
        throw new ModelToolError(
          'LABEL_INVALID',
          'labels',
          `must have ${values.length} numbers, as output '${this.outputs[this.#place]!.name}' has, got ${label.length}`,
        );
      }
      this.#tally ??= new RegressionTally(values.length);
      this.#tally.add(label, values);
    });
  }

  result(): TaskResult {
    const { rows, ...metrics } = this.#tally!.result();
    return { rows, metrics: definedMetrics(metrics), output: this.outputs[this.#place]!.name };
  }
}

/** Vectors that should be near each other where labels are the same. */
export class EmbeddingTask implements TaskEvaluator<number> {
  readonly answers = undefined;
  readonly #place: number;
  readonly #tally = new RetrievalTally();

  constructor(
    private readonly outputs: readonly TensorSignature[],
    names: OutputNames = {},
  ) {
    this.#place = numbersOutput(outputs, 'vectors', names);
  }

  add(labels: readonly number[], outputs: readonly Tensor[]): void {
    rowNumbers(outputs[this.#place]!, labels.length).forEach((vector, row) => this.#tally.add(labels[row]!, vector));
    if (this.#tally.rows <= MAX_EMBEDDED_ROWS) return;
    throw new ModelToolError(
      'DATA_TOO_LARGE',
      'data',
      `each row is compared with every other, which is done for at most ${MAX_EMBEDDED_ROWS}: limit the rows`,
    );
  }

  result(): TaskResult {
    const { rows, queries, recallAt, meanReciprocalRank } = this.#tally.result();
    if (queries === 0) {
      throw new ModelToolError(
        'LABEL_INVALID',
        'labels',
        'no two rows have the same label, so there is nothing to find',
      );
    }
    const recalls = Object.fromEntries(recallAt.map(({ k, recall }) => [`recallAt${k}`, recall]));
    const metrics = definedMetrics({ ...recalls, meanReciprocalRank, queries });
    return { rows, metrics, output: this.outputs[this.#place]!.name };
  }
}

/** Vectors of pairs that should be as similar as their labels say. */
export class SimilarityTask implements TaskEvaluator<readonly number[]> {
  readonly answers = undefined;
  readonly #place: number;
  readonly #tally = new SimilarityTally();

  constructor(
    private readonly outputs: readonly TensorSignature[],
    names: OutputNames = {},
  ) {
    this.#place = numbersOutput(outputs, 'vectors', names);
  }

  add(labels: readonly (readonly number[])[], outputs: readonly Tensor[]): void {
    rowNumbers(outputs[this.#place]!, labels.length).forEach((vector, row) =>
      this.#tally.add(labels[row]![0]!, vector),
    );
  }

  result(): TaskResult {
    const { rows, pairs, spearman } = this.#tally.result();
    if (!this.#tally.isEven || pairs < 2) {
      throw new ModelToolError('LABEL_INVALID', 'labels', `rows must come in at least two pairs, got ${rows} rows`);
    }
    return { rows, metrics: definedMetrics({ spearman, pairs }), output: this.outputs[this.#place]!.name };
  }
}
