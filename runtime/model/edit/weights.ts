import type { EditableModel } from '../../onnx/edit/editable-model';
import { GraphIndex, nameOfNode, type ValueUse } from '../../onnx/edit/graph-index';
import { isFloatTensor } from '../../onnx/edit/tensor-elements';
import type { NodeProto, TensorProto } from '../../onnx/generated/onnx-ml_pb';
import { Attributes } from '../../onnx/shapes/attributes';
import { ModelToolError } from '../tool-error';

/** A tensor that layers multiply their inputs with: what there is to prune and to share. */
export interface Weight {
  readonly name: string;
  readonly tensor: TensorProto;
  /** The nodes that use it; more than one where layers share it. */
  readonly nodes: readonly NodeProto[];
  /**
   * The axis along which a layer sums products with its inputs: where a processor with n:m sparsity looks for its zeros.
   * Undefined for a table of embeddings, and where layers disagree.
   */
  readonly inputAxis: number | undefined;
}

/** A weight that a tool leaves whole. */
export interface LeftWhole {
  readonly name: string;
  readonly reason: string;
}

/** Which inputs of which operators are weights, and the axis of each that is summed along. */
const WEIGHT_INPUTS: Readonly<
  Record<string, Readonly<Record<number, (node: NodeProto, rank: number) => number | undefined>>>
> = {
  Conv: { 1: () => 1 },
  ConvTranspose: { 1: () => 0 },
  Gemm: {
    0: (node) => (new Attributes(node).int('transA', 0) === 0 ? 1 : 0),
    1: (node) => (new Attributes(node).int('transB', 0) === 0 ? 0 : 1),
  },
  MatMul: { 0: (_, rank) => rank - 1, 1: (_, rank) => rank - 2 },
  LSTM: { 1: () => 2, 2: () => 2 },
  GRU: { 1: () => 2, 2: () => 2 },
  RNN: { 1: () => 2, 2: () => 2 },
  Gather: { 0: () => undefined },
};

/**
 * The weights of a model's layers, in the order of the file: floating-point initializers and constants of two or more dimensions
 * that Conv, ConvTranspose, Gemm, MatMul, LSTM, GRU, RNN or Gather take as such. What else looks like one is listed with the reason
 * why it is left whole.
 * @param exclude names of weights and of nodes that are left whole; `*` stands for any characters
 * @throws ModelToolError LAYER_UNKNOWN for a name that nothing has
 */
export function findWeights(
  model: EditableModel,
  exclude: readonly string[] = [],
): { readonly weights: readonly Weight[]; readonly left: readonly LeftWhole[] } {
  const { graph } = model.proto;
  const index = new GraphIndex(graph);
  const excluded = excludedNames(model, exclude);
  const weights: Weight[] = [];
  const left: LeftWhole[] = [];
  for (const { name, tensor } of constantsOf(model)) {
    const uses = index.uses(name).filter(isWeightUse);
    if (uses.length === 0 || tensor.dims.length < 2) continue;
    const nodes = uses.map(({ node }) => node);
    if (excluded.has(name) || nodes.some((node) => excluded.has(nameOfNode(node)))) {
      left.push({ name, reason: 'was excluded' });
    } else if (!isFloatTensor(tensor)) {
      left.push({ name, reason: 'is quantized: change the model before it is quantized' });
    } else {
      weights.push({ name, tensor, nodes, inputAxis: inputAxisOf(uses, tensor.dims.length) });
    }
  }
  const sparse = new Set(graph.sparseInitializer.map(({ values }) => values?.name));
  for (const node of graph.node) {
    for (const [i, name] of node.input.entries()) {
      if (!isWeightUse({ node, index: i })) continue;
      if (sparse.has(name)) left.push({ name, reason: 'is stored sparse: change the model before that' });
      const maker = index.producer(name);
      if (maker === undefined || maker.opType === 'Constant' || !isOfConstants(name, index)) continue;
      left.push({ name, reason: `is computed by ${maker.opType}, not stored` });
    }
  }
  return { weights, left };
}

/** Longer chains of nodes between what is stored and a weight are not followed. */
const MAX_CHAIN = 8;

/** Whether a value is the same in every run: a weight that is stored in another way, and no value of the network. */
function isOfConstants(name: string, index: GraphIndex, depth = 0): boolean {
  if (name === '' || index.initializer(name) !== undefined) return true;
  const maker = index.producer(name);
  if (maker === undefined || depth > MAX_CHAIN) return false;
  return maker.input.every((input) => isOfConstants(input, index, depth + 1));
}

/** Initializers, and what `Constant` nodes hold, by the names that layers take them under. */
function constantsOf({ proto: { graph } }: EditableModel): readonly { name: string; tensor: TensorProto }[] {
  const held = graph.node.flatMap((node) => {
    const value = node.opType === 'Constant' ? new Attributes(node).get('value')?.t : undefined;
    return value === undefined ? [] : [{ name: node.output[0] ?? '', tensor: value }];
  });
  return [...graph.initializer.map((tensor) => ({ name: tensor.name, tensor })), ...held];
}

function isWeightUse({ node, index }: ValueUse): boolean {
  if (node.domain !== '' && node.domain !== 'ai.onnx') return false;
  return Object.hasOwn(WEIGHT_INPUTS, node.opType) && WEIGHT_INPUTS[node.opType]![index] !== undefined;
}

function inputAxisOf(uses: readonly ValueUse[], rank: number): number | undefined {
  const axes = new Set(uses.map(({ node, index }) => WEIGHT_INPUTS[node.opType]![index]!(node, rank)));
  return axes.size === 1 ? [...axes][0] : undefined;
}

/**
 * Names of weights and nodes that patterns stand for.
 * @throws ModelToolError LAYER_UNKNOWN for one that stands for nothing
 */
export function excludedNames(model: EditableModel, patterns: readonly string[]): ReadonlySet<string> {
  const { graph } = model.proto;
  const filled = graph.node.filter(({ opType }) => opType === 'ConstantOfShape').map(({ output }) => output[0] ?? '');
  const names = [...constantsOf(model).map(({ name }) => name), ...filled, ...graph.node.map(nameOfNode)];
  return new Set(
    patterns.flatMap((pattern) => {
      const found = names.filter(matcher(pattern));
      if (found.length > 0) return found;
      throw new ModelToolError('LAYER_UNKNOWN', pattern, 'is the name of no weight and of no node of the graph');
    }),
  );
}

/** `*` stands for any characters, and everything else for itself. */
function matcher(pattern: string): (name: string) => boolean {
  const parts = pattern.split('*');
  return (name) => {
    if (parts.length === 1) return name === pattern;
    const [first, last] = [parts[0]!, parts.at(-1)!];
    if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
    let at = first.length;
    for (const part of parts.slice(1, -1)) {
      const found = name.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at <= name.length - last.length;
  };
}
