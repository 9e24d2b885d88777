import type { TensorSignature } from '../../spec/model-facts';
import { ModelToolError } from '../tool-error';

/** Dimensions of one row of an input: all but the first, which counts rows. */
export function rowDimensions(input: TensorSignature): readonly (number | string)[] {
  return input.shape.slice(1);
}

/** Whether a row has a shape that an input takes; a free dimension takes any size from 1 up. */
export function fitsRow(shape: readonly number[], input: TensorSignature): boolean {
  const wanted = rowDimensions(input);
  return shape.length === wanted.length && shape.every((size, d) => isSize(size, wanted[d]!));
}

function isSize(size: number, wanted: number | string): boolean {
  return typeof wanted === 'number' ? size === wanted : size > 0;
}

/** `[batch, 3, 224, ?]` */
export function showDimensions(shape: readonly (number | string)[]): string {
  return `[${shape.map((size) => (size === '' ? '?' : size)).join(', ')}]`;
}

/**
 * Refuses a model whose inputs have no dimension of rows, before any data is read.
 * @throws ModelToolError DATA_MISFIT naming the input
 */
export function assertTakesRows(inputs: readonly TensorSignature[], source: string): void {
  const scalar = inputs.find(({ shape }) => shape.length === 0);
  if (scalar === undefined && inputs.length > 0) return;
  throw new ModelToolError(
    'DATA_MISFIT',
    source,
    scalar === undefined
      ? 'rows need a model with an input, and this one has none'
      : `rows need a first dimension to lie along, and input '${scalar.name}' is a single value`,
  );
}
