import { create } from '@bufbuild/protobuf';
import {
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
  type TensorProto,
} from '../generated/onnx-ml_pb';
import { walkModel } from '../walk-model';
import type { EditableModel } from './editable-model';
import { setTensorIntegers } from './tensor-elements';

/** The version of the file format since which an initializer need not be an input as well. */
const IR_WITHOUT_INPUTS = 4n;

/**
 * Adds an initializer under a name that nothing has, this one where it is free.
 * @returns the name
 */
export function addInitializer({ proto }: EditableModel, wanted: string, tensor: TensorProto): string {
  const { graph } = proto;
  const name = freeName({ proto }, wanted);
  tensor.name = name;
  graph.initializer.push(tensor);
  if (proto.irVersion < IR_WITHOUT_INPUTS) graph.input.push(inputOf(tensor));
  return name;
}

/** The same, of a list of whole numbers. */
export function addIntegers(model: EditableModel, wanted: string, values: readonly number[]): string {
  const tensor = create(TensorProtoSchema, { dataType: TensorProto_DataType.INT64 });
  setTensorIntegers(tensor, [values.length], values);
  return addInitializer(model, wanted, tensor);
}

/** Makes sure that a model's initializers are constants, whichever format its file had: none of them is an input. */
export function dropDefaultInputs({ proto }: EditableModel, irVersion: bigint): void {
  const { graph } = proto;
  const names = new Set(graph.initializer.map(({ name }) => name));
  graph.input = graph.input.filter(({ name }) => !names.has(name));
  if (proto.irVersion < irVersion) proto.irVersion = irVersion;
}

/** This name, or, where something has it, one like it. */
export function freeName(model: Pick<EditableModel, 'proto'>, wanted: string): string {
  const taken = takenNames(model);
  let name = wanted;
  for (let i = 2; taken.has(name); i++) name = `${wanted}_${i}`;
  return name;
}

/** All names of values, those inside subgraphs included: a name of the graph outside would be hidden there. */
function takenNames({ proto }: Pick<EditableModel, 'proto'>): ReadonlySet<string> {
  const { graph } = proto;
  const { nodes, tensors } = walkModel(proto);
  return new Set([
    ...graph.input.map(({ name }) => name),
    ...nodes.flatMap(({ input, output }) => [...input, ...output]),
    ...tensors.map(({ name }) => name),
  ]);
}

function inputOf({ name, dataType, dims }: TensorProto) {
  const dim = dims.map((size) => ({ value: { case: 'dimValue' as const, value: size } }));
  const tensor = create(TypeProto_TensorSchema, { elemType: dataType, shape: create(TensorShapeProtoSchema, { dim }) });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  });
}
