import { create } from '@bufbuild/protobuf';
import { elementType } from '../element-types';
import {
  SparseTensorProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  type TensorProto,
} from '../generated/onnx-ml_pb';
import type { EditableModel } from './editable-model';
import { GraphIndex } from './graph-index';
import { dropDefaultInputs } from './initializers';
import { bytesOfTensor } from './tensor-elements';

/** The version of the file format that has them. */
const IR_OF_SPARSE = 6n;
/** What ONNX stores with each element: its place, INT64. */
const PLACE_BYTES = 8;
/** Names, types and shapes of the two lists that take the place of one. */
const EXTRA_BYTES = 64;

/** An initializer that is stored by its elements that are not zero. */
export interface SparseInitializer {
  readonly name: string;
  readonly elements: number;
  readonly nonzeros: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Stores initializers as lists of what is not zero and its places (`sparse_initializer`) where that takes fewer bytes: FP32 from
 * two zeros in three on, FP16 from four in five. Only bits that are all zero count, so that nothing changes, not even a −0.
 */
export function storeSparse(model: EditableModel): readonly SparseInitializer[] {
  const { graph } = model.proto;
  const index = new GraphIndex(graph);
  const stored: SparseInitializer[] = [];
  const dense: TensorProto[] = [];
  for (const tensor of graph.initializer) {
    const sparse = index.outputs.has(tensor.name) ? undefined : sparseOf(model, tensor);
    if (sparse === undefined) {
      dense.push(tensor);
      continue;
    }
    graph.sparseInitializer.push(sparse.proto);
    stored.push(sparse.facts);
  }
  if (stored.length > 0) dropDefaultInputs(model, IR_OF_SPARSE);
  graph.initializer = dense;
  return stored;
}

function sparseOf(model: EditableModel, tensor: TensorProto) {
  const bits = elementType(tensor.dataType)?.bits;
  if (bits === undefined || bits % 8 !== 0 || tensor.dims.length === 0) return undefined;
  const size = bits / 8;
  const bytes = bytesOfTensor(model, tensor);
  const count = bytes.byteLength / size;
  const places: number[] = [];
  // More would not be worth it.
  const most = Math.floor((bytes.byteLength - EXTRA_BYTES) / (size + PLACE_BYTES));
  for (let i = 0; i < count; i++) {
    if (isZero(bytes, i * size, size)) continue;
    if (places.length >= most) return undefined;
    places.push(i);
  }
  if (most < 1) return undefined;
  // A list of nothing is a shape that not every reader expects.
  if (places.length === 0) places.push(0);
  const values = new Uint8Array(places.length * size);
  const indices = new BigInt64Array(places.length);
  places.forEach((place, i) => {
    values.set(bytes.subarray(place * size, (place + 1) * size), i * size);
    indices[i] = BigInt(place);
  });
  const { name, dataType, docString } = tensor;
  const proto = create(SparseTensorProtoSchema, {
    dims: tensor.dims,
    values: create(TensorProtoSchema, { name, dataType, docString, dims: [BigInt(places.length)], rawData: values }),
    indices: create(TensorProtoSchema, {
      dataType: TensorProto_DataType.INT64,
      dims: [BigInt(places.length)],
      rawData: new Uint8Array(indices.buffer),
    }),
  });
  const bytesAfter = places.length * (size + PLACE_BYTES);
  const facts = { name, elements: count, nonzeros: places.length, bytesBefore: bytes.byteLength, bytesAfter };
  return { proto, facts };
}

function isZero(bytes: Uint8Array, start: number, size: number): boolean {
  for (let i = start; i < start + size; i++) if (bytes[i] !== 0) return false;
  return true;
}
