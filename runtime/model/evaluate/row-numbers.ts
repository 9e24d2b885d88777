import { numberReader } from '../../onnx/tensor-comparison';
import type { Tensor } from '../../onnx/tensor-encoding';
import { ModelToolError } from '../tool-error';
import type { ScoreKind } from './task-evaluator';

/** The numbers of each row of an output. @throws ModelToolError OUTPUT_UNFIT where it has not a row for each row asked */
export function rowNumbers(output: Tensor, rows: number): readonly Float64Array[] {
  assertRows(output, rows);
  const numberAt = numberReader(output.datatype);
  const width = output.data.length / rows;
  return Array.from({ length: rows }, (_, row) =>
    Float64Array.from({ length: width }, (_each, i) => numberAt(output.data, row * width + i)),
  );
}

export function assertRows({ name, shape }: Tensor, rows: number): void {
  if (shape[0] === rows) return;
  throw new ModelToolError(
    'OUTPUT_UNFIT',
    `output '${name}'`,
    `must have a row for each of the ${rows} rows that were asked, got the shape [${shape.join(', ')}]`,
  );
}

/** What sums that should be 1 may be off by: FP16 has three digits. */
const SUM_TOLERANCE = 1e-2;
/** Probabilities of a quantized model are multiples of it: each class may be off by one of them, however many classes there are. */
const STEP_OF_8_BITS = 2 ** -8;
const MOST_TOLERANCE = 0.5;

/** Scores of one class each row are probabilities where they add up to 1, and none is below 0. Rows with NaN say nothing. */
export function kindOfScores(rows: readonly Float64Array[]): ScoreKind {
  const areShares = rows.filter(isOfNumbers).every((row) => {
    const sum = row.reduce((total, score) => total + score, 0);
    const tolerance = Math.min(MOST_TOLERANCE, SUM_TOLERANCE + row.length * STEP_OF_8_BITS);
    return row.every((score) => score >= -STEP_OF_8_BITS) && Math.abs(sum - 1) <= tolerance;
  });
  return areShares ? 'probabilities' : 'logits';
}

/** Scores that stand for themselves are probabilities where all are from 0 to 1. Rows with NaN say nothing. */
export function kindOfSingleScores(rows: readonly Float64Array[]): ScoreKind {
  return rows.filter(isOfNumbers).every((row) => row.every((score) => score >= 0 && score <= 1))
    ? 'probabilities'
    : 'logits';
}

function isOfNumbers(row: Float64Array): boolean {
  return !row.some(Number.isNaN);
}

export function softmax(scores: Float64Array): Float64Array {
  const largest = scores.reduce((most, score) => (score > most ? score : most), -Infinity);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

export function sigmoid(score: number): number {
  return 1 / (1 + Math.exp(-score));
}
