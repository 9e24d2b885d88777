import type { DecodedModel } from '../decode-model';
import type { NodeProto } from '../generated/onnx-ml_pb';
import { knownOperator } from '../operators';
import { Attributes } from './attributes';
import { SHAPE_RULES, type ShapeRule } from './shape-rules';
import { knownTensor, type KnownTensor, type Shape } from './tensor-value';

export interface ShapeOptions {
  /** What free dimensions are, by their name; `''` for those without one. */
  readonly dimensions: Readonly<Record<string, number>>;
  /** What a free dimension is that `dimensions` does not name. @default 1 */
  readonly otherwise?: number;
  /** Whole shapes of inputs, by name. @default - what the graph says */
  readonly inputShapes?: Readonly<Record<string, Shape>>;
}

/** Shape and element type of every value of the graph that can be told without running it, by its name. */
export type KnownShapes = ReadonlyMap<string, KnownTensor>;

/**
 * Follows shapes through the graph from those of its inputs, by the shape inference of the ONNX operator documents. Shapes that
 * are computed (Shape, Gather, Concat, Reshape) are followed, too. Where an operator has no rule, what the exporter wrote into
 * the file is taken; what lies in subgraphs (`If`, `Loop`) stays unknown.
 */
export function inferShapes(model: DecodedModel, options: ShapeOptions): KnownShapes {
  const { graph } = model;
  const dimensions = new Map(Object.entries(options.dimensions));
  const inputShapes = new Map(Object.entries(options.inputShapes ?? {}));
  const known = new Map<string, KnownTensor>();
  const declared = new Map<string, KnownTensor>();
  for (const { name, type } of [...graph.valueInfo, ...graph.output, ...graph.input]) {
    if (type?.value.case !== 'tensorType' || type.value.value.shape === undefined) continue;
    const { elemType, shape } = type.value.value;
    const sizes = shape.dim.map(({ value }) =>
      value.case === 'dimValue' && value.value >= 0n
        ? Number(value.value)
        : (dimensions.get(value.case === 'dimParam' ? value.value : '') ?? options.otherwise ?? 1),
    );
    declared.set(name, { shape: sizes, type: elemType });
    // A free dimension inside the graph is not one of those that the caller sets.
    const isFixed = shape.dim.every(({ value }) => value.case === 'dimValue' && value.value >= 0n);
    if (!isFixed && !graph.input.some((input) => input.name === name)) declared.delete(name);
  }
  for (const { name } of graph.input) {
    const tensor = declared.get(name);
    const shape = inputShapes.get(name);
    if (tensor !== undefined) known.set(name, shape === undefined ? tensor : { ...tensor, shape });
  }
  for (const tensor of graph.initializer) known.set(tensor.name, knownTensor(tensor));
  for (const { values, dims } of graph.sparseInitializer) {
    if (values !== undefined) known.set(values.name, { shape: dims.map(Number), type: values.dataType });
  }
  for (const node of graph.node) {
    const results = followNode(node, known);
    node.output.forEach((name, i) => {
      const result = results[i] ?? declared.get(name);
      if (name !== '' && result !== undefined) known.set(name, result);
    });
  }
  return known;
}

function followNode(node: NodeProto, known: KnownShapes): ReturnType<ShapeRule> {
  const rule = SHAPE_RULES.get(knownOperator(node) ?? '');
  if (rule === undefined) return [];
  const inputs = node.input.map((name) => (name === '' ? undefined : known.get(name)));
  try {
    return rule(inputs, { attributes: new Attributes(node), outputs: node.output.length });
  } catch (error) {
    // An axis that the shape does not have, an input that is missing, a step of zero: a session refuses such a node.
    if (error instanceof RangeError || error instanceof TypeError) return [];
    throw error;
  }
}
