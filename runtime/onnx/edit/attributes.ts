import { create } from '@bufbuild/protobuf';
import { AttributeProto_AttributeType as Type, AttributeProtoSchema, type NodeProto } from '../generated/onnx-ml_pb';

/** Gives a node an attribute of whole numbers, in the place of one of that name. */
export function setIntsAttribute(node: NodeProto, name: string, values: readonly number[]): void {
  removeAttribute(node, name);
  node.attribute.push(create(AttributeProtoSchema, { name, type: Type.INTS, ints: values.map(BigInt) }));
}

/** The same with one number. */
export function setIntAttribute(node: NodeProto, name: string, value: number): void {
  removeAttribute(node, name);
  node.attribute.push(create(AttributeProtoSchema, { name, type: Type.INT, i: BigInt(value) }));
}

export function removeAttribute(node: NodeProto, name: string): void {
  node.attribute = node.attribute.filter((attribute) => attribute.name !== name);
}
