import type { EditableModel } from '../../onnx/edit/editable-model';
import { floatsOfTensor, setTensorFloats, type FloatElements } from '../../onnx/edit/tensor-elements';
import { findWeights, type LeftWhole, type Weight } from '../edit/weights';
import { cutSmallest } from './smallest-magnitudes';

/** What competes: all layers with each other, or the parts of each layer among themselves. */
export type PruneScope = 'global' | 'layer';

export interface ZeroedWeight {
  readonly name: string;
  readonly elements: number;
  readonly zerosBefore: number;
  readonly zerosAfter: number;
}

/** Which weights got zeros. */
export interface ZeroReport {
  readonly weights: readonly ZeroedWeight[];
  readonly left: readonly LeftWhole[];
  /** Zeros ÷ elements of the weights that were pruned. */
  readonly sparsity: number;
}

export interface MagnitudeOptions {
  /** Share of elements that are zero afterwards, from 0 up to, not including, 1. */
  readonly sparsity: number;
  readonly scope: PruneScope;
  readonly exclude?: readonly string[];
}

/**
 * Sets the smallest weights to zero, exactly as many as asked for. Shapes stay: what gets smaller is what `sparsify` stores, and
 * what a compressor makes of the file.
 */
export function zeroSmallest(model: EditableModel, { sparsity, scope, exclude }: MagnitudeOptions): ZeroReport {
  const { weights, left } = findWeights(model, exclude);
  const share = (of: readonly Weight[]) =>
    Math.floor(sparsity * of.reduce((sum, weight) => sum + elementsOf(weight), 0));
  const cutter = (of: readonly Weight[]) =>
    cutSmallest(
      of.map((weight) => () => floatsOf(model, weight)),
      share(of),
    );
  const together = scope === 'global' ? cutter(weights) : undefined;
  const zeroed = weights.map((weight) => change(model, weight, together ?? cutter([weight])));
  return summarize(zeroed, left);
}

export interface PatternOptions {
  /** Of each `of` neighbours at most `keep` stay: 2 of 4 is what GPUs since Ampere multiply faster. */
  readonly keep: number;
  readonly of: number;
  readonly exclude?: readonly string[];
}

/**
 * Sets the smallest of each `of` neighbours along the input axis to zero, so that `keep` are left. A weight whose axis is no
 * multiple of `of` is left whole, because no processor takes part of a group.
 */
export function zeroByPattern(model: EditableModel, { keep, of, exclude }: PatternOptions): ZeroReport {
  const found = findWeights(model, exclude);
  const left = [...found.left];
  const fitting = found.weights.filter(({ name, tensor, inputAxis }) => {
    const size = inputAxis === undefined ? undefined : Number(tensor.dims[inputAxis]);
    if (size !== undefined && size > 0 && size % of === 0) return true;
    const reason =
      size === undefined ? 'has no axis that is summed along' : `has ${size} inputs, which is no multiple of ${of}`;
    left.push({ name, reason });
    return false;
  });
  const zeroed = fitting.map((weight) =>
    change(model, weight, (values) => zeroGroups(values, weight.tensor.dims.map(Number), weight.inputAxis!, keep, of)),
  );
  return summarize(zeroed, left);
}

/** Groups of `of` elements that are neighbours along one axis. */
function zeroGroups(values: FloatElements, dims: readonly number[], axis: number, keep: number, of: number): void {
  const stride = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  const size = dims[axis]!;
  const group = Array.from({ length: of }, () => 0);
  for (let outer = 0; outer < values.length; outer += size * stride) {
    for (let inner = 0; inner < stride; inner++) {
      for (let start = 0; start < size; start += of) {
        const place = (k: number) => outer + (start + k) * stride + inner;
        // The sort is stable: of equal magnitudes the first stays.
        for (let k = 0; k < of; k++) group[k] = k;
        group.sort((a, b) => Math.abs(values[place(b)]!) - Math.abs(values[place(a)]!));
        for (let k = keep; k < of; k++) values[place(group[k]!)] = 0;
      }
    }
  }
}

function change(model: EditableModel, weight: Weight, zero: (values: FloatElements) => void): ZeroedWeight {
  const values = floatsOf(model, weight);
  const zerosBefore = countZeros(values);
  zero(values);
  setTensorFloats(weight.tensor, weight.tensor.dims.map(Number), values);
  return { name: weight.name, elements: values.length, zerosBefore, zerosAfter: countZeros(values) };
}

function floatsOf(model: EditableModel, { tensor }: Weight): FloatElements {
  // Weights are floating-point numbers, or they would not have been found.
  return floatsOfTensor(model, tensor)!;
}

function elementsOf({ tensor }: Weight): number {
  return tensor.dims.reduce((product, size) => product * Number(size), 1);
}

export function countZeros(values: FloatElements): number {
  let zeros = 0;
  for (let i = 0; i < values.length; i++) if (values[i] === 0) zeros += 1;
  return zeros;
}

function summarize(weights: readonly ZeroedWeight[], left: readonly LeftWhole[]): ZeroReport {
  const elements = weights.reduce((sum, weight) => sum + weight.elements, 0);
  const zeros = weights.reduce((sum, weight) => sum + weight.zerosAfter, 0);
  return { weights, left, sparsity: elements === 0 ? 0 : zeros / elements };
}
