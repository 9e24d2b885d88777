import { create } from '@bufbuild/protobuf';
import { NodeProtoSchema, TensorProto_DataType, TensorProtoSchema, type NodeProto } from '../generated/onnx-ml_pb';
import { setIntAttribute } from './attributes';
import type { EditableModel } from './editable-model';
import { addInitializer, addIntegers, dropDefaultInputs, freeName } from './initializers';
import { bytesOfFloats, setTensorBytes, type FloatElements } from './tensor-elements';

/** Initializers need not be inputs from this version of the file format on. */
const IR_WITHOUT_INPUTS = 4n;

/** How many places of a list of so many values fit into a byte. */
export function placesOfByte(values: number): number {
  if (values <= 2) return 8;
  if (values <= 4) return 4;
  return values <= 16 ? 2 : 1;
}

export interface SharedValues {
  /** The initializer, or the output of the Constant node, that they replace. */
  readonly name: string;
  readonly dataType: number;
  readonly dims: readonly number[];
  /** The values that are left, at most 256. */
  readonly values: FloatElements;
  /** Which of them each element is, in row-major order. */
  readonly places: Uint8Array;
}

/**
 * Stores a tensor as a short list of values, and for each element its place in that. Where several places fit into a byte, the list
 * has a row for each byte, with all the values that it stands for: `Gather` then gives them at once, in every opset. ONNX Runtime
 * computes the tensor once, when it loads the model.
 * @returns bytes that are stored instead
 */
export function storeShared(model: EditableModel, { name, dataType, dims, values, places }: SharedValues): number {
  const { graph } = model.proto;
  dropDefaultInputs(model, IR_WITHOUT_INPUTS);
  graph.initializer = graph.initializer.filter((tensor) => tensor.name !== name);
  graph.node = graph.node.filter((node) => !(node.opType === 'Constant' && node.output[0] === name));

  const each = places.length % placesOfByte(values.length) === 0 ? placesOfByte(values.length) : 1;
  const packed = pack(places, each);
  const table = tableOf(values, each);
  const list = create(TensorProtoSchema, { dataType });
  const listBytes = bytesOfFloats(dataType, table);
  setTensorBytes(list, each === 1 ? [table.length] : [table.length / each, each], listBytes);
  const indices = create(TensorProtoSchema, { dataType: TensorProto_DataType.UINT8 });
  setTensorBytes(indices, each === 1 ? dims : [packed.length], packed);

  const listName = addInitializer(model, `${name}/values`, list);
  const packedName = addInitializer(model, `${name}/places`, indices);
  const wideName = freeName(model, `${name}/places_int32`);
  const nodes = [makeNode('Cast', [packedName], wideName)];
  setIntAttribute(nodes[0]!, 'to', TensorProto_DataType.INT32);
  if (each === 1) nodes.push(makeNode('Gather', [listName, wideName], name));
  else {
    const rows = freeName(model, `${name}/rows`);
    nodes.push(makeNode('Gather', [listName, wideName], rows));
    nodes.push(makeNode('Reshape', [rows, addIntegers(model, `${name}/shape`, dims)], name));
  }
  graph.node.unshift(...nodes);
  return listBytes.byteLength + packed.byteLength;
}

/** The first place is in the lowest bits. */
function pack(places: Uint8Array, each: number): Uint8Array {
  if (each === 1) return places;
  const bits = 8 / each;
  return Uint8Array.from({ length: places.length / each }, (_, i) => {
    let byte = 0;
    for (let k = 0; k < each; k++) byte |= places[i * each + k]! << (k * bits);
    return byte;
  });
}

/** The values of one place, or for each byte those of all places in it; a place that nothing has gets the last value. */
function tableOf(values: FloatElements, each: number): Float64Array {
  if (each === 1) return Float64Array.from(values);
  const bits = 8 / each;
  const mask = 2 ** bits - 1;
  return Float64Array.from({ length: 256 * each }, (_, i) => {
    const place = (Math.floor(i / each) >>> ((i % each) * bits)) & mask;
    return values[Math.min(place, values.length - 1)]!;
  });
}

function makeNode(opType: string, input: string[], output: string): NodeProto {
  return create(NodeProtoSchema, { opType, input, output: [output], name: output });
}
