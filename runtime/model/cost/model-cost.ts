import { decodeModel, type DecodedModel } from '../../onnx/decode-model';
import { elementType } from '../../onnx/element-types';
import type { NodeProto, TensorProto } from '../../onnx/generated/onnx-ml_pb';
import { readSkeleton } from '../../onnx/read-skeleton';
import { inferShapes, type KnownShapes } from '../../onnx/shapes/infer-shapes';
import { elementCount, type KnownTensor } from '../../onnx/shapes/tensor-value';
import { tensorBytes } from '../../onnx/tensor-bytes';
import { walkModel } from '../../onnx/walk-model';
import { operationsOf } from './operation-count';

export interface CostOptions {
  /** Rows of one run: what the first free dimension of every input is. @default 1 */
  readonly batch?: number;
  /** What other free dimensions are, by name; those that are not named count as 1. @default - 1 for all */
  readonly dimensions?: Readonly<Record<string, number>>;
}

/** What one node does in one run. */
export interface NodeCost {
  readonly name: string;
  readonly operator: string;
  /** A multiplication and an addition are two. Undefined where shapes are not known before a run. */
  readonly operations: number | undefined;
  /** Bytes of weights that this node is the first to read. */
  readonly weightBytes: number;
  readonly outputBytes: number | undefined;
}

/** What one run of a model costs, read from its graph. */
export interface ModelCost {
  /** Rows of the run: as many as were asked for, or what the model is fixed to. */
  readonly batch: number;
  /** Elements of all constants that the graph computes with, each once; what it makes of constants alone is one itself. */
  readonly parameters: number;
  /** Of these constants. What a session holds before it runs. */
  readonly weightBytes: number;
  /** Of all nodes whose shapes are known. */
  readonly operations: number;
  /**
   * Most bytes of values that are needed at the same moment, when nodes run in the order of the file: the least that a run
   * needs beside the weights. ONNX Runtime's arena takes more.
   */
  readonly activationBytes: number;
  /** In the order of the file. */
  readonly nodes: readonly NodeCost[];
  /** Nodes whose operations are not known, of subgraphs and local functions among them. */
  readonly unknownNodes: number;
  /** Free dimensions that were taken as 1 because nobody said what they are. */
  readonly assumed: readonly string[];
}

/**
 * @throws OnnxFileError when the file is no ONNX model.
 */
export function costOfModel(file: string, options: CostOptions = {}): ModelCost {
  return costOf(decodeModel(readSkeleton(file), file), file, options);
}

/** As `costOfModel`, of a model that is in memory. */
export function costOf(model: DecodedModel, file: string, { batch = 1, dimensions = {} }: CostOptions = {}): ModelCost {
  const { graph } = model;
  const weights = constantsOf(model);
  const free = freeDimensions(model, weights);
  const named = new Map(Object.entries(dimensions));
  const bound = new Map([...[...free.rows].map((name) => [name, batch] as const), ...named]);
  const shapes = inferShapes(model, {
    dimensions: Object.fromEntries(bound),
    inputShapes: Object.fromEntries(free.inputs.map((shape) => [shape.name, shape.sizes(bound, batch)])),
  });
  const seen = new Set<string>();
  const nodes = graph.node
    .filter((node) => !isConstant(node, weights))
    .map((node) => costOfNode(node, shapes, weights, seen));
  const known = nodes.filter(({ operations }) => operations !== undefined);
  const nested = nestedTensors(model);
  return {
    batch: free.inputs.some(({ hasRows }) => hasRows) ? batch : (shapes.get(free.inputs[0]?.name ?? '')?.shape[0] ?? 1),
    parameters:
      [...seen].reduce((sum, name) => sum + elementCount(shapes.get(name)?.shape ?? [0]), 0) + elementsOf(nested),
    weightBytes:
      [...seen].reduce((sum, name) => sum + (bytesOf(shapes.get(name)) ?? 0), 0) +
      nested.reduce((sum, tensor) => sum + tensorBytes(tensor, file), 0),
    operations: known.reduce((sum, { operations }) => sum + operations!, 0),
    activationBytes: mostActivationBytes(graph.node, shapes, weights, new Set(graph.output.map(({ name }) => name))),
    nodes,
    unknownNodes: nodes.length - known.length + walkModel(model).nodes.length - graph.node.length,
    assumed: [...free.others].filter((name) => !named.has(name)),
  };
}

/** ONNX Runtime computes what depends on constants alone once, when it loads a model; but what was quantized stays that. */
function constantsOf({ graph }: DecodedModel): ReadonlySet<string> {
  const constants = new Set(graph.initializer.map(({ name }) => name));
  for (const { values } of graph.sparseInitializer) constants.add(values?.name ?? '');
  for (const node of graph.node) if (isConstant(node, constants)) node.output.forEach((name) => constants.add(name));
  return constants;
}

const NEVER_CONSTANT = /^(Random|Bernoulli|Multinomial|DequantizeLinear$|QuantizeLinear$|If$|Loop$|Scan$)/;

function isConstant({ opType, input }: NodeProto, constants: ReadonlySet<string>): boolean {
  return !NEVER_CONSTANT.test(opType) && input.every((name) => name === '' || constants.has(name));
}

/** Of subgraphs and local functions. */
function nestedTensors(model: DecodedModel): readonly TensorProto[] {
  const { graph } = model;
  const own = new Set<TensorProto>(graph.initializer);
  for (const { values, indices } of graph.sparseInitializer) [values, indices].forEach((each) => each && own.add(each));
  for (const { attribute } of graph.node) attribute.forEach(({ t }) => t && own.add(t));
  return walkModel(model).tensors.filter((tensor) => !own.has(tensor));
}

function elementsOf(tensors: readonly TensorProto[]): number {
  return tensors.reduce((sum, { dims }) => sum + elementCount(dims.map(Number)), 0);
}

interface FreeInput {
  readonly name: string;
  readonly hasRows: boolean;
  sizes(bound: ReadonlyMap<string, number>, batch: number): number[];
}

/** Which free dimensions count rows: the first one of every input. */
function freeDimensions(
  { graph }: DecodedModel,
  weights: ReadonlySet<string>,
): { rows: Set<string>; others: Set<string>; inputs: readonly FreeInput[] } {
  const rows = new Set<string>();
  const others = new Set<string>();
  const inputs: FreeInput[] = [];
  for (const { name, type } of graph.input) {
    if (weights.has(name) || type?.value.case !== 'tensorType' || type.value.value.shape === undefined) continue;
    const { dim } = type.value.value.shape;
    const read = dim.map(({ value }) => {
      if (value.case === 'dimValue' && value.value >= 0n) return Number(value.value);
      return value.case === 'dimParam' ? value.value : '';
    });
    read.forEach((size, i) => {
      if (typeof size !== 'string') return;
      if (i === 0 && size !== '') rows.add(size);
      else if (i > 0) others.add(size);
    });
    inputs.push({
      name,
      hasRows: typeof read[0] === 'string',
      sizes: (bound, batch) =>
        read.map((size, i) => (typeof size === 'number' ? size : (bound.get(size) ?? (i === 0 ? batch : 1)))),
    });
  }
  for (const name of rows) others.delete(name);
  return { rows, others, inputs };
}

function costOfNode(node: NodeProto, shapes: KnownShapes, weights: ReadonlySet<string>, seen: Set<string>): NodeCost {
  const fresh = node.input.filter((name) => weights.has(name) && !seen.has(name));
  for (const name of fresh) seen.add(name);
  const outputs = node.output.filter((name) => name !== '').map((name) => bytesOf(shapes.get(name)));
  return {
    name: node.name === '' ? (node.output[0] ?? '') : node.name,
    operator: node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}.${node.opType}`,
    operations: operationsOf(node, shapes),
    weightBytes: fresh.reduce((sum, name) => sum + (bytesOf(shapes.get(name)) ?? 0), 0),
    outputBytes: outputs.includes(undefined) ? undefined : outputs.reduce<number>((sum, bytes) => sum + bytes!, 0),
  };
}

function bytesOf(tensor: KnownTensor | undefined): number | undefined {
  if (tensor === undefined) return undefined;
  const bits = elementType(tensor.type)?.bits;
  return bits === undefined ? undefined : Math.ceil((elementCount(tensor.shape) * bits) / 8);
}

/** A value lives from the node that makes it to the last that reads it; outputs live to the end, constants are weights. */
function mostActivationBytes(
  nodes: readonly NodeProto[],
  shapes: KnownShapes,
  weights: ReadonlySet<string>,
  outputs: ReadonlySet<string>,
): number {
  const lastUse = new Map<string, number>();
  const made = new Set(nodes.flatMap(({ output }) => output));
  nodes.forEach((node, i) => {
    for (const name of node.input) lastUse.set(name, i);
  });
  const live = new Map<string, number>();
  for (const name of lastUse.keys()) {
    if (!weights.has(name) && !made.has(name)) live.set(name, bytesOf(shapes.get(name)) ?? 0);
  }
  let now = [...live.values()].reduce((sum, bytes) => sum + bytes, 0);
  let most = now;
  nodes.forEach((node, i) => {
    if (isConstant(node, weights)) return;
    for (const name of node.output) {
      const bytes = bytesOf(shapes.get(name)) ?? 0;
      live.set(name, bytes);
      now += bytes;
    }
    most = Math.max(most, now);
    for (const name of [...node.input, ...node.output]) {
      if (outputs.has(name) || (lastUse.get(name) ?? i) > i || !live.has(name)) continue;
      now -= live.get(name)!;
      live.delete(name);
    }
  });
  return most;
}
