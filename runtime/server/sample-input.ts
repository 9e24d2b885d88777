import { allocateTensorData, elementCount, type Tensor } from '../onnx/tensor-encoding';
import type { TensorSignature } from '../spec/model-facts';
import { sliceRows } from '../onnx/slice-rows';
import { joinRows } from './batch';

/** Inputs for warm-up, as often as needed: an executor keeps what it is given, so each time they are a copy. */
export class SampleInput {
  constructor(private readonly tensors: readonly Tensor[]) {}

  whole(): readonly Tensor[] {
    return this.tensors.map(copy);
  }

  /** These rows of every tensor, counted round and round. For models that take rows. */
  rows(indices: readonly number[]): readonly Tensor[] {
    return this.tensors.map((tensor) => {
      const available = tensor.shape[0] ?? 0;
      if (available === 0) return copy(tensor);
      return copy(joinRows(indices.map((i) => sliceRows(tensor, i % available, (i % available) + 1))));
    });
  }
}

/**
 * An input made from the signature. Whole numbers are 0, because an index of 0 exists in every table; floating-point
 * numbers are small fractions, by which two rows differ, or 0 where `zeros` says so.
 */
export function generateInput(signatures: readonly TensorSignature[], rows: number, zeros = false): SampleInput {
  return new SampleInput(
    signatures.map(({ name, datatype, shape: signature }) => {
      const shape = signature.map((size, d) => (typeof size === 'number' ? size : d === 0 ? rows : 1));
      const data = allocateTensorData(datatype, elementCount(shape));
      if (!zeros && (datatype === 'FP32' || datatype === 'FP64')) fillWithFractions(data as Float32Array);
      return { name, datatype, shape, data };
    }),
  );
}

/** Small numbers between 0 and 1, the same each time. */
export function fillWithFractions(data: Float32Array): void {
  // A step of 7 modulo 11: rows of any length but a multiple of 11 differ from each other.
  for (let i = 0; i < data.length; i++) data[i] = ((i * 7 + 3) % 11) / 11;
}

function copy(tensor: Tensor): Tensor {
  return { ...tensor, data: tensor.data.slice() };
}
