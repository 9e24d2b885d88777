import type { Datatype } from '../spec/datatypes';
import { ONNX_RUNTIME_TYPES, type Tensor, type TensorData } from './tensor-encoding';

/** What is needed of onnxruntime's `Tensor`: this folder does not import it. */
export interface RuntimeTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

const DATATYPES = Object.fromEntries(
  Object.entries(ONNX_RUNTIME_TYPES).map(([datatype, type]) => [type, datatype as Datatype]),
);

/** The datatype that an element type of onnxruntime stands for; undefined when it stands for none. */
export function datatypeOfRuntime(type: string): Datatype | undefined {
  return DATATYPES[type];
}

/**
 * A tensor for onnxruntime.
 * @param RuntimeClass Its `Tensor`.
 */
export function toRuntimeTensor<T extends RuntimeTensor>(
  RuntimeClass: new (type: string, data: TensorData, dims: readonly number[]) => T,
  { datatype, data, shape }: Tensor,
): T {
  if (datatype !== 'FP16') return new RuntimeClass(ONNX_RUNTIME_TYPES[datatype], data, shape);
  // From Node 24 on the constructor makes a Float16Array of the bits, and the native part of onnxruntime-node 1.30 takes
  // that for an array of no bytes ("not enough space: expected 8, got 0"). Its bits under another name pass.
  return Object.assign(new RuntimeClass(ONNX_RUNTIME_TYPES.UINT16, data, shape), { type: ONNX_RUNTIME_TYPES.FP16 });
}

/** The inverse. @throws Error for an element type that no datatype stands for. */
export function fromRuntimeTensor(name: string, { type, dims, data }: RuntimeTensor): Tensor {
  const datatype = datatypeOfRuntime(type);
  if (datatype === undefined) throw new Error(`'${name}' has element type ${type}, which no datatype stands for`);
  const shape = [...dims];
  if (datatype !== 'FP16') return { name, datatype, shape, data: data as TensorData };
  // From Node 24 on FP16 comes as Float16Array: the same bits.
  const { buffer, byteOffset, length } = data as Uint16Array;
  return { name, datatype, shape, data: new Uint16Array(buffer, byteOffset, length) };
}
