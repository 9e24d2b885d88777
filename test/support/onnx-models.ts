import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  type AttributeProtoSchema,
  type GraphProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from '../../runtime/onnx/generated/onnx-ml_pb';
import { TYPE_OF_DATATYPE } from '../../runtime/onnx/element-types';
import type { Datatype } from '../../runtime/spec/datatypes';

// Small real models, built as ONNX bytes at test time: `writeFileSync(path, identityModel())`.

export type GraphInit = MessageInitShape<typeof GraphProtoSchema>;
export type NodeInit = MessageInitShape<typeof NodeProtoSchema>;
export type TensorInit = MessageInitShape<typeof TensorProtoSchema>;
export type ValueInit = MessageInitShape<typeof ValueInfoProtoSchema>;
export type AttributeInit = MessageInitShape<typeof AttributeProtoSchema>;
export type ModelInit = MessageInitShape<typeof ModelProtoSchema>;
/** A fixed size, or the name of a free dimension; `''` is free without a name. */
export type Dimension = number | string;

export const ELEMENT_TYPES = TYPE_OF_DATATYPE;

/** `output = input`, any datatype, by default FP32 `[batch, 4]`. Batchable when dimension 0 is free. */
export function identityModel({
  datatype = 'FP32',
  shape = ['batch', 4],
}: { datatype?: Datatype; shape?: readonly Dimension[] } = {}): Uint8Array {
  return buildModel({
    node: [node('Identity', ['input'], ['output'])],
    input: [value('input', datatype, shape)],
    output: [value('output', datatype, shape)],
  });
}

/** `output = input + 1`, FP32, by default `[batch, 4]`. `shape: [1, 4]` makes a model that cannot be batched. */
export function addOneModel({ shape = ['batch', 4] }: { shape?: readonly Dimension[] } = {}): Uint8Array {
  return buildModel({
    node: [node('Add', ['input', 'one'], ['output'])],
    input: [value('input', 'FP32', shape)],
    output: [value('output', 'FP32', shape)],
    initializer: [floatTensor('one', [], [1])],
  });
}

/** `output = input × weight`: FP32 `[batch, inputs]` to `[batch, outputs]`; `weight` holds a fixed, irregular pattern. */
export function matmulModel({ inputs = 4, outputs = 3 }: { inputs?: number; outputs?: number } = {}): Uint8Array {
  return buildModel({
    node: [node('MatMul', ['input', 'weight'], ['output'])],
    input: [value('input', 'FP32', ['batch', inputs])],
    output: [value('output', 'FP32', ['batch', outputs])],
    initializer: [floatTensor('weight', [inputs, outputs], patternValues(inputs * outputs))],
  });
}

/**
 * `sum = left + right` (FP32 `[batch, 3]`) and `larger = left > right` (BOOL): two inputs, two outputs of two datatypes.
 */
export function twoInputsModel(): Uint8Array {
  return buildModel({
    node: [node('Add', ['left', 'right'], ['sum']), node('Greater', ['left', 'right'], ['larger'])],
    input: [value('left', 'FP32', ['batch', 3]), value('right', 'FP32', ['batch', 3])],
    output: [value('sum', 'FP32', ['batch', 3]), value('larger', 'BOOL', ['batch', 3])],
  });
}

/**
 * Takes as long as the request says. Input `iterations` INT64 `[batch, 1]`; the run multiplies two 256×256 matrices as
 * often as the largest of them (roughly a tenth of a millisecond each); output `done` repeats the input. With 2^40 the
 * run practically never returns; with 0 or 1 it is over at once, so warm-up and golden proof are quick.
 * @param least Multiplications of any run, whatever it asks for.
 */
export function slowModel({ least = 0 }: { least?: number } = {}): Uint8Array {
  const side = 256;
  const body: GraphInit = {
    name: 'body',
    node: [node('MatMul', ['state_in', 'step'], ['state_out']), node('Identity', ['condition_in'], ['condition_out'])],
    input: [value('i', 'INT64', []), value('condition_in', 'BOOL', []), value('state_in', 'FP32', [side, side])],
    output: [value('condition_out', 'BOOL', []), value('state_out', 'FP32', [side, side])],
  };
  return buildModel({
    node: [
      node('ReduceMax', ['iterations'], ['asked'], [intAttribute('keepdims', 0)]),
      node('Max', ['asked', 'least_trips'], ['trip_count']),
      node('Loop', ['trip_count', '', 'start'], ['state'], [graphAttribute('body', body)]),
      // The output must depend on the loop, or the optimizer removes it.
      node('ReduceMin', ['state'], ['least'], [intAttribute('keepdims', 0)]),
      node('Min', ['least', 'zero'], ['nothing']),
      node('Cast', ['nothing'], ['nothing_int'], [intAttribute('to', TensorProto_DataType.INT64)]),
      node('Add', ['iterations', 'nothing_int'], ['done']),
    ],
    input: [value('iterations', 'INT64', ['batch', 1])],
    output: [value('done', 'INT64', ['batch', 1])],
    // Every element stays 1/side or so: a stochastic matrix times itself is stochastic, never infinite, never denormal.
    initializer: [
      floatTensor('start', [side, side], new Array<number>(side * side).fill(1 / side)),
      floatTensor('step', [side, side], new Array<number>(side * side).fill(1 / side)),
      floatTensor('zero', [], [0]),
      int64Tensor('least_trips', [], [BigInt(least)]),
    ],
  });
}

/** `output = table[index]`: INT64 `[batch]` to FP32 `[batch, 2]`. The run itself fails for an index outside -10 … 9. */
export function lookupModel(): Uint8Array {
  return buildModel({
    node: [node('Gather', ['table', 'index'], ['output'])],
    input: [value('index', 'INT64', ['batch'])],
    output: [value('output', 'FP32', ['batch', 2])],
    initializer: [floatTensor('table', [10, 2], patternValues(20))],
  });
}

/** Reshapes FP32 `[length]` to `[3, 7]`: the run fails for every length but 21, which no generated input can know. */
export function pickyModel(): Uint8Array {
  return buildModel({
    node: [node('Reshape', ['input', 'target'], ['output'])],
    input: [value('input', 'FP32', ['length'])],
    output: [value('output', 'FP32', [3, 7])],
    initializer: [int64Tensor('target', [2], [3n, 7n])],
  });
}

/** Adds unseeded noise from 0 to 1: two runs never agree. FP32 `[batch, 4]`. */
export function noisyModel(): Uint8Array {
  return buildModel({
    node: [node('RandomUniformLike', ['input'], ['noise']), node('Add', ['input', 'noise'], ['output'])],
    input: [value('input', 'FP32', ['batch', 4])],
    output: [value('output', 'FP32', ['batch', 4])],
  });
}

/** `output = input + weight`, `weight` in the external file `weights.bin` (four floats 1, 2, 3, 4 after 64 unused bytes). */
export function externalDataModel({ location = 'weights.bin' }: { location?: string } = {}): {
  readonly model: Uint8Array;
  readonly weights: Uint8Array;
} {
  const offset = 64;
  const weights = new Uint8Array(offset + 16);
  weights.set(littleEndianFloats([1, 2, 3, 4]), offset);
  const model = buildModel({
    node: [node('Add', ['input', 'weight'], ['output'])],
    input: [value('input', 'FP32', ['batch', 4])],
    output: [value('output', 'FP32', ['batch', 4])],
    initializer: [externalTensor('weight', 'FP32', [4], { location, offset: `${offset}`, length: '16' })],
  });
  return { model, weights };
}

/** Bytes of a model around one graph; opset 17, IR version 8 unless said otherwise. */
export function buildModel(graph: GraphInit, model: Omit<ModelInit, '$typeName' | 'graph'> = {}): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      producerName: 'slipway tests',
      opsetImport: [{ domain: '', version: 17n }],
      ...model,
      graph: { name: 'graph', ...graph },
    }),
  );
}

export function node(
  opType: string,
  input: string[],
  output: string[],
  attribute: AttributeInit[] = [],
  domain = '',
): NodeInit {
  return { opType, input, output, attribute, domain };
}

export function value(name: string, datatype: Datatype, shape: readonly Dimension[]): ValueInit {
  const dim = shape.map((size) =>
    typeof size === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
      : { value: size === '' ? { case: undefined } : { case: 'dimParam' as const, value: size } },
  );
  const tensor = { elemType: ELEMENT_TYPES[datatype], shape: { dim } };
  return { name, type: { value: { case: 'tensorType', value: tensor } } };
}

export function floatTensor(name: string, dims: readonly number[], values: readonly number[]): TensorInit {
  return { name, dims: dims.map(BigInt), dataType: ELEMENT_TYPES.FP32, rawData: littleEndianFloats(values) };
}

export function int64Tensor(name: string, dims: readonly number[], values: readonly bigint[]): TensorInit {
  const rawData = new Uint8Array(values.length * 8);
  const view = new DataView(rawData.buffer);
  values.forEach((element, i) => view.setBigInt64(i * 8, element, true));
  return { name, dims: dims.map(BigInt), dataType: ELEMENT_TYPES.INT64, rawData };
}

/** A tensor whose elements lie in another file; `entries` are its key-value pairs (`location`, `offset`, `length`). */
export function externalTensor(
  name: string,
  datatype: Datatype,
  dims: readonly number[],
  entries: Readonly<Record<string, string>>,
): TensorInit {
  return {
    name,
    dims: dims.map(BigInt),
    dataType: ELEMENT_TYPES[datatype],
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, entry]) => ({ key, value: entry })),
  };
}

export function intAttribute(name: string, i: number): AttributeInit {
  return { name, type: AttributeProto_AttributeType.INT, i: BigInt(i) };
}

export function tensorAttribute(name: string, t: TensorInit): AttributeInit {
  return { name, type: AttributeProto_AttributeType.TENSOR, t };
}

export function graphAttribute(name: string, g: GraphInit): AttributeInit {
  return { name, type: AttributeProto_AttributeType.GRAPH, g };
}

function littleEndianFloats(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((element, i) => view.setFloat32(i * 4, element, true));
  return bytes;
}

/** Numbers between -0.5 and 0.5 without a pattern that a transposed or shifted matrix would share. */
function patternValues(count: number): number[] {
  return Array.from({ length: count }, (_, i) => ((i * i * 31 + i * 17 + 11) % 97) / 97 - 0.5);
}
