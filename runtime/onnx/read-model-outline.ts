import type { Datatype } from '../spec/datatypes';
import type { ModelFacts } from '../spec/model-facts';
import { decodeModel, type DecodedModel } from './decode-model';
import { elementType } from './element-types';
import type { NodeProto, TensorProto, ValueInfoProto } from './generated/onnx-ml_pb';
import { countOperators, readOpsets } from './operators';
import { readSkeleton } from './read-skeleton';
import { isExternal, tensorBytes } from './tensor-bytes';
import { readShape, TYPE_WORDS } from './signature';
import { walkModel } from './walk-model';

/** What a graph looks like, also of a model that the server cannot serve; read without its weights. */
export interface ModelOutline extends Pick<ModelFacts, 'opsets' | 'operators' | 'weightBytes'> {
  /** Those without a default. */
  readonly inputs: readonly OutlinedTensor[];
  readonly outputs: readonly OutlinedTensor[];
  /** How many files beside the model hold its weights. */
  readonly externalFiles: number;
  /** Reshape nodes of the graph itself whose target shape is a constant and whose data is none. */
  readonly constantReshapes: readonly { readonly node: string; readonly shape: readonly number[] }[];
}

export interface OutlinedTensor {
  readonly name: string;
  /** `a tensor`, or what else it is: `a sequence`, `a map`. */
  readonly kind: string;
  /** As ONNX documents write it, such as `bfloat16`; empty for what is no tensor. */
  readonly element: string;
  /** Undefined when a request cannot carry it. */
  readonly datatype: Datatype | undefined;
  /** Undefined when not even the rank is known. */
  readonly shape: readonly (number | string)[] | undefined;
}

/**
 * @throws OnnxFileError when the file is no ONNX model.
 */
export function readModelOutline(path: string): ModelOutline {
  const model = decodeModel(readSkeleton(path), path);
  const { nodes, tensors } = walkModel(model);
  const { graph } = model;
  const defaults = new Set(graph.initializer.map(({ name }) => name));
  for (const { values } of graph.sparseInitializer) defaults.add(values?.name ?? '');
  return {
    inputs: graph.input.filter(({ name }) => !defaults.has(name)).map(outlineTensor),
    outputs: graph.output.map(outlineTensor),
    opsets: readOpsets(model),
    operators: countOperators(nodes, model),
    weightBytes: tensors.reduce((total, tensor) => total + tensorBytes(tensor, path), 0),
    externalFiles: new Set(tensors.filter(isExternal).map(locationOf)).size,
    constantReshapes: findConstantReshapes(model),
  };
}

function outlineTensor({ name, type }: ValueInfoProto): OutlinedTensor {
  const value = type?.value;
  if (value?.case !== 'tensorType') {
    const kind = value?.case === undefined ? 'without a type' : TYPE_WORDS[value.case];
    return { name, kind, element: '', datatype: undefined, shape: undefined };
  }
  const element = elementType(value.value.elemType);
  return {
    name,
    kind: 'a tensor',
    element: element?.name ?? `element type ${value.value.elemType}`,
    datatype: element?.datatype,
    shape: value.value.shape === undefined ? undefined : readShape(value.value.shape),
  };
}

function locationOf({ externalData }: TensorProto): string {
  return externalData.find(({ key }) => key === 'location')?.value ?? '';
}

function findConstantReshapes({ graph }: DecodedModel): ModelOutline['constantReshapes'] {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  for (const node of graph.node) {
    const value = node.opType === 'Constant' ? constantOf(node) : undefined;
    if (value !== undefined) constants.set(node.output[0] ?? '', value);
  }
  return graph.node
    .filter(({ opType, domain }) => opType === 'Reshape' && (domain === '' || domain === 'ai.onnx'))
    .filter(({ input }) => !constants.has(input[0] ?? ''))
    .flatMap((node) => {
      const target = constants.get(node.input[1] ?? '');
      const shape = target === undefined ? undefined : readIntegers(target);
      return shape === undefined ? [] : [{ node: node.name === '' ? (node.output[0] ?? '') : node.name, shape }];
    });
}

function constantOf(node: NodeProto): TensorProto | undefined {
  return node.attribute.find(({ name }) => name === 'value')?.t;
}

function readIntegers({ int64Data, rawData, dims, dataType }: TensorProto): readonly number[] | undefined {
  if (elementType(dataType)?.name !== 'int64') return undefined;
  if (int64Data.length > 0) return int64Data.map(Number);
  const count = Number(dims[0] ?? 0n);
  if (dims.length !== 1 || rawData.byteLength !== count * 8) return undefined;
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  return Array.from({ length: count }, (_, i) => Number(view.getBigInt64(i * 8, true)));
}
