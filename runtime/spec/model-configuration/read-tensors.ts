import type { Datatype } from '../datatypes';
import { LIMITS } from './limits';
import type { MessageReader } from './message-reader';
import type { ConfiguredInput, ConfiguredOutput, ConfiguredTensor } from './model-configuration';

/** Triton's data types and their numbers in its `model_config.proto`. */
const DATA_TYPES = {
  TYPE_BOOL: 1,
  TYPE_UINT8: 2,
  TYPE_UINT16: 3,
  TYPE_UINT32: 4,
  TYPE_UINT64: 5,
  TYPE_INT8: 6,
  TYPE_INT16: 7,
  TYPE_INT32: 8,
  TYPE_INT64: 9,
  TYPE_FP16: 10,
  TYPE_FP32: 11,
  TYPE_FP64: 12,
  TYPE_STRING: 13,
  TYPE_BF16: 14,
} as const;

export type DataTypeName = Exclude<keyof typeof DATA_TYPES, 'TYPE_BF16'>;

export function readInput(reader: MessageReader): ConfiguredInput {
  const tensor = readTensor(reader);
  const format = reader.choice('format', { FORMAT_NONE: 0, FORMAT_NHWC: 1, FORMAT_NCHW: 2 }) ?? 'FORMAT_NONE';
  const rank = tensor.dims?.length ?? 3;
  if (format !== 'FORMAT_NONE' && rank !== 3) {
    throw reader.invalid('format', `${format} needs 3 dims, got ${rank}`);
  }
  reader.refuse('allow_ragged_batch', 'is not supported: requests of one shape are joined, others run on their own');
  reader.refuse('optional', 'is not supported: an input with a default is a constant of the model here');
  return reader.finish({ ...tensor, format });
}

export function readOutput(reader: MessageReader): ConfiguredOutput {
  const tensor = readTensor(reader);
  return reader.finish({ ...tensor, labelFilename: reader.relativePath('label_filename') });
}

function readTensor(reader: MessageReader): ConfiguredTensor {
  const name = reader.text('name');
  if (name === undefined) throw reader.invalid('name', 'must be given');
  reader.refuse('is_shape_tensor', 'is not supported: shape tensors belong to TensorRT plans');
  reader.refuse('is_non_linear_format_io', 'is not supported: it belongs to TensorRT plans');
  const dims = reader.has('dims') ? readDims(reader, 'dims') : undefined;
  const reshape = reader.child('reshape', (message) => message.finish({ shape: readDims(message, 'shape') }))?.shape;
  if (reshape !== undefined) checkReshape(reader, dims, reshape);
  return { name, datatype: readDatatype(reader), dims, reshape };
}

export function readDatatype(reader: MessageReader): Datatype | undefined {
  const type = reader.choice('data_type', DATA_TYPES);
  if (type === undefined) return undefined;
  if (type === 'TYPE_BF16') {
    throw reader.unsupported('data_type', 'TYPE_BF16 cannot be carried by the runtime: cast it inside the model');
  }
  return datatypeOf(type);
}

function datatypeOf(type: DataTypeName): Datatype {
  return type === 'TYPE_STRING' ? 'BYTES' : (type.slice('TYPE_'.length) as Datatype);
}

export function dataTypeName(datatype: Datatype): DataTypeName {
  return datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`;
}

export function readDims(reader: MessageReader, name: string): readonly number[] {
  const dims = reader.integers(name, -1, Number.MAX_SAFE_INTEGER);
  if (dims.includes(0)) {
    throw reader.invalid(
      name,
      'must be -1 or at least 1 each; write a scalar as dims: [ 1 ] with reshape: { shape: [ ] }',
    );
  }
  if (dims.length > LIMITS.rank) throw reader.invalid(name, `must have at most ${LIMITS.rank} entries`);
  return dims;
}

/** Between two free dimensions, dims and reshape must hold equally many elements: then any size of them fits. */
function checkReshape(reader: MessageReader, dims: readonly number[] | undefined, reshape: readonly number[]): void {
  if (dims === undefined) throw reader.invalid('reshape', 'needs dims');
  if (productsBetweenFree(dims).join() !== productsBetweenFree(reshape).join()) {
    throw reader.invalid(
      'reshape',
      `must hold as many elements as dims: [${reshape.join(', ')}] does not match [${dims.join(', ')}]`,
    );
  }
}

function productsBetweenFree(dims: readonly number[]): readonly number[] {
  const products = [1];
  for (const size of dims) {
    if (size === -1) products.push(1);
    else products.push((products.pop() ?? 1) * size);
  }
  return products;
}
